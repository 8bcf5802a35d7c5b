//! Sales files: CSV and Parquet, read in one pass and in bounded memory.
//!
//! Every line is checked by `domain::sales::reading`. A line that is right goes to [`Lines`], one
//! that is not goes to the quarantine with its number and the reason.

mod columns;
mod csv;
mod decode;
mod fingerprint;
mod header;
mod parquet;
mod quarantine;
mod records;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io};

use domain::sales::{
    SaleLine,
    fault::{Column, Fault, Refusal},
};

pub use csv::read_csv;
pub use decode::{Format, MAGIC_BYTES};
pub use parquet::read_parquet;
pub use quarantine::Quarantine;

/// The longest line of a CSV file in bytes, the lines of its quoted fields together.
pub const LONGEST_LINE_BYTES: usize = 64 * 1024;

/// Where the lines of a file go, in the file's order.
pub trait Lines {
    /// What it fails with.
    type Error;

    /// A line of a sale or a return. `fingerprint` is a hash of the line as it was written: lines
    /// that are the same to the letter have the same.
    ///
    /// # Errors
    /// Ends the reading.
    fn sale(&mut self, line: &SaleLine<'_>, fingerprint: u64) -> Result<(), Self::Error>;

    /// The order has no sale any more.
    ///
    /// # Errors
    /// Ends the reading.
    fn no_sale(&mut self, order: &str) -> Result<(), Self::Error>;
}

/// What became of a file's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that were read, the header not counted.
    pub lines: u64,
    /// Lines that were taken.
    pub accepted: u64,
    /// Lines that were not, by reason.
    pub refused: BTreeMap<Fault, u64>,
}

/// Why a file as a whole is not taken; nothing of it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFile {
    /// It is empty.
    Empty,
    /// Columns that it must have are missing: all of them.
    ColumnsMissing(Vec<Column>),
    /// A column is there twice.
    ColumnTwice(Column),
    /// A column of a Parquet file has a type that can't be read exactly.
    ColumnType(Column),
    /// Its compression ends early or is broken.
    Broken,
    /// It is Parquet, but can't be read.
    NotParquet,
    /// Unpacked it is larger than can be read in time.
    TooLarge,
}

/// Why reading ended early.
#[derive(Debug)]
pub enum InputError<E> {
    /// The file is to blame.
    File(BadFile),
    /// The source broke off: the same may succeed later.
    Source(io::Error),
    /// The quarantine could not be written.
    Quarantine(io::Error),
    /// [`Lines`] failed.
    Lines(E),
}

impl Counts {
    /// Lines that were not taken.
    #[must_use]
    pub fn refused_lines(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        *self.refused.entry(refusal.fault).or_default() += 1;
    }
}

impl BadFile {
    /// The code in reports.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "arquivo_vazio",
            Self::ColumnsMissing(_) => "colunas_ausentes",
            Self::ColumnTwice(_) => "coluna_repetida",
            Self::ColumnType(_) => "tipo_de_coluna",
            Self::Broken => "arquivo_truncado",
            Self::NotParquet => "parquet_invalido",
            Self::TooLarge => "arquivo_grande",
        }
    }

    /// The columns to blame.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        match self {
            Self::ColumnsMissing(columns) => columns,
            Self::ColumnTwice(column) | Self::ColumnType(column) => std::slice::from_ref(column),
            _ => &[],
        }
    }
}

impl<E> From<BadFile> for InputError<E> {
    fn from(bad: BadFile) -> Self {
        Self::File(bad)
    }
}
