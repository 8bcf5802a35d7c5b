//! What can go wrong in the store, in words that hold no value of any row.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// A failure of the store. Database texts quote values, so only codes are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or the connection broke: worth another try.
    #[error("the database is not reachable")]
    Unreachable,
    /// Deadlock, lock timeout or BUSY, still there after the last redo: worth another try later.
    #[error("the database is too busy: gave up after {attempts} attempts")]
    Contended {
        /// How often the use case was tried.
        attempts: u32,
    },
    /// A unique key refused a row that the use case did not expect to meet.
    #[error("a unique key refused a row")]
    Duplicate,
    /// The database refused a statement.
    #[error("the database refused a statement with code {code}")]
    Refused {
        /// MySQL's error number or SQLite's result code.
        code: String,
    },
    /// A row holds what the code never writes.
    #[error("a stored row is broken: {0}")]
    Broken(&'static str),
    /// A migration failed or is unknown to this version.
    #[error("{0}")]
    Migration(String),
    /// What was to be kept can't be written as JSON.
    #[error("what was to be stored can't be written as JSON")]
    NotJson,
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    NoEntropy,
}

impl StoreError {
    /// Whether the same work may succeed later without anybody mending anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Contended { .. } | Self::NoEntropy
        )
    }
}

/// Codes that blame a value: MySQL's and SQLite's for null, range, length, type and CHECK. Any
/// other refusal (no such table, no right to it) would meet every row alike.
const BLAMES_A_VALUE: [&str; 13] = [
    "18", "19", "20", "275", "1048", "1264", "1265", "1299", "1366", "1406", "3091", "3819", "4025",
];

impl StoreError {
    /// Whether it is this row that can't be stored, so that its neighbours may go on without it.
    #[must_use]
    pub fn blames_the_row(&self) -> bool {
        match self {
            Self::Refused { code } => BLAMES_A_VALUE.contains(&code.as_str()),
            Self::Broken(_) | Self::NotJson => true,
            _ => false,
        }
    }
}

impl From<domain::Invalid> for StoreError {
    fn from(invalid: domain::Invalid) -> Self {
        Self::Broken(invalid.rule)
    }
}

/// What an error of the driver means for the use case.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Do the whole use case again.
    Redo,
    Unique,
    Fatal(StoreError),
}

/// MySQL: 1205 lock wait timeout, 1213 deadlock. SQLite: 5 BUSY, 6 LOCKED and their extended codes.
fn asks_for_redo(code: &str) -> bool {
    match code {
        "1205" | "1213" => true,
        other => other
            .parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6) && code < 1000),
    }
}

/// Codes that say "not now": SQLite 14 (can't open). MySQL 1040, 1203 and 1226 (too many
/// connections), 1053 (shutting down), 1290 and 1836 (read-only: a failover), 1317 and 1927 (killed).
fn is_away(code: &str) -> bool {
    const AWAY: [&str; 9] = [
        "14", "1040", "1053", "1203", "1226", "1290", "1317", "1836", "1927",
    ];
    AWAY.contains(&code)
}

pub(crate) fn judge(error: &DbErr) -> Verdict {
    if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
        return Verdict::Unique;
    }
    let runtime = match error {
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        DbErr::ConnectionAcquire(_) => return Verdict::Fatal(StoreError::Unreachable),
        DbErr::Type(_) | DbErr::TryIntoErr { .. } => {
            return Verdict::Fatal(StoreError::Broken(
                "a column has another type than expected",
            ));
        }
        _ => {
            return Verdict::Fatal(StoreError::Refused {
                code: "driver".to_owned(),
            });
        }
    };
    let RuntimeErr::SqlxError(driver) = runtime else {
        return Verdict::Fatal(StoreError::Refused {
            code: "driver".to_owned(),
        });
    };
    match driver.as_ref() {
        sea_orm::SqlxError::Database(refusal) => {
            let code = refusal
                .try_downcast_ref::<sea_orm::SqlxMySqlError>()
                .map_or_else(
                    || refusal.code().unwrap_or_default().into_owned(),
                    |mysql| mysql.number().to_string(),
                );
            if asks_for_redo(&code) {
                Verdict::Redo
            } else if is_away(&code) {
                Verdict::Fatal(StoreError::Unreachable)
            } else {
                Verdict::Fatal(StoreError::Refused { code })
            }
        }
        sea_orm::SqlxError::ColumnDecode { .. } | sea_orm::SqlxError::ColumnNotFound(_) => {
            Verdict::Fatal(StoreError::Broken("a column is not as expected"))
        }
        _ => Verdict::Fatal(StoreError::Unreachable),
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match judge(&error) {
            Verdict::Redo => Self::Contended { attempts: 1 },
            Verdict::Unique => Self::Duplicate,
            Verdict::Fatal(fatal) => fatal,
        }
    }
}
