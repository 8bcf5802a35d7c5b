//! Removing files that ended: first from the catalogue, then from the folder, then from the list.

use std::collections::BTreeSet;

use domain::{
    lake::{EndedFile, Table},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{SCHEMA, time_text};
use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// Files that one transaction takes out of the catalogue.
const BATCH: i64 = 500;

#[derive(FromQueryResult)]
struct KeptRow {
    kept: Option<i64>,
}

#[derive(FromQueryResult)]
struct EndedRow {
    data_file_id: i64,
    table_id: i64,
    path: String,
    end_snapshot: i64,
}

#[derive(FromQueryResult)]
struct PathRow {
    path: String,
}

#[derive(FromQueryResult)]
struct ScheduledRow {
    data_file_id: i64,
    path: String,
}

/// Takes the files that ended before `before` out of the catalogue, with the snapshots that still
/// showed them, and schedules them for deletion. True when there may be more of them.
///
/// # Errors
/// When the database fails.
pub async fn expire(store: &Store, before: UtcMillis, now: UtcMillis) -> Result<bool, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let lock = format!(
                "SELECT table_id AS kept FROM lake_versions ORDER BY table_id{}",
                tx.for_update()
            );
            let _: Vec<KeptRow> = tx.all(&lock, values![]).await?;
            // The snapshot that was the newest at `before` stays, and all after it.
            let kept: Option<KeptRow> = tx
                .one(
                    "SELECT MAX(snapshot_id) AS kept FROM ducklake_snapshot \
                     WHERE snapshot_time <= ?",
                    values![time_text(before)],
                )
                .await?;
            let Some(kept) = kept.and_then(|row| row.kept) else {
                return Ok(false);
            };
            let ended: Vec<EndedRow> = tx
                .all(
                    "SELECT data_file_id, table_id, path, end_snapshot FROM ducklake_data_file \
                     WHERE end_snapshot <= ? ORDER BY end_snapshot, data_file_id LIMIT ?",
                    values![kept, BATCH],
                )
                .await?;
            for table in ["ducklake_snapshot", "ducklake_snapshot_changes"] {
                let sql = format!("DELETE FROM {table} WHERE snapshot_id < ?");
                tx.execute(&sql, values![kept]).await?;
            }
            if !ended.is_empty() {
                schedule(tx, &ended, now).await?;
            }
            Ok(i64::try_from(ended.len()) == Ok(BATCH))
        })
        .await
}

async fn schedule(tx: &Tx, ended: &[EndedRow], now: UtcMillis) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO ducklake_files_scheduled_for_deletion \
         (data_file_id, path, path_is_relative, schedule_start) VALUES {}",
        placeholders(ended.len(), 4)
    );
    let mut rows = Vec::new();
    for file in ended {
        rows.extend(values![file.data_file_id, place(file), 1, time_text(now)]);
    }
    tx.execute(&sql, rows).await?;
    let ids: Vec<Value> = ended.iter().map(|file| file.data_file_id.into()).collect();
    for table in ["ducklake_file_column_stats", "ducklake_data_file"] {
        let sql = format!(
            "DELETE FROM {table} WHERE data_file_id IN {}",
            placeholders(1, ids.len())
        );
        tx.execute(&sql, ids.clone()).await?;
    }
    for table in Table::ALL {
        let newest = ended
            .iter()
            .filter(|file| file.table_id == table.id())
            .map(|file| file.end_snapshot)
            .max();
        if let Some(newest) = newest {
            tx.execute(
                "UPDATE lake_versions SET oldest_snapshot = ? \
                 WHERE table_id = ? AND oldest_snapshot < ?",
                values![newest, table.id(), newest],
            )
            .await?;
        }
    }
    Ok(())
}

/// `main/vendas/01JC….parquet`, as DuckLake schedules it.
fn place(file: &EndedRow) -> String {
    let table = Table::ALL
        .into_iter()
        .find(|table| table.id() == file.table_id);
    match table {
        Some(table) => format!("{SCHEMA}/{}/{}", table.name(), file.path),
        None => file.path.clone(),
    }
}

/// Files that are scheduled for deletion, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn scheduled(store: &Store, limit: u32) -> Result<Vec<EndedFile>, StoreError> {
    let rows: Vec<ScheduledRow> = store
        .transact(async |tx: &Tx| {
            tx.all(
                "SELECT data_file_id, path FROM ducklake_files_scheduled_for_deletion \
                 WHERE path_is_relative <> 0 ORDER BY data_file_id LIMIT ?",
                values![limit],
            )
            .await
        })
        .await?;
    Ok(rows.into_iter().filter_map(ended_file).collect())
}

/// `None` for a table that is not ours: the engine that ended the file removes it.
fn ended_file(row: ScheduledRow) -> Option<EndedFile> {
    let (folder, name) = row.path.rsplit_once('/')?;
    let table = Table::ALL
        .into_iter()
        .find(|table| folder == format!("{SCHEMA}/{}", table.name()))?;
    Some(EndedFile {
        id: row.data_file_id,
        table,
        name: name.to_owned(),
    })
}

/// Forgets files that were deleted.
///
/// # Errors
/// When the database fails: they are deleted once more, which harms nobody.
pub async fn forget(store: &Store, ids: &[i64]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM ducklake_files_scheduled_for_deletion WHERE data_file_id IN {}",
        placeholders(1, ids.len())
    );
    store
        .transact(async |tx: &Tx| {
            let values = ids.iter().map(|id| Value::from(*id)).collect();
            tx.execute(&sql, values).await.map(|_| ())
        })
        .await
}

/// Which of these names of a table's files the catalogue knows, scheduled ones among them; what it
/// doesn't know was written by a load that never committed.
///
/// # Errors
/// When the database fails.
pub async fn known_files(
    store: &Store,
    table: Table,
    names: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let places = placeholders(1, names.len());
    let live =
        format!("SELECT path FROM ducklake_data_file WHERE table_id = ? AND path IN {places}");
    let leaving =
        format!("SELECT path FROM ducklake_files_scheduled_for_deletion WHERE path IN {places}");
    let folder = format!("{SCHEMA}/{}/", table.name());
    store
        .transact(async |tx: &Tx| {
            let mut values = values![table.id()];
            values.extend(names.iter().map(|name| Value::from(*name)));
            let mut known: Vec<PathRow> = tx.all(&live, values).await?;
            let values = names
                .iter()
                .map(|name| Value::from(format!("{folder}{name}")))
                .collect();
            known.extend(tx.all::<PathRow>(&leaving, values).await?);
            Ok(known
                .into_iter()
                .map(|row| match row.path.strip_prefix(&folder) {
                    Some(name) => name.to_owned(),
                    None => row.path,
                })
                .collect())
        })
        .await
}
