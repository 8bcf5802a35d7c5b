//! The catalogue of the lake: DuckLake 1.0 in the tables `ducklake_*`
//! (<https://ducklake.select/docs/stable/specification/introduction>), written as DuckDB 1.5.5 does.
//!
//! A snapshot is a row of `ducklake_snapshot`. A file belongs to the snapshots from its
//! `begin_snapshot` to the one before its `end_snapshot`. Commits queue up at the lock of
//! `lake_versions`, and meet other engines' on the snapshot's primary key. A day after a file ended,
//! the snapshots that showed it are expired and it is deleted.

mod commit;
mod reading;
mod register;
mod removal;

pub use commit::{Change, CommitError, commit, rearrange};
pub use reading::{FilesError, files_at, latest, newest_files, newest_snapshot};
pub use register::register;
pub use removal::{expire, forget, known_files, scheduled};

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::{StoreError, Tx, values};

/// The schema that all tables are in, and its folder.
const SCHEMA: &str = "main";

#[derive(Debug, Clone, FromQueryResult)]
struct SnapshotRow {
    snapshot_id: i64,
    snapshot_time: String,
    schema_version: i64,
    next_catalog_id: i64,
    next_file_id: i64,
}

/// The newest snapshot; `None` before the lake is registered.
async fn newest(tx: &Tx) -> Result<Option<SnapshotRow>, StoreError> {
    tx.one(
        "SELECT snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id \
         FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1",
        values![],
    )
    .await
}

/// Writes a snapshot. Another engine that took its number asks for a redo of the use case.
async fn insert_snapshot(
    tx: &Tx,
    snapshot: &SnapshotRow,
    changes: &str,
    note: &str,
) -> Result<(), StoreError> {
    let is_new = tx
        .insert_new(
            "INSERT INTO ducklake_snapshot (snapshot_id, snapshot_time, schema_version, \
             next_catalog_id, next_file_id) VALUES (?, ?, ?, ?, ?)",
            values![
                snapshot.snapshot_id,
                snapshot.snapshot_time.as_str(),
                snapshot.schema_version,
                snapshot.next_catalog_id,
                snapshot.next_file_id,
            ],
        )
        .await?;
    if !is_new {
        return Err(tx.redo());
    }
    tx.execute(
        "INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made, author, \
         commit_message, commit_extra_info) VALUES (?, ?, 'Feira', ?, NULL)",
        values![snapshot.snapshot_id, changes, note],
    )
    .await?;
    Ok(())
}

/// A time as DuckDB writes it into the catalogue: `2026-11-21 02:16:29.608000+00`.
fn time_text(time: UtcMillis) -> String {
    let mut text = time.to_string().replacen('T', " ", 1);
    if text.pop() == Some('Z') {
        text.push_str("000+00");
    }
    text
}

/// DuckDB leaves out trailing zeros, and writes the offset in hours.
fn parse_time(text: &str) -> Result<UtcMillis, StoreError> {
    const BROKEN: StoreError = StoreError::Broken("ducklake_snapshot.snapshot_time");
    let plain = text.strip_suffix("+00").ok_or(BROKEN)?;
    UtcMillis::parse(&format!("{}Z", plain.replacen(' ', "T", 1))).map_err(|_| BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_duckdb_does() {
        let time = UtcMillis::parse("2026-11-21T02:16:29.608Z").unwrap();
        assert_eq!(time_text(time), "2026-11-21 02:16:29.608000+00");
        assert_eq!(parse_time(&time_text(time)), Ok(time));
        for text in [
            "2026-11-21 02:16:29.608+00",
            "2026-11-21 02:16:29.608072+00",
        ] {
            assert_eq!(parse_time(text), Ok(time), "{text}");
        }
        assert!(parse_time("2026-11-21 02:16:29").is_err());
    }
}
