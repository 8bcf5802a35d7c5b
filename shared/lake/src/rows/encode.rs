//! Columns become a Parquet file in memory, and the file takes its place in the lake.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, types::ArrowPrimitiveType};
use domain::lake::{ColumnType, Table, WrittenFile};
use domain::time::UtcMillis;
use files::Overwrite;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use sha2::{Digest, Sha256};

use crate::error::LakeError;
use crate::place::Lake;
use crate::schema;
use crate::summary::{self, Extent};

const HOUR_MS: i64 = 3_600_000;

/// Writes a file of these columns, which are the table's in order; none where they have no row.
pub async fn put(
    lake: &Lake,
    table: Table,
    columns: Vec<ArrayRef>,
    now: UtcMillis,
) -> Result<Option<WrittenFile>, LakeError> {
    let batch = RecordBatch::try_new(schema::rows(table), columns)?;
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    put_batch(lake, table, &batch, now).await.map(Some)
}

/// The same of rows that there are.
pub async fn put_batch(
    lake: &Lake,
    table: Table,
    batch: &RecordBatch,
    now: UtcMillis,
) -> Result<WrittenFile, LakeError> {
    let options = ArrowWriterOptions::new()
        .with_properties(schema::rows_properties()?)
        .with_skip_arrow_metadata(true);
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut content, schema::rows(table), options)?;
    writer.write(batch)?;
    let metadata = writer.finish()?;
    drop(writer);
    let extents = batch
        .columns()
        .iter()
        .zip(table.columns())
        .map(|(array, column)| extent(array, column.kind))
        .collect();
    let columns = summary::columns(&metadata, &schema::columns_of(table), extents);
    let footer_at = content.len().saturating_sub(8);
    let footer = content
        .get(footer_at..)
        .and_then(|tail| tail.first_chunk::<4>());
    let footer = footer.ok_or(LakeError::Unexpected("it is no Parquet"))?;
    let written = WrittenFile {
        table,
        name: name(&content, now),
        rows: batch.num_rows() as u64,
        size_bytes: content.len() as u64,
        footer_bytes: u64::from(u32::from_le_bytes(*footer)),
        columns,
    };
    let address = lake.address(table, &written.name)?;
    // A retry may write the same once more: the same name has the same content.
    lake.files()
        .put(
            &address,
            content,
            "application/vnd.apache.parquet",
            Overwrite::Replace,
        )
        .await?;
    Ok(written)
}

/// The hour stands in it too: a file that nobody committed and that is swept a day later is never
/// one that a retry writes again at that moment.
fn name(content: &[u8], now: UtcMillis) -> String {
    let mut digest = Sha256::new();
    digest.update((now.get() / HOUR_MS).to_le_bytes());
    digest.update(content);
    let digest = digest.finalize();
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex}.parquet")
}

fn extent(array: &ArrayRef, kind: ColumnType) -> Option<(String, String)> {
    match kind {
        ColumnType::Text => {
            let texts = array.as_string::<i32>();
            let least = texts.iter().flatten().min()?;
            let greatest = texts.iter().flatten().max()?;
            Some((least.to_owned(), greatest.to_owned()))
        }
        ColumnType::Int32 => {
            of_numbers(array.as_primitive::<Int32Type>(), |value| value.to_string())
        }
        ColumnType::Int64 => {
            of_numbers(array.as_primitive::<Int64Type>(), |value| value.to_string())
        }
        ColumnType::Money => of_numbers(array.as_primitive::<Decimal64Type>(), summary::decimal),
        ColumnType::Timestamp => {
            of_numbers(array.as_primitive::<TimestampMicrosecondType>(), |micros| {
                summary::timestamp(micros / 1_000)
            })
        }
        ColumnType::Date => of_numbers(array.as_primitive::<Date32Type>(), summary::date),
    }
}

fn of_numbers<T>(
    array: &PrimitiveArray<T>,
    text: impl Fn(T::Native) -> String,
) -> Option<(String, String)>
where
    T: ArrowPrimitiveType,
    T::Native: Ord,
{
    let mut extent = Extent::default();
    array.iter().flatten().for_each(|value| extent.take(value));
    extent.texts(text)
}
