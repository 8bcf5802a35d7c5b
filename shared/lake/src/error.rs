//! What can go wrong with the lake; no text holds a value of a file.

use arrow_schema::ArrowError;
use files::FileError;
use parquet::errors::ParquetError;

use crate::texts::TooManyTexts;

/// Why lines could not be sorted.
#[derive(Debug, thiserror::Error)]
pub enum SortError {
    /// A column of names has too many of them.
    #[error(transparent)]
    TooManyTexts(#[from] TooManyTexts),
    /// A line or a sum is beyond what an i64 holds.
    #[error("a value is beyond what 64 bits hold")]
    TooLarge,
    /// An order's id is longer than the lake takes.
    #[error(
        "an order's id is longer than {} bytes",
        crate::sort::LONGEST_ORDER_BYTES
    )]
    OrderTooLong,
    /// The temporary folder failed.
    #[error("the temporary folder failed ({0})")]
    Folder(std::io::ErrorKind),
}

impl From<std::io::Error> for SortError {
    fn from(error: std::io::Error) -> Self {
        Self::Folder(error.kind())
    }
}

/// Why the lake could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The file store failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Lines could not be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
    /// A Parquet file could not be read or written.
    #[error("a Parquet file could not be read or written")]
    Parquet(#[source] ParquetError),
    /// A file is not what the lake writes.
    #[error("a file of the lake is not as it should be: {0}")]
    Unexpected(&'static str),
    /// A sum is beyond what an i64 holds.
    #[error("a sum is beyond what 64 bits hold")]
    TooLarge,
    /// Work on another thread was cut off.
    #[error("the work was cut off")]
    Interrupted,
}

impl LakeError {
    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Files(error) => error.is_transient(),
            Self::Interrupted => true,
            _ => false,
        }
    }
}

impl From<ParquetError> for LakeError {
    fn from(error: ParquetError) -> Self {
        match error {
            // What the file store said while Parquet was read.
            ParquetError::External(inner) => match inner.downcast::<FileError>() {
                Ok(error) => Self::Files(*error),
                Err(inner) => Self::Parquet(ParquetError::External(inner)),
            },
            error => Self::Parquet(error),
        }
    }
}

impl From<ArrowError> for LakeError {
    fn from(error: ArrowError) -> Self {
        Self::from(ParquetError::from(error))
    }
}

impl From<TooManyTexts> for LakeError {
    fn from(error: TooManyTexts) -> Self {
        Self::Sort(error.into())
    }
}

impl From<std::io::Error> for LakeError {
    fn from(error: std::io::Error) -> Self {
        Self::Sort(error.into())
    }
}
