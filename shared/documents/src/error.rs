//! What can go wrong with documents, in words that hold no value of any document or setting.

use mongodb::error::{Error, ErrorKind, InsertManyError, WriteFailure};
use sql_store::StoreError;

/// A unique key, such as `_id`, is taken.
const DUPLICATE_KEY: i32 = 11_000;

/// A failure. MongoDB's texts quote values, so only codes are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentsError {
    /// The SQL database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// MongoDB can't be reached, or the connection broke.
    #[error("MongoDB is not reachable")]
    Unreachable,
    /// MongoDB took too long.
    #[error("MongoDB did not answer in time")]
    Slow,
    /// User or password of MONGODB_URI are not right.
    #[error("MongoDB does not know the user of MONGODB_URI, or its password")]
    UnknownUser,
    /// MongoDB refused a command or a document.
    #[error("MongoDB refused with code {code}")]
    Refused {
        /// MongoDB's error code.
        code: i32,
    },
    /// The driver failed.
    #[error("the driver of MongoDB failed")]
    Driver,
}

impl DocumentsError {
    /// Whether the same work may succeed later without another record being to blame.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            // What is written holds nothing that MongoDB could refuse for what it says.
            _ => true,
        }
    }

    pub(crate) fn of(error: &Error) -> Self {
        let refused = |code| Self::Refused { code };
        match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => Self::UnknownUser,
            ErrorKind::Command(error) => refused(error.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => refused(error.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => refused(error.code),
            ErrorKind::InsertMany(error) => {
                unexpected(error).map_or(Self::Driver, |code| Self::Refused { code })
            }
            ErrorKind::ServerSelection { .. }
            | ErrorKind::Io(_)
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::ConnectionPoolCleared { .. } => Self::Unreachable,
            _ => Self::Driver,
        }
    }
}

/// Whether everything that was not inserted was there before.
pub(crate) fn says_known_alone(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(error) => error.write_errors.is_some() && unexpected(error).is_none(),
        _ => false,
    }
}

/// The code of what is no known id.
fn unexpected(error: &InsertManyError) -> Option<i32> {
    let refused = error.write_errors.iter().flatten();
    let mut codes = refused.map(|one| one.code);
    let unexpected = codes.find(|code| *code != DUPLICATE_KEY);
    unexpected.or_else(|| error.write_concern_error.as_ref().map(|one| one.code))
}
