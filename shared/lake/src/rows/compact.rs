//! Small files become big ones.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::{concat::concat_batches, take::take_record_batch};
use domain::lake::{DataFile, Table, WrittenFile};
use domain::time::UtcMillis;
use futures::TryStreamExt;

use super::encode::put_batch;
use crate::error::LakeError;
use crate::place::Lake;
use crate::read::{RemoteFile, open};
use crate::schema;

/// A file of so many rows is big: it is left as it is, and a new one is ended with its day.
pub const COMPACTED_ROWS: u64 = 100_000;
/// Rows that one call takes into memory.
pub const MOST_ROWS_AT_ONCE: u64 = 300_000;

/// Writes the rows of these files anew, by day and time, whole days together in files of about
/// [`COMPACTED_ROWS`]. The old files are left as they are.
///
/// # Errors
/// When a file can't be read or written. What was written before is left to the sweep of files that
/// nobody committed, since another run may have written the very same.
pub async fn compact(
    lake: &Lake,
    table: Table,
    files: &[DataFile],
    now: UtcMillis,
) -> Result<Vec<WrittenFile>, LakeError> {
    let mut batches = Vec::new();
    for file in files {
        let address = lake.address(table, &file.name)?;
        let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
        let mut rows = open(remote, schema::rows(table)).await?;
        while let Some(batch) = rows.try_next().await? {
            batches.push(batch);
        }
    }
    let all = concat_batches(&schema::rows(table), &batches)?;
    drop(batches);
    let expected: u64 = files.iter().map(|file| file.rows).sum();
    if all.num_rows() as u64 != expected {
        return Err(LakeError::Unexpected(
            "it has other rows than the catalogue says",
        ));
    }
    let sorted = sorted(table, &all)?;
    drop(all);
    let mut written = Vec::new();
    for (from, length) in parts(&sorted) {
        written.push(put_batch(lake, table, &sorted.slice(from, length), now).await?);
    }
    Ok(written)
}

/// By day, then by time where the table has one; equals stay in their order.
fn sorted(table: Table, rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let days = rows
        .column_by_name("dia")
        .ok_or(LakeError::Unexpected("it has no days"))?
        .as_primitive::<Date32Type>();
    let time_column = match table {
        Table::CustomerEvents => Some("timestamp"),
        Table::Stock => Some("ultima_atualizacao"),
        _ => None,
    };
    let times = time_column
        .and_then(|name| rows.column_by_name(name))
        .map(|column| column.as_primitive::<TimestampMicrosecondType>().values());
    let mut order: Vec<(i32, i64, u32)> = (0_u32..)
        .zip(days.values())
        .map(|(place, day)| {
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            let time = times.and_then(|times| times.get(index)).copied();
            (*day, time.unwrap_or(0), place)
        })
        .collect();
    order.sort_unstable();
    let places: UInt32Array = order.into_iter().map(|(.., place)| place).collect();
    Ok(take_record_batch(rows, &places)?)
}

/// First row and number of rows of each new file: whole days.
fn parts(rows: &RecordBatch) -> Vec<(usize, usize)> {
    let Some(days) = rows.column_by_name("dia") else {
        return vec![(0, rows.num_rows())];
    };
    let days = days.as_primitive::<Date32Type>().values();
    let (mut parts, mut from) = (Vec::new(), 0);
    for (place, pair) in days.windows(2).enumerate() {
        let is_new_day = pair.first() != pair.last();
        let length = place + 1 - from;
        if is_new_day && length as u64 >= COMPACTED_ROWS {
            parts.push((from, length));
            from = place + 1;
        }
    }
    if from < rows.num_rows() {
        parts.push((from, rows.num_rows() - from));
    }
    parts
}
