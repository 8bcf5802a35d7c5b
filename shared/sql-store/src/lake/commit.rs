//! Committing files: they become visible with the transaction that does it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    lake::{ColumnSummary, SnapshotId, Table, WrittenFile},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{SnapshotRow, insert_snapshot, newest, time_text};
use crate::{StoreError, Tx, Value, placeholders, values};

/// Ids or rows of one statement, so that it stays far below what a database takes (SQLite: 32766
/// values).
const BATCH: usize = 500;

/// What a commit changes.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Files that come.
    pub added: &'a [WrittenFile],
    /// Numbers of files that go.
    pub ended: &'a [i64],
    /// What it is for, in words that every reader of the catalogue may see.
    pub note: &'a str,
}

/// Why nothing was committed: roll back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A watched table changed since the snapshot that the change is based on: look again.
    #[error("the lake changed since it was looked at")]
    Conflict,
    /// The lake was not registered.
    #[error("the lake is not registered")]
    NotRegistered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(FromQueryResult)]
struct VersionRow {
    table_id: i64,
    changed_snapshot: i64,
}

#[derive(FromQueryResult)]
struct EndedRow {
    table_id: i64,
    record_count: i64,
    file_size_bytes: i64,
}

#[derive(FromQueryResult)]
struct TotalsRow {
    record_count: i64,
    next_row_id: i64,
    file_size_bytes: i64,
}

#[derive(FromQueryResult)]
struct ColumnRow {
    column_id: i64,
    contains_null: i64,
    min_value: Option<String>,
    max_value: Option<String>,
}

/// Adds and ends files in one snapshot, in the caller's transaction. `base` is the snapshot that
/// the change was worked out from; whoever commits next waits for this transaction's end. A change
/// of nothing makes no snapshot and answers the newest.
///
/// # Errors
/// [`CommitError::Conflict`] when one of `watched` was changed after `base`, or an ended file is
/// ended already.
pub async fn commit(
    tx: &Tx,
    base: SnapshotId,
    watched: &[Table],
    change: Change<'_>,
    now: UtcMillis,
) -> Result<SnapshotId, CommitError> {
    write(tx, base, watched, change, (now, true)).await
}

/// Adds files with the very rows of those that it ends. It has a snapshot of its own, but when rows
/// came last stays what it was.
///
/// # Errors
/// [`CommitError::Conflict`] when an ended file is ended already.
pub async fn rearrange(
    tx: &Tx,
    change: Change<'_>,
    now: UtcMillis,
) -> Result<SnapshotId, CommitError> {
    write(tx, SnapshotId(0), &[], change, (now, false)).await
}

async fn write(
    tx: &Tx,
    base: SnapshotId,
    watched: &[Table],
    change: Change<'_>,
    (now, has_news): (UtcMillis, bool),
) -> Result<SnapshotId, CommitError> {
    let sql = format!(
        "SELECT table_id, changed_snapshot FROM lake_versions ORDER BY table_id{}",
        tx.for_update()
    );
    let versions: Vec<VersionRow> = tx.all(&sql, values![]).await?;
    let before = newest(tx).await?.ok_or(CommitError::NotRegistered)?;
    refuse_conflict(tx, base, watched, &versions).await?;
    if change.added.is_empty() && change.ended.is_empty() {
        return Ok(SnapshotId(before.snapshot_id));
    }
    let added_files = i64::try_from(change.added.len()).unwrap_or(i64::MAX);
    let snapshot = SnapshotRow {
        snapshot_id: before.snapshot_id + 1,
        snapshot_time: time_text(now),
        next_file_id: before.next_file_id.saturating_add(added_files),
        ..before
    };
    let ended = ended_files(tx, change.ended).await?;
    let changes = changes_of(change.added, &ended);
    insert_snapshot(tx, &snapshot, &changes, change.note).await?;
    end_files(tx, change.ended, snapshot.snapshot_id).await?;
    for table in Table::ALL {
        let added: Vec<(i64, &WrittenFile)> = (before.next_file_id..)
            .zip(change.added)
            .filter(|(_, file)| file.table == table)
            .collect();
        let gone: Vec<&EndedRow> = ended
            .iter()
            .filter(|row| row.table_id == table.id())
            .collect();
        if added.is_empty() && gone.is_empty() {
            continue;
        }
        let first_row = count(tx, table, &added, &gone).await?;
        add_files(tx, table, &added, first_row, snapshot.snapshot_id).await?;
        widen_columns(tx, table, &added).await?;
        tx.execute(
            "UPDATE lake_versions SET changed_snapshot = ? WHERE table_id = ?",
            values![snapshot.snapshot_id, table.id()],
        )
        .await?;
        if has_news {
            tx.execute(
                "UPDATE lake_versions SET changed_ms = ? WHERE table_id = ?",
                values![now.get(), table.id()],
            )
            .await?;
        }
    }
    Ok(SnapshotId(snapshot.snapshot_id))
}

