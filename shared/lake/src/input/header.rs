//! Which column of a file is which, by name.

use domain::sales::fault::Column;

use super::BadFile;

/// Where each column of the contract stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    places: [Option<usize>; Column::ALL.len()],
}

impl Places {
    /// Finds the columns by name in any order and case; others are not read.
    ///
    /// # Errors
    /// Every required column that is missing, or one that is there twice.
    pub(super) fn find<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Self, BadFile> {
        let mut places = [None; Column::ALL.len()];
        for (at, name) in names.enumerate() {
            let name = name.trim_ascii();
            for (place, column) in places.iter_mut().zip(Column::ALL) {
                if name.eq_ignore_ascii_case(column.name().as_bytes())
                    && place.replace(at).is_some()
                {
                    return Err(BadFile::ColumnTwice(column));
                }
            }
        }
        let missing: Vec<Column> = places
            .iter()
            .zip(Column::ALL)
            .filter(|(place, column)| place.is_none() && column.is_required())
            .map(|(_, column)| column)
            .collect();
        if missing.is_empty() {
            Ok(Self { places })
        } else {
            Err(BadFile::ColumnsMissing(missing))
        }
    }

    /// Where the column stands, from 0.
    pub(super) fn of(&self, column: Column) -> Option<usize> {
        let found = Column::ALL.iter().position(|one| *one == column);
        found.and_then(|at| self.places.get(at).copied().flatten())
    }
}
