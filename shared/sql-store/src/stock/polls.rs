//! Polls of warehouses' APIs: since when the next one has to ask.

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, values};

#[derive(FromQueryResult)]
struct Row {
    begun_ms: i64,
}

/// When the last poll of this source began that brought everything.
///
/// # Errors
/// When the database fails.
pub async fn last_poll(store: &Store, source: &str) -> Result<Option<UtcMillis>, StoreError> {
    let sql = "SELECT begun_ms FROM stock_polls WHERE source = ?";
    let row: Option<Row> = store
        .transact(async |tx: &Tx| tx.one(sql, values![source]).await)
        .await?;
    Ok(row.map(|row| UtcMillis::new(row.begun_ms)).transpose()?)
}

/// Notes that a poll which began then brought everything.
///
/// # Errors
/// When the database fails.
pub async fn note_poll(store: &Store, source: &str, begun: UtcMillis) -> Result<(), StoreError> {
    store
        .transact(async |tx: &Tx| {
            let sql = "SELECT 1 FROM stock_polls WHERE source = ?";
            if tx.exists(sql, values![source]).await? {
                let sql = "UPDATE stock_polls SET begun_ms = ? WHERE source = ? AND begun_ms < ?";
                tx.execute(sql, values![begun.get(), source, begun.get()])
                    .await?;
                return Ok(());
            }
            let sql = "INSERT INTO stock_polls (source, begun_ms) VALUES (?, ?)";
            match tx.insert_new(sql, values![source, begun.get()]).await? {
                true => Ok(()),
                false => Err(tx.redo()),
            }
        })
        .await
}
