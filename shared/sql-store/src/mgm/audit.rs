//! Audit rows: written with each change, anchored by day, verified on demand.

mod anchor;
mod verify;

use domain::mgm::audit::Entry;

pub use anchor::anchor_days;
pub use verify::{BrokenLink, Place, Verdict, verify};

use crate::{StoreError, Tx, placeholders, values};

/// Rows in one statement: the widest table stays under SQLite's 32,766 placeholders.
pub(crate) const ROWS_AT_ONCE: usize = 1_000;

/// Writes the links of changes that stand in the same transaction.
///
/// # Errors
/// When the database fails; [`StoreError::Duplicate`] when a row's head was not the chain's end.
pub async fn append(tx: &Tx, entries: &[Entry]) -> Result<(), StoreError> {
    for chunk in entries.chunks(ROWS_AT_ONCE) {
        let sql = format!(
            "INSERT INTO audit_log (entity, entity_id, version, changed_ms, event, details, \
             previous_hash, hash) VALUES {}",
            placeholders(chunk.len(), 8)
        );
        let mut all = Vec::with_capacity(chunk.len() * 8);
        for entry in chunk {
            all.extend(values![
                entry.entity.as_str(),
                entry.id.as_str(),
                entry.version,
                entry.changed.get(),
                entry.event.as_str(),
                entry.details.as_str(),
                entry.previous_hash.as_str(),
                entry.hash.as_str(),
            ]);
        }
        tx.execute(&sql, all).await?;
    }
    Ok(())
}
