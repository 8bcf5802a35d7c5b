//! Making the lake known: its data path, its schema and its tables.

use domain::{lake::Table, time::UtcMillis};
use sea_orm::FromQueryResult;

use super::{SCHEMA, SnapshotRow, insert_snapshot, newest, time_text};
use crate::{Store, StoreError, Tx, placeholders, values};

/// DuckLake wants UUIDs; ours are the same everywhere, since a catalogue has one lake.
const SCHEMA_UUID: &str = "0fe1fa00-0000-4000-8000-000000000000";

#[derive(FromQueryResult)]
struct TableRow {
    table_id: i64,
}

#[derive(FromQueryResult)]
struct PathRow {
    path: String,
}

/// Registers the lake, once: its tables, and where its files lie (`s3://bucket/lago/` or a folder's
/// absolute path, with a slash at the end). A lake that was moved is found at its new place.
///
/// # Errors
/// When the database fails.
pub async fn register(store: &Store, data_path: &str, now: UtcMillis) -> Result<(), StoreError> {
    store
        .transact(async |tx: &Tx| {
            let path: Option<PathRow> = tx
                .one(
                    "SELECT `value` AS path FROM ducklake_metadata WHERE `key` = 'data_path'",
                    values![],
                )
                .await?;
            if path.is_some_and(|row| row.path != data_path) {
                tx.execute(
                    "UPDATE ducklake_metadata SET `value` = ? WHERE `key` = 'data_path'",
                    values![data_path],
                )
                .await?;
            }
            let known: Vec<TableRow> = tx
                .all("SELECT table_id FROM lake_versions", values![])
                .await?;
            let missing: Vec<Table> = Table::ALL
                .into_iter()
                .filter(|table| known.iter().all(|row| row.table_id != table.id()))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            let before = match newest(tx).await? {
                Some(snapshot) => snapshot,
                None => create_schema(tx, data_path, now).await?,
            };
            create_tables(tx, &before, &missing, now).await
        })
        .await
}

/// What DuckDB writes into an empty catalogue. Who comes second finds the snapshot taken, and looks
/// again.
async fn create_schema(
    tx: &Tx,
    data_path: &str,
    now: UtcMillis,
) -> Result<SnapshotRow, StoreError> {
    let first = SnapshotRow {
        snapshot_id: 0,
        snapshot_time: time_text(now),
        schema_version: 0,
        next_catalog_id: 1,
        next_file_id: 0,
    };
    let changes = format!("created_schema:\"{SCHEMA}\"");
    insert_snapshot(tx, &first, &changes, "a lake of Feira").await?;
    tx.execute(
        "INSERT INTO ducklake_schema (schema_id, schema_uuid, begin_snapshot, end_snapshot, \
         schema_name, path, path_is_relative) VALUES (0, ?, 0, NULL, ?, ?, 1)",
        values![SCHEMA_UUID, SCHEMA, format!("{SCHEMA}/")],
    )
    .await?;
    tx.execute(
        "INSERT INTO ducklake_metadata (`key`, `value`, scope, scope_id) VALUES \
         ('version', '1.0', NULL, NULL), ('created_by', 'Feira', NULL, NULL), \
         ('data_path', ?, NULL, NULL), ('encrypted', 'false', NULL, NULL)",
        values![data_path],
    )
    .await?;
    Ok(first)
}

async fn create_tables(
    tx: &Tx,
    before: &SnapshotRow,
    tables: &[Table],
    now: UtcMillis,
) -> Result<(), StoreError> {
    let snapshot = SnapshotRow {
        snapshot_id: before.snapshot_id + 1,
        snapshot_time: time_text(now),
        schema_version: before.schema_version + 1,
        next_catalog_id: tables
            .iter()
            .map(|table| table.id() + 1)
            .fold(before.next_catalog_id, i64::max),
        next_file_id: before.next_file_id,
    };
    let changes: Vec<String> = tables
        .iter()
        .map(|table| format!("created_table:\"{SCHEMA}\".\"{}\"", table.name()))
        .collect();
    insert_snapshot(tx, &snapshot, &changes.join(","), "tables of Feira").await?;
    for table in tables {
        create_table(tx, *table, &snapshot, now).await?;
    }
    Ok(())
}

async fn create_table(
    tx: &Tx,
    table: Table,
    snapshot: &SnapshotRow,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let id = table.id();
    tx.execute(
        "INSERT INTO ducklake_table (table_id, table_uuid, begin_snapshot, end_snapshot, \
         schema_id, table_name, path, path_is_relative) VALUES (?, ?, ?, NULL, 0, ?, ?, 1)",
        values![
            id,
            format!("0fe1fa00-0000-4000-8000-{id:012}"),
            snapshot.snapshot_id,
            table.name(),
            format!("{}/", table.name()),
        ],
    )
    .await?;
    let sql = format!(
        "INSERT INTO ducklake_column (column_id, begin_snapshot, end_snapshot, table_id, \
         column_order, column_name, column_type, initial_default, default_value, nulls_allowed, \
         parent_column, default_value_type, default_value_dialect) VALUES {}",
        placeholders(table.columns().len(), 13)
    );
    let mut rows = Vec::new();
    for (place, column) in (1_i64..).zip(table.columns()) {
        rows.extend(values![
            place,
            snapshot.snapshot_id,
            None::<i64>,
            id,
            place,
            column.name,
            column.kind.ducklake(),
            None::<String>,
            "NULL",
            1,
            None::<i64>,
            "literal",
            "duckdb",
        ]);
    }
    tx.execute(&sql, rows).await?;
    tx.execute(
        "INSERT INTO ducklake_schema_versions (begin_snapshot, schema_version, table_id) \
         VALUES (?, ?, ?)",
        values![snapshot.snapshot_id, snapshot.schema_version, id],
    )
    .await?;
    tx.execute(
        "INSERT INTO lake_versions (table_id, changed_snapshot, changed_ms, oldest_snapshot) \
         VALUES (?, ?, ?, ?)",
        values![id, snapshot.snapshot_id, now.get(), snapshot.snapshot_id],
    )
    .await?;
    Ok(())
}
