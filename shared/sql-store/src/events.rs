//! Events of customers: told apart from those that came before, and their effects in one
//! transaction with their marks.

mod conflicts;
pub mod live;
pub mod profiles;
pub mod views;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    events::{CustomerEvent, EventKind, Minute, Standing},
    lake::{SnapshotId, WrittenFile},
    live::Figures,
    profiles::BuyerProfile,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};

use crate::{
    Store, StoreError, Tx, Value,
    lake::{self, Change, CommitError},
    placeholders, values,
};

pub use conflicts::{ConflictId, ConflictRow, conflict, conflicts, forget_conflict};

/// Rows of one statement.
pub const BATCH: usize = 500;

/// What tells an event from every other: a hash of its identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(String);

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its identity.
    pub key: EventKey,
    /// What it says.
    pub event: CustomerEvent,
}

/// A batch, told apart: each place stands in one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sorted {
    /// Places of events that are new.
    pub fresh: Vec<usize>,
    /// Places of those that came before, or earlier in the batch.
    pub duplicates: Vec<usize>,
    /// Places of those with the identity of another event that said something else.
    pub conflicts: Vec<usize>,
}

/// What is committed of a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// All that came.
    pub incoming: &'a [Incoming],
    /// What is new in it.
    pub sorted: &'a Sorted,
    /// Profiles by user, of those who have one.
    pub profiles: &'a BTreeMap<String, BuyerProfile>,
    /// The file of the new events.
    pub file: Option<&'a WrittenFile>,
    /// Whether clicks are noted in `click_log`: not where they are documents elsewhere.
    pub logs_clicks: bool,
}

/// What a committed batch was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchCounts {
    /// New events.
    pub events: i64,
    /// `clique` among them.
    pub clicks: i64,
    /// `carrinho` among them.
    pub carts: i64,
    /// `compra` among them.
    pub purchases: i64,
    /// Events that came before.
    pub duplicates: i64,
    /// Events with another one's identity.
    pub conflicts: i64,
    /// New ones whose minute live figures have passed.
    pub late: i64,
    /// New ones from a clock that is ahead.
    pub ahead: i64,
}

