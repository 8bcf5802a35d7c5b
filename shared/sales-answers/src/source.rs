//! Where the sums come from.

use domain::lake::{Snapshot, SnapshotId};
use domain::sales::{Group, Question};

/// Why a source has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The data are not kept at this version any more.
    #[error("the data of this version are gone")]
    Gone,
    /// Another try may help. The cause was logged.
    #[error("the source can't be reached")]
    Unavailable,
    /// The source failed. The cause was logged.
    #[error("the source failed")]
    Failed,
}

/// Sales that can be asked: the lake, or a warehouse with the same rows.
pub trait SalesSource {
    /// The newest version and when it was loaded; `None` before any data.
    ///
    /// # Errors
    /// [`SourceError`].
    fn newest(&self) -> impl Future<Output = Result<Option<Snapshot>, SourceError>>;

    /// Every group that has lines at this version, in no order.
    ///
    /// # Errors
    /// [`SourceError::Gone`] when the version is no longer, or not yet, there.
    fn answer(
        &self,
        version: SnapshotId,
        question: &Question,
    ) -> impl Future<Output = Result<Vec<Group>, SourceError>>;
}
