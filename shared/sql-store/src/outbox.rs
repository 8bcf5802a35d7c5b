//! The outbox: domain events are written in the transaction of their cause and sent after it.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};

use crate::{Store, StoreError, Tx, placeholders, values};

/// Key shards that publishers lease.
pub const SHARDS: u32 = 16;

/// A domain event on its way out. Its payload holds ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its type, such as `voucher.emitido`.
    pub event_type: &'static str,
    /// What it is about: events of one key leave in the order of their versions.
    pub aggregate_key: String,
    /// The aggregate's version, taken under its row's lock.
    pub version: i64,
    /// The event as JSON, without `id_evento`, which is added on sending.
    pub payload: String,
}

/// An event that was not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct OutgoingEvent {
    /// The event's own id: the same however often it is sent.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// What it is about.
    pub aggregate_key: String,
    /// The aggregate's version.
    pub version: i64,
    /// The event as JSON.
    pub payload: String,
    /// When it happened.
    pub created_ms: i64,
}

/// The shard of a key.
#[must_use]
pub fn shard_of(aggregate_key: &str) -> u32 {
    let digest = Sha256::digest(aggregate_key.as_bytes());
    u32::from(digest.first().copied().unwrap_or_default()) % SHARDS
}

impl Tx {
    /// Writes events to the outbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish(&self, events: &[NewEvent], now: UtcMillis) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO outbox (id, shard, aggregate_key, version, event_type, payload, created_ms) \
             VALUES {}",
            placeholders(events.len(), 7)
        );
        let mut all = Vec::with_capacity(events.len() * 7);
        for event in events {
            all.extend(values![
                self.new_id(now)?,
                shard_of(&event.aggregate_key),
                event.aggregate_key.as_str(),
                event.version,
                event.event_type,
                event.payload.as_str(),
                now.get(),
            ]);
        }
        self.execute(&sql, all).await?;
        self.note_published();
        Ok(())
    }
}

/// Leases a shard to `holder` until `until`. False when another publisher holds it.
///
/// # Errors
/// When the database fails.
pub async fn lease_shard(
    store: &Store,
    shard: u32,
    holder: &str,
    now: UtcMillis,
    until: UtcMillis,
) -> Result<bool, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let taken = tx
                .execute(
                    "UPDATE outbox_shards SET holder = ?, leased_until_ms = ? \
                     WHERE shard = ? AND (leased_until_ms <= ? OR holder = ?)",
                    values![holder, until.get(), shard, now.get(), holder],
                )
                .await?;
            if taken > 0 {
                return Ok(true);
            }
            tx.insert_new(
                "INSERT INTO outbox_shards (shard, holder, leased_until_ms) VALUES (?, ?, ?)",
                values![shard, holder, until.get()],
            )
            .await
        })
        .await
}

/// Gives a shard back before its lease ends.
///
/// # Errors
/// When the database fails; the lease then ends by itself.
pub async fn release_shard(store: &Store, shard: u32, holder: &str) -> Result<(), StoreError> {
    store
        .transact(async |tx: &Tx| {
            tx.execute(
                "UPDATE outbox_shards SET leased_until_ms = 0 WHERE shard = ? AND holder = ?",
                values![shard, holder],
            )
            .await
            .map(|_| ())
        })
        .await
}

#[derive(FromQueryResult)]
struct ShardRow {
    shard: i32,
}

/// Shards that have something of these types to send.
///
/// # Errors
/// When the database fails.
pub async fn waiting_shards(store: &Store, types: &[&str]) -> Result<Vec<u32>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT shard FROM outbox WHERE event_type IN {} ORDER BY shard",
        placeholders(1, types.len())
    );
    store
        .transact(async |tx: &Tx| {
            let rows: Vec<ShardRow> = tx.all(&sql, texts(types)).await?;
            Ok(rows
                .iter()
                .filter_map(|row| u32::try_from(row.shard).ok())
                .collect())
        })
        .await
}

/// How many events have a type that is none of these: nobody would ever send them.
///
/// # Errors
/// When the database fails.
pub async fn unrouted(store: &Store, types: &[&str]) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        events: i64,
    }
    let sql = format!(
        "SELECT COUNT(*) AS events FROM outbox WHERE event_type NOT IN {}",
        placeholders(1, types.len())
    );
    store
        .transact(async |tx: &Tx| {
            let row: Option<Row> = tx.one(&sql, texts(types)).await?;
            Ok(row.map_or(0, |row| row.events))
        })
        .await
}

/// Unsent events of a shard and of these types: whole keys, each in the order of its versions,
/// oldest keys first. There is no "id greater than the last", since commits overtake each other.
/// Keys in `delayed` are left out: a queue has just refused one of their events.
///
/// # Errors
/// When the database fails.
pub async fn unsent(
    store: &Store,
    shard: u32,
    types: &[&str],
    delayed: &BTreeSet<String>,
    limit: u32,
) -> Result<Vec<OutgoingEvent>, StoreError> {
    const COLUMNS: &str = "id, event_type, aggregate_key, version, payload, created_ms";
    let of_types = placeholders(1, types.len());
    let others = if delayed.is_empty() {
        String::new()
    } else {
        format!(
            "AND aggregate_key NOT IN {}",
            placeholders(1, delayed.len())
        )
    };
    let oldest_sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE shard = ? AND event_type IN {of_types} {others} \
         ORDER BY created_ms, id LIMIT ?"
    );
    store
        .transact(async |tx: &Tx| {
            let mut values = values![shard];
            values.extend(texts(types));
            values.extend(delayed.iter().map(|key| crate::Value::from(key.as_str())));
            values.push(limit.into());
            let oldest: Vec<OutgoingEvent> = tx.all(&oldest_sql, values).await?;
            let mut order = BTreeMap::new();
            for event in &oldest {
                let next = order.len();
                order.entry(event.aggregate_key.clone()).or_insert(next);
            }
            if order.is_empty() {
                return Ok(oldest);
            }
            let sql = format!(
                "SELECT {COLUMNS} FROM outbox WHERE shard = ? AND event_type IN {of_types} \
                 AND aggregate_key IN {} ORDER BY aggregate_key, version",
                placeholders(1, order.len())
            );
            let mut values = values![shard];
            values.extend(texts(types));
            values.extend(order.keys().map(|key| crate::Value::from(key.as_str())));
            let mut events: Vec<OutgoingEvent> = tx.all(&sql, values).await?;
            events.sort_by_key(|event| (order.get(&event.aggregate_key).copied(), event.version));
            Ok(events)
        })
        .await
}

fn texts(texts: &[&str]) -> Vec<crate::Value> {
    texts.iter().map(|text| crate::Value::from(*text)).collect()
}

/// Forgets events that were sent. A crash before this sends them again, with the same ids.
///
/// # Errors
/// When the database fails.
pub async fn forget_sent(store: &Store, ids: &[String]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM outbox WHERE id IN {}",
        placeholders(1, ids.len())
    );
    store
        .transact(async |tx: &Tx| {
            let values = ids
                .iter()
                .map(|id| crate::Value::from(id.as_str()))
                .collect();
            tx.execute(&sql, values).await.map(|_| ())
        })
        .await
}
