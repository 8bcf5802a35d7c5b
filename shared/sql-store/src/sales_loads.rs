//! The ledger of loads: which files of sales were seen, and what became of each.

use std::collections::BTreeMap;

use domain::{
    lake::SnapshotId,
    sales::{FileRank, Sums},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};

use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// Keys of one statement.
const BATCH: usize = 1_000;

/// A version of a file: the same one is loaded once, however often it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// When it was last changed, epoch milliseconds.
    pub modified_ms: i64,
    /// Its ETag, or what stands for it.
    pub etag: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// How a load stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStatus {
    /// It began; a run that died is taken up by the next event.
    Loading,
    /// Its lines are in the lake.
    Loaded,
    /// Nothing of it was loaded.
    Refused,
}

impl LoadStatus {
    /// The stored word, which the API tells too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "carregando",
            Self::Loaded => "carregada",
            Self::Refused => "recusada",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        [Self::Loading, Self::Loaded, Self::Refused]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(StoreError::Broken("sales_loads.status"))
    }
}

/// A load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its number: `carga` in the lake.
    pub number: i64,
    /// Its id, for the URL.
    pub id: String,
    /// The file.
    pub file: FileVersion,
    /// How it stands.
    pub status: LoadStatus,
    /// What was counted.
    pub counts: LoadCounts,
    /// The key of the file of bad lines, where there is one.
    pub quarantine_key: Option<String>,
    /// The report as JSON, once there is one.
    pub report: Option<String>,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// The snapshot that it made.
    pub snapshot: Option<SnapshotId>,
}

/// What a load counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadCounts {
    /// Lines read.
    pub read: i64,
    /// Lines that could be kept.
    pub kept: i64,
    /// Lines in quarantine.
    pub quarantined: i64,
    /// Sums of the lines that could be kept.
    pub sums: Sums,
}

/// What is noted of a load before it ends.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was counted.
    pub counts: LoadCounts,
    /// The key of the file of bad lines, where there is one.
    pub quarantine_key: Option<&'a str>,
    /// The report as JSON.
    pub json: &'a str,
}

/// Why a load did not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Another run of the same load has ended it: roll back.
    #[error("another run has ended this load")]
    AlreadyEnded,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const COLUMNS: &str = "number, id, bucket, object_key, etag, modified_ms, size_bytes, status, \
    lines_read, lines_kept, lines_quarantined, quantity, revenue_centavos, orders, \
    quarantine_key, report, started_ms, finished_ms, snapshot_id";

#[derive(FromQueryResult)]
struct Row {
    number: i64,
    id: String,
    bucket: String,
    object_key: String,
    etag: String,
    modified_ms: i64,
    size_bytes: i64,
    status: String,
    lines_read: i64,
    lines_kept: i64,
    lines_quarantined: i64,
    quantity: i64,
    revenue_centavos: i64,
    orders: i64,
    quarantine_key: Option<String>,
    report: Option<String>,
    started_ms: i64,
    finished_ms: Option<i64>,
    snapshot_id: Option<i64>,
}

impl Row {
    fn load(self) -> Result<Load, StoreError> {
        Ok(Load {
            number: self.number,
            id: self.id,
            file: FileVersion {
                bucket: self.bucket,
                key: self.object_key,
                modified_ms: self.modified_ms,
                etag: self.etag,
                size_bytes: u64::try_from(self.size_bytes)
                    .map_err(|_| StoreError::Broken("sales_loads.size_bytes"))?,
            },
            status: LoadStatus::parse(&self.status)?,
            counts: LoadCounts {
                read: self.lines_read,
                kept: self.lines_kept,
                quarantined: self.lines_quarantined,
                sums: Sums {
                    quantity: self.quantity,
                    revenue_centavos: self.revenue_centavos,
                    orders: self.orders,
                },
            },
            quarantine_key: self.quarantine_key,
            report: self.report,
            started_ms: self.started_ms,
            finished_ms: self.finished_ms,
            snapshot: self.snapshot_id.map(SnapshotId),
        })
    }
}

/// Begins the load of a file, or finds the load of this very version: it goes on where its status
/// says `Loading`, and is over otherwise.
///
/// # Errors
/// When the database fails.
pub async fn begin(store: &Store, file: &FileVersion, now: UtcMillis) -> Result<Load, StoreError> {
    #[derive(FromQueryResult)]
    struct Newest {
        number: Option<i64>,
    }
    let identity = hash(&[
        &file.bucket,
        &file.key,
        &file.modified_ms.to_string(),
        &file.etag,
    ]);
    let size_bytes = i64::try_from(file.size_bytes).unwrap_or(i64::MAX);
    let known = format!("SELECT {COLUMNS} FROM sales_loads WHERE identity = ?");
    store
        .transact(async |tx: &Tx| {
            if let Some(row) = tx.one::<Row>(&known, values![identity.as_str()]).await? {
                return row.load();
            }
            let newest: Option<Newest> = tx
                .one("SELECT MAX(number) AS number FROM sales_loads", values![])
                .await?;
            let number = newest.and_then(|row| row.number).unwrap_or(0) + 1;
            let is_new = tx
                .insert_new(
                    "INSERT INTO sales_loads (number, id, identity, place, bucket, object_key, \
                     etag, modified_ms, size_bytes, status, lines_read, lines_kept, \
                     lines_quarantined, quantity, revenue_centavos, orders, started_ms) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, ?)",
                    values![
                        number,
                        tx.new_id(now)?,
                        identity.as_str(),
                        place(&file.bucket, &file.key),
                        file.bucket.as_str(),
                        file.key.as_str(),
                        file.etag.as_str(),
                        file.modified_ms,
                        size_bytes,
                        LoadStatus::Loading.as_str(),
                        now.get(),
                    ],
                )
                .await?;
            if !is_new {
                // Somebody took the number, or announced the same file: look again.
                return Err(tx.redo());
            }
            let row: Option<Row> = tx.one(&known, values![identity.as_str()]).await?;
            row.ok_or(StoreError::Broken("sales_loads hides a row"))?
                .load()
        })
        .await
}

