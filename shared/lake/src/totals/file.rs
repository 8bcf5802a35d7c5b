//! Totals as a Parquet file.

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt8Array, new_null_array,
};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::SPANNING;
use super::accumulate::{Row, SpanningLine, TotalsBuilder};
use super::sections::{Level, SECTIONS_KEY, Sections};
use crate::error::LakeError;
use crate::schema;
use crate::texts::UNKNOWN;

const BATCH_ROWS: usize = schema::TOTALS_PAGE_ROWS;

/// The texts of a file's columns as arrays that dictionaries share.
#[derive(Debug, Clone)]
pub struct TextArrays {
    /// `id_produto`.
    pub products: ArrayRef,
    /// `regiao`.
    pub regions: ArrayRef,
    /// `categoria`.
    pub categories: ArrayRef,
}

/// A column of texts by their numbers; the unknown one is null.
pub fn text_column(
    numbers: impl Iterator<Item = u32>,
    texts: &ArrayRef,
) -> Result<ArrayRef, LakeError> {
    let number = |number: u32| (number != UNKNOWN).then_some(number.cast_signed());
    let numbers: Int32Array = numbers.map(number).collect();
    Ok(Arc::new(DictionaryArray::try_new(
        numbers,
        Arc::clone(texts),
    )?))
}

/// Writes the totals; the builder has been finished.
pub fn write(file: File, totals: &TotalsBuilder, texts: &TextArrays) -> Result<(), LakeError> {
    let schema = schema::totals();
    let properties = schema::totals_properties()?;
    let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let writer = BufWriter::with_capacity(1 << 18, file);
    let mut writer = ArrowWriter::try_new_with_options(writer, Arc::clone(&schema), options)?;
    let mut sections = Sections::default();
    let none: ArrayRef = Arc::new(StringArray::from(vec![""]));
    let keys = [&none, &texts.products, &texts.regions, &texts.categories];
    for ((grouped, grouping), keys) in totals.groupings.iter().zip(0_u8..).zip(keys) {
        for level in [Level::File, Level::Month, Level::Day] {
            let rows = grouped.rows(level);
            for section in rows.chunk_by(|left, right| left.period == right.period) {
                let period = section.first().map_or(0, |row| row.period);
                sections.add(grouping, level, period, section.len() as u64);
            }
            for batch in rows.chunks(BATCH_ROWS) {
                writer.write(&sums(&schema, grouping, level, batch, keys)?)?;
            }
        }
    }
    let spanning = totals.spanning.as_slice();
    for section in spanning.chunk_by(|left, right| left.day == right.day) {
        let day = section.first().map_or(0, |line| line.day);
        sections.add(SPANNING, Level::Day, day, section.len() as u64);
    }
    for batch in spanning.chunks(BATCH_ROWS) {
        writer.write(&spanning_lines(&schema, totals, batch, texts)?)?;
    }
    sections.set_days(totals.days.clone());
    let text = KeyValue::new(SECTIONS_KEY.to_owned(), sections.text());
    writer.append_key_value_metadata(text);
    writer
        .into_inner()?
        .into_inner()
        .map_err(|error| error.into_error())?;
    Ok(())
}

fn sums(
    schema: &SchemaRef,
    grouping: u8,
    level: Level,
    rows: &[Row],
    keys: &ArrayRef,
) -> Result<RecordBatch, LakeError> {
    let period = |row: &Row| (level != Level::File).then_some(row.period);
    let integers = |value: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt8Array::from_value(grouping, rows.len())),
        Arc::new(UInt8Array::from_value(level.number(), rows.len())),
        Arc::new(rows.iter().map(period).collect::<Date32Array>()),
        text_column(rows.iter().map(|row| row.key), keys)?,
        integers(|row| row.quantity),
        integers(|row| row.revenue),
        integers(|row| row.orders),
        new_null_array(&arrow_schema::DataType::Utf8, rows.len()),
        new_null_array(&schema::dictionary(), rows.len()),
        new_null_array(&schema::dictionary(), rows.len()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn spanning_lines(
    schema: &SchemaRef,
    totals: &TotalsBuilder,
    lines: &[SpanningLine],
    texts: &TextArrays,
) -> Result<RecordBatch, LakeError> {
    let zeros = || -> ArrayRef { Arc::new(Int64Array::from_value(0, lines.len())) };
    let days = lines.iter().map(|line| Some(line.day));
    let orders = lines.iter().map(|line| {
        let (start, end) = line.order;
        totals.spanning_orders.get(start as usize..end as usize)
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt8Array::from_value(SPANNING, lines.len())),
        Arc::new(UInt8Array::from_value(Level::Day.number(), lines.len())),
        Arc::new(days.collect::<Date32Array>()),
        text_column(lines.iter().map(|line| line.product), &texts.products)?,
        zeros(),
        zeros(),
        zeros(),
        Arc::new(orders.collect::<StringArray>()),
        text_column(lines.iter().map(|line| line.region), &texts.regions)?,
        text_column(lines.iter().map(|line| line.category), &texts.categories)?,
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
