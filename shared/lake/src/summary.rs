//! The least and greatest values of a file's columns, as the catalogue writes them.

use domain::lake::ColumnSummary;
use domain::time::{Day, UtcMillis};
use parquet::file::metadata::ParquetMetaData;

/// The least and the greatest of values that came.
#[derive(Debug, Clone, Copy)]
pub struct Extent<T> {
    ends: Option<(T, T)>,
}

impl<T> Default for Extent<T> {
    fn default() -> Self {
        Self { ends: None }
    }
}

impl<T: Ord + Copy> Extent<T> {
    /// Takes a value.
    pub fn take(&mut self, value: T) {
        self.ends = Some(match self.ends {
            None => (value, value),
            Some((least, greatest)) => (least.min(value), greatest.max(value)),
        });
    }

    /// As texts.
    pub fn texts(&self, text: impl Fn(T) -> String) -> Option<(String, String)> {
        self.ends
            .map(|(least, greatest)| (text(least), text(greatest)))
    }
}

/// `12.34`.
pub fn decimal(centavos: i64) -> String {
    let sign = if centavos < 0 { "-" } else { "" };
    let whole = centavos.unsigned_abs();
    format!("{sign}{}.{:02}", whole / 100, whole % 100)
}

/// `2026-11-20`.
pub fn date(days: i32) -> String {
    Day::from_epoch_days(days).map_or_else(|_| "1969-12-31".to_owned(), |day| day.to_string())
}

/// `2026-11-20 12:00:00.123`, as DuckDB writes it: without zeros at its end.
pub fn timestamp(millis: i64) -> String {
    let Ok(time) = UtcMillis::new(millis) else {
        return String::new();
    };
    let text = time.to_string().replace('T', " ");
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    let text = text.trim_end_matches('.');
    // Zeros of the seconds themselves are no fraction.
    format!("{text:0<19}")
}

/// A summary for each column, sizes and nulls from the file itself.
pub fn columns(
    metadata: &ParquetMetaData,
    names: &[&'static str],
    mut extents: Vec<Option<(String, String)>>,
) -> Vec<ColumnSummary> {
    let summary = |(place, column): (usize, &&'static str)| {
        let chunks = metadata
            .row_groups()
            .iter()
            .filter_map(|group| group.columns().get(place));
        let (mut size_bytes, mut nulls) = (0, 0);
        for chunk in chunks {
            size_bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
            let known = chunk.statistics().and_then(|known| known.null_count_opt());
            nulls += known.unwrap_or(0);
        }
        let extent = extents.get_mut(place).and_then(Option::take);
        let (least, greatest) = extent.unzip();
        ColumnSummary {
            column,
            least,
            greatest,
            nulls,
            size_bytes,
        }
    };
    names.iter().enumerate().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_catalogue_writes_them() {
        let time = |text| timestamp(UtcMillis::parse(text).unwrap().get());
        assert_eq!(time("2026-11-20T12:00:00.123Z"), "2026-11-20 12:00:00.123");
        assert_eq!(time("2026-11-20T12:00:00.120Z"), "2026-11-20 12:00:00.12");
        assert_eq!(time("2026-11-20T10:00:00Z"), "2026-11-20 10:00:00");
        assert_eq!(time("2026-11-20T10:20:30Z"), "2026-11-20 10:20:30");
        assert_eq!(
            (decimal(1_234), decimal(-5)),
            ("12.34".into(), "-0.05".into())
        );
        assert_eq!(date(19_782), "2024-02-29");
    }
}