/// Notes what was read of the file.
///
/// # Errors
/// [`EndError::AlreadyEnded`] when the load is over.
pub async fn note(tx: &Tx, number: i64, report: Report<'_>) -> Result<(), EndError> {
    let changed = tx
        .execute(
            "UPDATE sales_loads SET lines_read = ?, lines_kept = ?, lines_quarantined = ?, \
             quantity = ?, revenue_centavos = ?, orders = ?, quarantine_key = ?, report = ? \
             WHERE number = ? AND status = 'carregando'",
            values![
                report.counts.read,
                report.counts.kept,
                report.counts.quarantined,
                report.counts.sums.quantity,
                report.counts.sums.revenue_centavos,
                report.counts.sums.orders,
                report.quarantine_key,
                report.json,
                number,
            ],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(EndError::AlreadyEnded)
    }
}

/// Ends a load of which nothing was loaded.
///
/// # Errors
/// [`EndError::AlreadyEnded`] when the load is over.
pub async fn refuse(
    store: &Store,
    number: i64,
    report: Report<'_>,
    now: UtcMillis,
) -> Result<(), EndError> {
    store
        .transact(async |tx: &Tx| {
            note(tx, number, report).await?;
            end(tx, number, LoadStatus::Refused, None, now).await
        })
        .await
}

/// Ends a load in the transaction of its commit.
///
/// # Errors
/// [`EndError::AlreadyEnded`] when another run of it was faster.
pub async fn finish(
    tx: &Tx,
    number: i64,
    report: Report<'_>,
    snapshot: SnapshotId,
    now: UtcMillis,
) -> Result<(), EndError> {
    note(tx, number, report).await?;
    end(tx, number, LoadStatus::Loaded, Some(snapshot), now).await
}

async fn end(
    tx: &Tx,
    number: i64,
    status: LoadStatus,
    snapshot: Option<SnapshotId>,
    now: UtcMillis,
) -> Result<(), EndError> {
    let changed = tx
        .execute(
            "UPDATE sales_loads SET status = ?, finished_ms = ?, snapshot_id = ? \
             WHERE number = ? AND status = 'carregando'",
            values![
                status.as_str(),
                now.get(),
                snapshot.map(|snapshot| snapshot.0),
                number,
            ],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(EndError::AlreadyEnded)
    }
}

/// The load with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(store: &Store, id: &str) -> Result<Option<Load>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sales_loads WHERE id = ?");
    store
        .transact(async |tx: &Tx| {
            let row: Option<Row> = tx.one(&sql, values![id]).await?;
            row.map(Row::load).transpose()
        })
        .await
}

/// The ranks of loads by their numbers.
///
/// # Errors
/// When the database fails.
pub async fn ranks(store: &Store, numbers: &[i64]) -> Result<BTreeMap<i64, FileRank>, StoreError> {
    let mut all = BTreeMap::new();
    for numbers in numbers.chunks(BATCH) {
        let sql = format!(
            "SELECT {COLUMNS} FROM sales_loads WHERE number IN {}",
            placeholders(1, numbers.len())
        );
        let rows: Vec<Row> = store
            .transact(async |tx: &Tx| {
                let values = numbers.iter().map(|number| Value::from(*number)).collect();
                tx.all(&sql, values).await
            })
            .await?;
        all.extend(rows.into_iter().map(|row| {
            let rank = FileRank {
                modified_ms: row.modified_ms,
                key: row.object_key,
            };
            (row.number, rank)
        }));
    }
    Ok(all)
}

/// A loaded version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct LoadedVersion {
    /// The load's number.
    pub number: i64,
    /// When the file was changed.
    pub modified_ms: i64,
}

/// The loaded versions of a key, newest first: a load of it takes away the lines of the older
/// ones, and has none where a newer one is there. Ask in the commit's transaction, after
/// [`crate::lake::commit`]: then no other load can end before it.
///
/// # Errors
/// When the database fails.
pub async fn loaded_versions(
    tx: &Tx,
    bucket: &str,
    key: &str,
) -> Result<Vec<LoadedVersion>, StoreError> {
    tx.all(
        "SELECT number, modified_ms FROM sales_loads WHERE place = ? AND status = 'carregada' \
         ORDER BY modified_ms DESC, number DESC",
        values![place(bucket, key)],
    )
    .await
}

/// When the newest load ended well; `None` where none did.
///
/// # Errors
/// When the database fails.
pub async fn newest_end(store: &Store) -> Result<Option<UtcMillis>, StoreError> {
    #[derive(FromQueryResult)]
    struct Newest {
        finished_ms: Option<i64>,
    }
    let newest: Option<Newest> = store
        .transact(async |tx: &Tx| {
            tx.one(
                "SELECT MAX(finished_ms) AS finished_ms FROM sales_loads \
                 WHERE status = 'carregada'",
                values![],
            )
            .await
        })
        .await?;
    newest
        .and_then(|row| row.finished_ms)
        .map(|finished_ms| UtcMillis::new(finished_ms).map_err(Into::into))
        .transpose()
}

/// Bucket and key in the width of an index.
pub(crate) fn place(bucket: &str, key: &str) -> String {
    hash(&[bucket, key])
}

/// A hash of texts, each with its length before it, so that no two lists give the same bytes.
fn hash(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.len().to_le_bytes());
        digest.update(text.as_bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in digest.finalize() {
        use std::fmt::Write;
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
