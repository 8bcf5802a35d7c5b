//! The embedded queue: one SQLite file that `cargo local` and the functions open at once.

mod definition;
mod file;
mod operate;
mod receive;
mod send;

use std::path::Path;

use sea_orm::DatabaseConnection;

use crate::error::QueueError;

pub use definition::{QueueDefinition, Redrive};
pub use operate::PeekedMessage;

/// Queues in one SQLite file.
///
/// Each operation is one transaction (BEGIN IMMEDIATE, WAL, synchronous=FULL): a process that dies
/// anywhere leaves the operation either done or not begun.
#[derive(Clone, Debug)]
pub struct EmbeddedQueues {
    connection: DatabaseConnection,
}

impl EmbeddedQueues {
    /// Opens the file, creating it and its tables where they are missing.
    ///
    /// # Errors
    /// [`QueueError::File`] when the file cannot be created, opened or is no queue file.
    pub async fn open(path: &Path) -> Result<Self, QueueError> {
        Ok(Self {
            connection: file::open(path).await?,
        })
    }
}