/// Our own commits are in `lake_versions`; those of another engine only in their files.
async fn refuse_conflict(
    tx: &Tx,
    base: SnapshotId,
    watched: &[Table],
    versions: &[VersionRow],
) -> Result<(), CommitError> {
    if watched.is_empty() {
        return Ok(());
    }
    let changed_by_us = versions.iter().any(|row| {
        row.changed_snapshot > base.0 && watched.iter().any(|table| table.id() == row.table_id)
    });
    let sql = format!(
        "SELECT 1 FROM ducklake_data_file WHERE (begin_snapshot > ? OR end_snapshot > ?) \
         AND table_id IN {} LIMIT 1",
        placeholders(1, watched.len())
    );
    let mut values = values![base.0, base.0];
    values.extend(watched.iter().map(|table| Value::from(table.id())));
    if changed_by_us || tx.exists(&sql, values).await? {
        return Err(CommitError::Conflict);
    }
    Ok(())
}

async fn ended_files(tx: &Tx, ids: &[i64]) -> Result<Vec<EndedRow>, CommitError> {
    let mut rows = Vec::new();
    for ids in ids.chunks(BATCH) {
        let sql = format!(
            "SELECT table_id, record_count, file_size_bytes FROM ducklake_data_file \
             WHERE end_snapshot IS NULL AND data_file_id IN {}",
            placeholders(1, ids.len())
        );
        let found: Vec<EndedRow> = tx.all(&sql, numbers(ids)).await?;
        rows.extend(found);
    }
    if rows.len() == ids.len() {
        Ok(rows)
    } else {
        Err(CommitError::Conflict)
    }
}

async fn end_files(tx: &Tx, ids: &[i64], snapshot: i64) -> Result<(), CommitError> {
    for ids in ids.chunks(BATCH) {
        let sql = format!(
            "UPDATE ducklake_data_file SET end_snapshot = ? \
             WHERE end_snapshot IS NULL AND data_file_id IN {}",
            placeholders(1, ids.len())
        );
        let mut values = values![snapshot];
        values.extend(numbers(ids));
        let ended = tx.execute(&sql, values).await?;
        if usize::try_from(ended) != Ok(ids.len()) {
            return Err(CommitError::Conflict);
        }
    }
    Ok(())
}

/// `inserted_into_table:1,deleted_from_table:1`, as DuckLake's own conflict check reads it.
fn changes_of(added: &[WrittenFile], ended: &[EndedRow]) -> String {
    let inserted: BTreeSet<i64> = added.iter().map(|file| file.table.id()).collect();
    let deleted: BTreeSet<i64> = ended.iter().map(|row| row.table_id).collect();
    let inserted = inserted
        .iter()
        .map(|id| format!("inserted_into_table:{id}"));
    let deleted = deleted.iter().map(|id| format!("deleted_from_table:{id}"));
    inserted.chain(deleted).collect::<Vec<_>>().join(",")
}

/// Brings the table's totals up to date; answers the number of the first new row.
async fn count(
    tx: &Tx,
    table: Table,
    added: &[(i64, &WrittenFile)],
    ended: &[&EndedRow],
) -> Result<i64, CommitError> {
    let known: Option<TotalsRow> = tx
        .one(
            "SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats \
             WHERE table_id = ?",
            values![table.id()],
        )
        .await?;
    let is_new = known.is_none();
    let known = known.unwrap_or(TotalsRow {
        record_count: 0,
        next_row_id: 0,
        file_size_bytes: 0,
    });
    let rows: i64 = added.iter().map(|(_, file)| signed(file.rows)).sum();
    let bytes: i64 = added.iter().map(|(_, file)| signed(file.size_bytes)).sum();
    let ended_rows: i64 = ended.iter().map(|row| row.record_count).sum();
    let ended_bytes: i64 = ended.iter().map(|row| row.file_size_bytes).sum();
    let sql = if is_new {
        "INSERT INTO ducklake_table_stats (record_count, next_row_id, file_size_bytes, table_id) \
         VALUES (?, ?, ?, ?)"
    } else {
        "UPDATE ducklake_table_stats SET record_count = ?, next_row_id = ?, file_size_bytes = ? \
         WHERE table_id = ?"
    };
    tx.execute(
        sql,
        values![
            known.record_count + rows - ended_rows,
            known.next_row_id + rows,
            known.file_size_bytes + bytes - ended_bytes,
            table.id(),
        ],
    )
    .await?;
    Ok(known.next_row_id)
}

