//! The warehouse as a source.

use domain::lake::{Snapshot, SnapshotId};
use domain::sales::{Group, Question};
use warehouse::{Warehouse, WarehouseError, sales};

use crate::source::{SalesSource, SourceError};

/// Asks Redshift, which holds the version of its last sync and no other.
pub struct WarehouseSource(Warehouse);

impl WarehouseSource {
    /// Over this warehouse.
    #[must_use]
    pub const fn new(warehouse: Warehouse) -> Self {
        Self(warehouse)
    }
}

impl SalesSource for WarehouseSource {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        sales::version(&self.0).await.map_err(failed)
    }

    async fn answer(
        &self,
        version: SnapshotId,
        question: &Question,
    ) -> Result<Vec<Group>, SourceError> {
        let answer = sales::answer(&self.0, version, question).await;
        answer.map_err(failed)?.ok_or(SourceError::Gone)
    }
}

fn failed(error: WarehouseError) -> SourceError {
    tracing::error!(%error, "the warehouse failed");
    match error {
        WarehouseError::Unreachable => SourceError::Unavailable,
        _ => SourceError::Failed,
    }
}
