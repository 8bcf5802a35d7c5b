//! The end of a load: its files become visible in the transaction that says that it is done.

use domain::time::UtcMillis;
use sql_store::{
    Store, StoreError, Tx,
    lake::{Change, CommitError, commit},
    sales_loads::{EndError, Load, Report, finish, loaded_versions},
};

use crate::place::{Placed, TABLES};

/// Why a load was not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndLoadError {
    /// The lake changed since it was looked at: look again.
    #[error("the lake changed since it was looked at")]
    Conflict,
    /// Another run of the same load was faster.
    #[error("another run has ended this load")]
    AlreadyEnded,
    #[error("the lake is not registered")]
    NotRegistered,
    /// Whether it was committed is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for EndLoadError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict,
            CommitError::NotRegistered => Self::NotRegistered,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<EndError> for EndLoadError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::AlreadyEnded => Self::AlreadyEnded,
            EndError::Store(error) => Self::Store(error),
        }
    }
}

/// Commits what was placed and ends the load.
pub(crate) async fn end(
    store: &Store,
    load: &Load,
    placed: &Placed,
    report: Report<'_>,
    now: UtcMillis,
) -> Result<(), EndLoadError> {
    let note = format!("carga {}", load.id);
    let change = Change {
        added: &placed.added,
        ended: &placed.ended,
        note: &note,
    };
    store
        .transact(async |tx: &Tx| {
            let snapshot = commit(tx, placed.base, &TABLES, change, now).await?;
            // A version that brought no line changed no table.
            let versions = loaded_versions(tx, &load.file.bucket, &load.file.key).await?;
            if versions != placed.versions {
                return Err(EndLoadError::Conflict);
            }
            Ok(finish(tx, load.number, report, snapshot, now).await?)
        })
        .await
}