async fn add_files(
    tx: &Tx,
    table: Table,
    files: &[(i64, &WrittenFile)],
    first_row: i64,
    snapshot: i64,
) -> Result<(), CommitError> {
    let mut next_row = first_row;
    for files in files.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, \
             path_is_relative, file_format, record_count, file_size_bytes, footer_size, \
             row_id_start) VALUES {}",
            placeholders(files.len(), 10)
        );
        let mut rows = Vec::new();
        for (id, file) in files {
            rows.extend(values![
                *id,
                table.id(),
                snapshot,
                file.name.as_str(),
                1,
                "parquet",
                signed(file.rows),
                signed(file.size_bytes),
                signed(file.footer_bytes),
                next_row,
            ]);
            next_row += signed(file.rows);
        }
        tx.execute(&sql, rows).await?;
    }
    let stats: Vec<(i64, i64, &WrittenFile, &ColumnSummary)> = files
        .iter()
        .flat_map(|(id, file)| {
            file.columns.iter().filter_map(move |column| {
                let column_id = table.column_id(column.column)?;
                Some((*id, column_id, *file, column))
            })
        })
        .collect();
    for stats in stats.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO ducklake_file_column_stats (data_file_id, table_id, column_id, \
             column_size_bytes, value_count, null_count, min_value, max_value) VALUES {}",
            placeholders(stats.len(), 8)
        );
        let mut rows = Vec::new();
        for (file_id, column_id, file, column) in stats {
            rows.extend(values![
                *file_id,
                table.id(),
                *column_id,
                signed(column.size_bytes),
                signed(file.rows.saturating_sub(column.nulls)),
                signed(column.nulls),
                column.least.clone(),
                column.greatest.clone(),
            ]);
        }
        tx.execute(&sql, rows).await?;
    }
    Ok(())
}

/// The table's least and greatest values grow with what came; they don't shrink with what went.
async fn widen_columns(
    tx: &Tx,
    table: Table,
    files: &[(i64, &WrittenFile)],
) -> Result<(), CommitError> {
    if files.is_empty() {
        return Ok(());
    }
    let known: Vec<ColumnRow> = tx
        .all(
            "SELECT column_id, contains_null, min_value, max_value \
             FROM ducklake_table_column_stats WHERE table_id = ?",
            values![table.id()],
        )
        .await?;
    let known: BTreeMap<i64, ColumnRow> =
        known.into_iter().map(|row| (row.column_id, row)).collect();
    for (column_id, column) in (1_i64..).zip(table.columns()) {
        let before = known.get(&column_id);
        let mut has_null = before.is_some_and(|row| row.contains_null != 0);
        let mut least = before.and_then(|row| row.min_value.clone());
        let mut greatest = before.and_then(|row| row.max_value.clone());
        let summaries = files
            .iter()
            .flat_map(|(_, file)| &file.columns)
            .filter(|summary| summary.column == column.name);
        for summary in summaries {
            has_null |= summary.nulls > 0;
            if let Some(value) = &summary.least
                && least
                    .as_ref()
                    .is_none_or(|least| column.kind.is_less(value, least))
            {
                least = Some(value.clone());
            }
            if let Some(value) = &summary.greatest
                && greatest
                    .as_ref()
                    .is_none_or(|greatest| column.kind.is_less(greatest, value))
            {
                greatest = Some(value.clone());
            }
        }
        let sql = if before.is_none() {
            "INSERT INTO ducklake_table_column_stats (contains_null, min_value, max_value, \
             table_id, column_id) VALUES (?, ?, ?, ?, ?)"
        } else {
            "UPDATE ducklake_table_column_stats SET contains_null = ?, min_value = ?, \
             max_value = ? WHERE table_id = ? AND column_id = ?"
        };
        tx.execute(
            sql,
            values![i64::from(has_null), least, greatest, table.id(), column_id],
        )
        .await?;
    }
    Ok(())
}

fn numbers(ids: &[i64]) -> Vec<Value> {
    ids.iter().map(|id| Value::from(*id)).collect()
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
