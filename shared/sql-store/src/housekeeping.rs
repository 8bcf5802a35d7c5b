//! Deletes what is past its time, a bounded number of rows a call.

use domain::{events::DEDUPLICATION_DAYS, time::UtcMillis};
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, handled::MARK_DAYS, idempotency::KEY_HOURS, values};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Table, age column, and how long a row lives.
const EXPIRING: [(&str, &str, i64); 4] = [
    ("handled_messages", "handled_ms", MARK_DAYS as i64 * DAY_MS),
    ("idempotency_keys", "created_ms", KEY_HOURS as i64 * HOUR_MS),
    ("throttles", "theoretical_arrival_ms", DAY_MS),
    ("link_visits", "counted_ms", DAY_MS),
];

#[derive(FromQueryResult)]
struct Age {
    age_ms: i64,
}

/// How long a click stays in the log, in days.
pub const CLICK_LOG_DAYS: u32 = 30;
/// How long a profile that nobody asks for is kept, in days.
pub const PROFILE_DAYS: u32 = 30;

/// The same of what events of customers leave, which is much more.
const EXPIRING_EVENTS: [(&str, &str, i64); 6] = [
    (
        "ingested_events",
        "ingested_ms",
        DEDUPLICATION_DAYS as i64 * DAY_MS,
    ),
    (
        "conflicting_events",
        "received_ms",
        DEDUPLICATION_DAYS as i64 * DAY_MS,
    ),
    ("event_batches", "received_ms", 2 * DAY_MS),
    ("live_parts", "minute_ms", 2 * HOUR_MS),
    ("click_log", "logged_ms", CLICK_LOG_DAYS as i64 * DAY_MS),
    ("profiles", "refreshed_ms", PROFILE_DAYS as i64 * DAY_MS),
];

/// Deletes the oldest `limit` expired rows of each table, and those of the same millisecond as the
/// last of them; answers how many in all.
///
/// A DELETE whose subquery names the keys would be shorter, and MariaDB reads the whole table once
/// a row for it: so the age at which to stop is asked first.
///
/// # Errors
/// When the database fails.
pub async fn purge(store: &Store, now: UtcMillis, limit: u32) -> Result<u64, StoreError> {
    purge_from(store, &EXPIRING, now, limit).await
}

/// The same of the tables of events, which compact-lake calls until nothing is left.
///
/// # Errors
/// When the database fails.
pub async fn purge_events(store: &Store, now: UtcMillis, limit: u32) -> Result<u64, StoreError> {
    purge_from(store, &EXPIRING_EVENTS, now, limit).await
}

async fn purge_from(
    store: &Store,
    tables: &[(&str, &str, i64)],
    now: UtcMillis,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for (table, age, lifetime_ms) in tables {
        let expired_ms = now.get() - lifetime_ms;
        let last_sql = format!(
            "SELECT {age} AS age_ms FROM {table} WHERE {age} < ? ORDER BY {age} LIMIT 1 OFFSET ?"
        );
        let delete_sql = format!("DELETE FROM {table} WHERE {age} <= ?");
        deleted += store
            .transact(async |tx: &Tx| {
                let last: Option<Age> = tx
                    .one(&last_sql, values![expired_ms, limit.saturating_sub(1)])
                    .await?;
                let until_ms = last.map_or(expired_ms - 1, |last| last.age_ms);
                tx.execute(&delete_sql, values![until_ms]).await
            })
            .await?;
    }
    Ok(deleted)
}
