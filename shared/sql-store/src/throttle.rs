//! Throttles that all instances share: the generic cell rate algorithm in one row a bucket.

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, values};

/// How much is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests that may come at once.
    pub burst: u32,
    /// Time in which a whole burst becomes free again.
    pub period_ms: u32,
}

/// The answer of a throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Go on.
    Free,
    /// Come back after this many milliseconds.
    Wait {
        /// At least 1.
        retry_after_ms: i64,
    },
}

#[derive(FromQueryResult)]
struct Row {
    theoretical_arrival_ms: i64,
}

/// Takes one place in `bucket` (a rule's name and whom it counts, at most 128 characters).
///
/// # Errors
/// When the database fails.
pub async fn pass(
    store: &Store,
    bucket: &str,
    rate: Rate,
    now: UtcMillis,
) -> Result<Pass, StoreError> {
    let interval_ms = i64::from(rate.period_ms / rate.burst.max(1)).max(1);
    let latest_ms = now.get() + interval_ms * i64::from(rate.burst.saturating_sub(1));
    store
        .transact(async |tx: &Tx| {
            for _ in 0..2 {
                let taken = tx
                    .execute(
                        "UPDATE throttles SET theoretical_arrival_ms = \
                         CASE WHEN theoretical_arrival_ms > ? THEN theoretical_arrival_ms ELSE ? END + ? \
                         WHERE bucket = ? AND theoretical_arrival_ms <= ?",
                        values![now.get(), now.get(), interval_ms, bucket, latest_ms],
                    )
                    .await?;
                if taken > 0 {
                    return Ok(Pass::Free);
                }
                let row: Option<Row> = tx
                    .one("SELECT theoretical_arrival_ms FROM throttles WHERE bucket = ?", values![bucket])
                    .await?;
                if let Some(row) = row {
                    let retry_after_ms = (row.theoretical_arrival_ms - latest_ms).max(1);
                    return Ok(Pass::Wait { retry_after_ms });
                }
                let first = tx
                    .insert_new(
                        "INSERT INTO throttles (bucket, theoretical_arrival_ms) VALUES (?, ?)",
                        values![bucket, now.get() + interval_ms],
                    )
                    .await?;
                if first {
                    return Ok(Pass::Free);
                }
            }
            Ok(Pass::Wait { retry_after_ms: interval_ms })
        })
        .await
}
