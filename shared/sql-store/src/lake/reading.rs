//! Which files a snapshot has.

use std::collections::HashMap;

use domain::{
    lake::{DataFile, Snapshot, SnapshotId, Table},
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use super::parse_time;
use crate::{Store, StoreError, Tx, placeholders, values};

/// Why a snapshot's files are not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// Files of it were removed, or it never was.
    #[error("the files of this snapshot are not there any more")]
    SnapshotGone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(FromQueryResult)]
struct ChangeRow {
    snapshot_id: i64,
    changed_ms: i64,
}

#[derive(FromQueryResult)]
struct ForeignRow {
    snapshot_id: i64,
    snapshot_time: String,
}

/// The newest snapshot that added or ended a file of these tables; `None` before the lake is
/// registered.
///
/// # Errors
/// When the database fails.
pub async fn latest(store: &Store, tables: &[Table]) -> Result<Option<Snapshot>, StoreError> {
    let places = placeholders(1, tables.len());
    let ids = || -> Vec<crate::Value> { tables.iter().map(|table| table.id().into()).collect() };
    let ours = format!(
        "SELECT changed_snapshot AS snapshot_id, changed_ms FROM lake_versions \
         WHERE table_id IN {places} ORDER BY changed_snapshot DESC LIMIT 1"
    );
    // What another engine committed is in its files only.
    let foreign = format!(
        "SELECT s.snapshot_id, s.snapshot_time FROM ducklake_snapshot s WHERE s.snapshot_id > ? \
         AND EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.table_id IN {places} \
         AND (f.begin_snapshot = s.snapshot_id OR f.end_snapshot = s.snapshot_id)) \
         ORDER BY s.snapshot_id DESC LIMIT 1"
    );
    store
        .transact(async |tx: &Tx| {
            let Some(ours) = tx.one::<ChangeRow>(&ours, ids()).await? else {
                return Ok(None);
            };
            let mut values = values![ours.snapshot_id];
            values.extend(ids());
            let (id, committed) = match tx.one::<ForeignRow>(&foreign, values).await? {
                Some(foreign) => (foreign.snapshot_id, parse_time(&foreign.snapshot_time)?),
                None => (ours.snapshot_id, UtcMillis::new(ours.changed_ms)?),
            };
            Ok(Some(Snapshot {
                id: SnapshotId(id),
                committed,
            }))
        })
        .await
}

/// The newest snapshot of the whole lake: what a commit is based on. `None` before the lake is
/// registered.
///
/// # Errors
/// When the database fails.
pub async fn newest_snapshot(store: &Store) -> Result<Option<Snapshot>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let Some(row) = super::newest(tx).await? else {
                return Ok(None);
            };
            let committed: UtcMillis = parse_time(&row.snapshot_time)?;
            Ok(Some(Snapshot {
                id: SnapshotId(row.snapshot_id),
                committed,
            }))
        })
        .await
}

#[derive(FromQueryResult)]
struct FileRow {
    data_file_id: i64,
    path: String,
    record_count: i64,
    file_size_bytes: i64,
}

#[derive(FromQueryResult)]
struct RangeRow {
    data_file_id: i64,
    column_id: i64,
    min_value: String,
    max_value: String,
}

#[derive(FromQueryResult)]
struct OldestRow {
    oldest_snapshot: i64,
}

/// The least and the greatest value by file and column.
type Ranges = HashMap<(i64, i64), (String, String)>;

/// The files of a table at a snapshot, oldest first.
///
/// # Errors
/// [`FilesError::SnapshotGone`] when files that it had were removed.
pub async fn files_at(
    store: &Store,
    table: Table,
    snapshot: SnapshotId,
) -> Result<Vec<DataFile>, FilesError> {
    let columns: Vec<i64> = ["dia", "id_pedido", "carga"]
        .into_iter()
        .filter_map(|name| table.column_id(name))
        .collect();
    let ranges_sql = format!(
        "SELECT s.data_file_id, s.column_id, s.min_value, s.max_value \
         FROM ducklake_data_file f JOIN ducklake_file_column_stats s \
         ON s.data_file_id = f.data_file_id \
         WHERE f.table_id = ? AND f.begin_snapshot <= ? \
         AND (f.end_snapshot IS NULL OR f.end_snapshot > ?) \
         AND s.min_value IS NOT NULL AND s.max_value IS NOT NULL AND s.column_id IN {}",
        placeholders(1, columns.len())
    );
    let at = || values![table.id(), snapshot.0, snapshot.0];
    store
        .transact(async |tx: &Tx| {
            let oldest: Option<OldestRow> = tx
                .one(
                    "SELECT oldest_snapshot FROM lake_versions WHERE table_id = ?",
                    values![table.id()],
                )
                .await?;
            if oldest.is_none_or(|row| snapshot.0 < row.oldest_snapshot) {
                return Err(FilesError::SnapshotGone);
            }
            let files: Vec<FileRow> = tx
                .all(
                    "SELECT data_file_id, path, record_count, file_size_bytes \
                     FROM ducklake_data_file WHERE table_id = ? AND begin_snapshot <= ? \
                     AND (end_snapshot IS NULL OR end_snapshot > ?) ORDER BY data_file_id",
                    at(),
                )
                .await?;
            let mut values = at();
            values.extend(columns.iter().map(|column| crate::Value::from(*column)));
            let ranges: Vec<RangeRow> = tx.all(&ranges_sql, values).await?;
            let mut ranges: Ranges = ranges
                .into_iter()
                .map(|row| {
                    (
                        (row.data_file_id, row.column_id),
                        (row.min_value, row.max_value),
                    )
                })
                .collect();
            files
                .into_iter()
                .map(|row| data_file(table, row, &mut ranges).map_err(Into::into))
                .collect()
        })
        .await
}

fn data_file(table: Table, row: FileRow, ranges: &mut Ranges) -> Result<DataFile, StoreError> {
    let mut range = |name| {
        let column = table.column_id(name)?;
        ranges.remove(&(row.data_file_id, column))
    };
    let days = match range("dia") {
        Some((first, last)) => Some((Day::parse(&first)?, Day::parse(&last)?)),
        None => None,
    };
    let orders = range("id_pedido");
    let loads = match range("carga") {
        Some((least, greatest)) => Some((number(&least)?, number(&greatest)?)),
        None => None,
    };
    Ok(DataFile {
        id: row.data_file_id,
        name: row.path,
        rows: size(row.record_count)?,
        size_bytes: size(row.file_size_bytes)?,
        days,
        orders,
        loads,
    })
}

fn number(text: &str) -> Result<i64, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Broken("ducklake_file_column_stats of a number"))
}

fn size(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Broken("ducklake_data_file has a negative size"))
}

/// The newest snapshot of a table and its files; `None` before the lake is registered.
///
/// # Errors
/// When the database fails.
pub async fn newest_files(
    store: &Store,
    table: Table,
) -> Result<Option<(SnapshotId, Vec<DataFile>)>, StoreError> {
    let Some(snapshot) = latest(store, &[table]).await? else {
        return Ok(None);
    };
    match files_at(store, table, snapshot.id).await {
        Ok(files) => Ok(Some((snapshot.id, files))),
        // It would have to be a day old and replaced between the two questions.
        Err(FilesError::SnapshotGone) => Err(StoreError::Contended { attempts: 1 }),
        Err(FilesError::Store(error)) => Err(error),
    }
}
