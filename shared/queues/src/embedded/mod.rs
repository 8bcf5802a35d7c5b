//! The embedded queue: one SQLite file that `cargo local` and the functions open at once.

mod definition;
mod file;
mod operate;
mod receive;
mod send;

use std::path::Path;
use std::sync::Arc;

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
    observer: Option<Arc<dyn SendObserver>>,
}

/// A point before or after a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendPoint {
    /// Nothing was sent yet.
    Before,
    /// The queue has what it takes; the sender does not know it yet.
    After,
}

/// Sees each send. The fault simulation uses it to end the run there; nothing else has one.
pub trait SendObserver: std::fmt::Debug + Send + Sync {
    /// True cuts the run off here, as a killed process would be: the sender never goes on.
    fn cuts_at(&self, queue_url: &str, point: SendPoint) -> bool;
}

impl EmbeddedQueues {
    /// Opens the file, creating it and its tables where they are missing.
    ///
    /// # Errors
    /// [`QueueError::File`] when the file cannot be created, opened or is no queue file.
    pub async fn open(path: &Path) -> Result<Self, QueueError> {
        Ok(Self {
            connection: file::open(path).await?,
            observer: None,
        })
    }

    /// The same queues, with each send watched.
    #[must_use]
    pub fn watched_by(&self, observer: Arc<dyn SendObserver>) -> Self {
        Self {
            connection: self.connection.clone(),
            observer: Some(observer),
        }
    }

    async fn reach(&self, queue_url: &str, point: SendPoint) {
        if let Some(observer) = &self.observer
            && observer.cuts_at(queue_url, point)
        {
            std::future::pending::<()>().await;
        }
    }
}
