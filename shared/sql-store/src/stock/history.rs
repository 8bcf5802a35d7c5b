//! Levels as they were told, each once, on their way into the lake.

use std::collections::BTreeSet;

use domain::{
    lake::{SnapshotId, WrittenFile},
    stock::Level,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use crate::{
    Store, StoreError, Tx, Value,
    lake::{self, Change, CommitError},
    placeholders, values,
};

/// Whose marks these are.
const CONSUMER: &str = "estoque-lago";
/// Rows of one statement.
const BATCH: usize = 500;

/// Why levels were not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Another instance recorded one of them meanwhile: ask which are left.
    #[error("one of the levels was recorded meanwhile")]
    Raced,
    /// The lake was not registered.
    #[error("the lake is not registered")]
    NotRegistered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for HistoryError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotRegistered => Self::NotRegistered,
            // Nothing is watched and nothing ends: there is no conflict to meet.
            CommitError::Conflict => Self::Raced,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

#[derive(FromQueryResult)]
struct MarkRow {
    message_id: String,
}

/// The places of levels that are not in the lake yet; of equals in the list the first.
///
/// # Errors
/// When the database fails.
pub async fn not_in_lake(store: &Store, levels: &[&Level]) -> Result<Vec<usize>, StoreError> {
    let marks: Vec<String> = levels.iter().map(|level| mark(level)).collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for marks in marks.chunks(BATCH) {
        let sql = format!(
            "SELECT message_id FROM handled_messages WHERE consumer = ? AND message_id IN {}",
            placeholders(1, marks.len())
        );
        let mut all = values![CONSUMER];
        all.extend(marks.iter().map(|mark| Value::from(mark.as_str())));
        let rows: Vec<MarkRow> = store
            .transact(async |tx: &Tx| tx.all(&sql, all.clone()).await)
            .await?;
        known.extend(rows.into_iter().map(|row| row.message_id));
    }
    let places = marks.into_iter().enumerate();
    let fresh = places.filter_map(|(place, mark)| known.insert(mark).then_some(place));
    Ok(fresh.collect())
}

/// Makes the file of these levels visible, in the transaction that marks them.
///
/// # Errors
/// See [`HistoryError`]; then nothing of it is there.
pub async fn record_in_lake(
    store: &Store,
    levels: &[&Level],
    file: &WrittenFile,
    now: UtcMillis,
) -> Result<(), HistoryError> {
    // In one order, so that two instances don't wait for each other.
    let mut marks: Vec<String> = levels.iter().map(|level| mark(level)).collect();
    marks.sort_unstable();
    store
        .transact(async |tx: &Tx| {
            for marks in marks.chunks(BATCH) {
                let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
                match tx.mark_all_handled(CONSUMER, &marks, now).await {
                    Err(StoreError::Duplicate) => return Err(HistoryError::Raced),
                    marked => marked?,
                }
            }
            let change = Change {
                added: std::slice::from_ref(file),
                ended: &[],
                note: "levels of stock",
            };
            lake::commit(tx, SnapshotId(0), &[], change, now).await?;
            Ok(())
        })
        .await
}

/// The same level told twice, by whatever road, is one.
fn mark(level: &Level) -> String {
    let (told_ms, units) = (level.told.get(), level.units);
    format!("n/{}/{told_ms}/{units}", level.product.as_str())
}