/// Why a batch was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Another instance took one of the events meanwhile: tell them apart again.
    #[error("one of the events was ingested meanwhile")]
    Raced,
    /// The lake was not registered.
    #[error("the lake is not registered")]
    NotRegistered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for IngestError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotRegistered => Self::NotRegistered,
            // Nothing is watched and nothing ends: there is no conflict to meet.
            CommitError::Conflict => Self::Raced,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl EventKey {
    /// Of an identity: `id_evento`, else the coordinates.
    #[must_use]
    pub fn of(identity: &str) -> Self {
        let digest = Sha256::digest(identity.as_bytes());
        Self(
            digest
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Incoming {
    /// Tells what it says from what another event with its identity says.
    #[must_use]
    pub fn content_hash(&self) -> i64 {
        let digest = Sha256::digest(self.event.content().as_bytes());
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(first)
    }
}

#[derive(FromQueryResult)]
struct KnownRow {
    event_key: String,
    content_hash: i64,
}

#[derive(FromQueryResult)]
struct DuplicatesRow {
    duplicates: Option<i64>,
}

/// How many events came that had come before, in the batches that are remembered.
///
/// # Errors
/// When the database fails.
pub async fn duplicates(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(SUM(duplicates) AS SIGNED) AS duplicates FROM event_batches";
    let work = async |tx: &Tx| tx.one::<DuplicatesRow>(sql, values![]).await;
    let row = store.transact::<_, StoreError, _>(work).await?;
    Ok(row.and_then(|row| row.duplicates).unwrap_or_default())
}

/// Tells the events of a batch apart. It holds until another instance commits: [`commit`] notices.
///
/// # Errors
/// When the database fails.
pub async fn sort(store: &Store, incoming: &[Incoming]) -> Result<Sorted, StoreError> {
    let keys: BTreeSet<&str> = incoming.iter().map(|one| one.key.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    for keys in keys.chunks(BATCH) {
        let sql = format!(
            "SELECT event_key, content_hash FROM ingested_events WHERE event_key IN {}",
            placeholders(1, keys.len())
        );
        let rows: Vec<KnownRow> = store
            .transact(async |tx: &Tx| {
                let values = keys.iter().map(|key| Value::from(*key)).collect();
                tx.all(&sql, values).await
            })
            .await?;
        known.extend(
            rows.into_iter()
                .map(|row| (row.event_key, row.content_hash)),
        );
    }
    let mut sorted = Sorted::default();
    for (place, one) in incoming.iter().enumerate() {
        let hash = one.content_hash();
        match known.get(one.key.as_str()) {
            None => {
                known.insert(one.key.as_str().to_owned(), hash);
                sorted.fresh.push(place);
            }
            Some(before) if *before == hash => sorted.duplicates.push(place),
            Some(_) => sorted.conflicts.push(place),
        }
    }
    Ok(sorted)
}

/// Writes marks and effects of a batch in one transaction, the lake's file among them.
///
/// # Errors
/// See [`IngestError`]; then nothing of the batch is there.
pub async fn commit(
    store: &Store,
    batch: &Batch<'_>,
    now: UtcMillis,
) -> Result<BatchCounts, IngestError> {
    let fresh: Vec<&Incoming> = places(batch.incoming, &batch.sorted.fresh);
    let conflicts: Vec<&Incoming> = places(batch.incoming, &batch.sorted.conflicts);
    store
        .transact(async |tx: &Tx| {
            let batch_id = tx.new_id(now)?;
            mark(tx, &fresh, now).await?;
            keep_aside(tx, &conflicts, now).await?;
            let mut counts = counted(&fresh, now);
            counts.duplicates = whole(batch.sorted.duplicates.len());
            counts.conflicts = whole(conflicts.len());
            note_batch(tx, &batch_id, &counts, now).await?;
            live::append(tx, &batch_id, &figures_by_minute(&fresh, now)).await?;
            views::append(tx, &batch_id, &fresh).await?;
            if batch.logs_clicks {
                views::log_clicks(tx, &fresh, batch.profiles, now).await?;
            }
            if let Some(file) = batch.file {
                // Last, since all writers of the lake queue up at its lock.
                let change = Change {
                    added: std::slice::from_ref(file),
                    ended: &[],
                    note: "events of customers",
                };
                lake::commit(tx, SnapshotId(0), &[], change, now).await?;
            }
            Ok(counts)
        })
        .await
}

fn places<'a>(incoming: &'a [Incoming], places: &[usize]) -> Vec<&'a Incoming> {
    places
        .iter()
        .filter_map(|place| incoming.get(*place))
        .collect()
}

async fn mark(tx: &Tx, fresh: &[&Incoming], now: UtcMillis) -> Result<(), IngestError> {
    // In the order of their keys, so that two instances don't wait for each other.
    let mut fresh = fresh.to_vec();
    fresh.sort_by(|left, right| left.key.cmp(&right.key));
    for rows in fresh.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO ingested_events (event_key, content_hash, ingested_ms) VALUES {}",
            placeholders(rows.len(), 3)
        );
        let values = rows
            .iter()
            .flat_map(|one| values![one.key.as_str(), one.content_hash(), now.get()])
            .collect();
        if !tx.insert_new(&sql, values).await? {
            return Err(IngestError::Raced);
        }
    }
    Ok(())
}

/// The first one with another content is kept; where it comes again, it is there already.
async fn keep_aside(tx: &Tx, conflicts: &[&Incoming], now: UtcMillis) -> Result<(), StoreError> {
    for one in conflicts {
        tx.insert_new(
            "INSERT INTO conflicting_events (event_key, content_hash, content, received_ms) \
             VALUES (?, ?, ?, ?)",
            values![
                one.key.as_str(),
                one.content_hash(),
                one.event.content(),
                now.get()
            ],
        )
        .await?;
    }
    Ok(())
}

fn counted(fresh: &[&Incoming], now: UtcMillis) -> BatchCounts {
    let mut counts = BatchCounts::default();
    for one in fresh {
        counts.events += 1;
        match one.event.kind {
            EventKind::Click => counts.clicks += 1,
            EventKind::Cart => counts.carts += 1,
            EventKind::Purchase => counts.purchases += 1,
            EventKind::Other(_) => {}
        }
        match one.event.standing(now) {
            Standing::Live => {}
            Standing::Late => counts.late += 1,
            Standing::Ahead => counts.ahead += 1,
        }
    }
    counts
}

fn figures_by_minute(fresh: &[&Incoming], now: UtcMillis) -> BTreeMap<Minute, Figures> {
    let mut minutes: BTreeMap<Minute, Figures> = BTreeMap::new();
    for one in fresh {
        if one.event.standing(now) == Standing::Live {
            let minute = Minute::of(one.event.occurred);
            minutes.entry(minute).or_default().count(&one.event);
        }
    }
    minutes
}

async fn note_batch(
    tx: &Tx,
    batch_id: &str,
    counts: &BatchCounts,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO event_batches (batch_id, received_ms, events, clicks, carts, purchases, \
         duplicates, conflicts, late, ahead) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            batch_id,
            now.get(),
            counts.events,
            counts.clicks,
            counts.carts,
            counts.purchases,
            counts.duplicates,
            counts.conflicts,
            counts.late,
            counts.ahead,
        ],
    )
    .await?;
    Ok(())
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
