//! Deletes what is past its time, a bounded number of rows a call.

use domain::time::UtcMillis;

use crate::{Store, StoreError, Tx, handled::MARK_DAYS, idempotency::KEY_HOURS, values};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Table, key columns, age column, and how long a row lives.
const EXPIRING: [(&str, &str, &str, i64); 4] = [
    (
        "handled_messages",
        "consumer, message_id",
        "handled_ms",
        MARK_DAYS as i64 * DAY_MS,
    ),
    (
        "idempotency_keys",
        "principal, route, idempotency_key",
        "created_ms",
        KEY_HOURS as i64 * HOUR_MS,
    ),
    ("throttles", "bucket", "theoretical_arrival_ms", DAY_MS),
    ("link_visits", "link_code, visitor", "counted_ms", DAY_MS),
];

/// Deletes at most `limit` rows of each table; answers how many in all.
///
/// # Errors
/// When the database fails.
pub async fn purge(store: &Store, now: UtcMillis, limit: u32) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for (table, key, age, lifetime_ms) in EXPIRING {
        // The inner SELECT is wrapped since MySQL allows no LIMIT directly inside IN.
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT * FROM (SELECT {key} FROM {table} WHERE {age} < ? ORDER BY {age} LIMIT ?) AS old)"
        );
        deleted += store
            .transact(async |tx: &Tx| {
                tx.execute(&sql, values![now.get() - lifetime_ms, limit])
                    .await
            })
            .await?;
    }
    Ok(deleted)
}
