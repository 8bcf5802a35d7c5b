//! Sales from Parquet.

use std::io::Write;

use ::parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::Type as PhysicalType,
    file::reader::ChunkReader,
};
use arrow_array::RecordBatch;
use domain::{
    sales::{
        SaleLine,
        date::Dates,
        fault::{Column, Refusal},
        reading::{self, Told},
    },
    time::UtcMillis,
};

use super::{
    BadFile, Counts, InputError, Lines, Quarantine,
    columns::{Scratch, Values, is_readable},
    fingerprint::fingerprint,
    header::Places,
};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// A column of the contract in a file.
struct Source {
    column: Column,
    /// Its place among the columns that are read.
    place: usize,
    clocks_are_utc: bool,
}

/// Reads a Parquet file: the columns by name in any order, others not at all; a batch at a time.
/// Times without a zone are São Paulo's. Numbers are taken where they are exact; a price kept as a
/// binary fraction is the centavos that it lies within 10⁻⁶ reais of. A file of more than `most_rows`
/// is not begun.
///
/// # Errors
/// When the file as a whole can't be taken, the quarantine fails, or `lines` does.
pub fn read_parquet<F: ChunkReader + 'static, L: Lines, W: Write>(
    file: F,
    most_rows: u64,
    now: UtcMillis,
    lines: &mut L,
    quarantine: &mut Quarantine<W>,
) -> Result<Counts, InputError<L::Error>> {
    let broken = |_| InputError::File(BadFile::NotParquet);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(broken)?;
    let rows = builder.metadata().file_metadata().num_rows();
    if u64::try_from(rows).map_err(|_| BadFile::NotParquet)? > most_rows {
        return Err(BadFile::TooLarge.into());
    }
    let names = builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().as_bytes());
    let places = Places::find(names)?;
    let mut sources = Vec::new();
    for column in Column::ALL {
        let Some(root) = places.of(column) else {
            continue;
        };
        let kind = builder.schema().field(root).data_type().clone();
        if !is_readable(column, &kind) {
            return Err(BadFile::ColumnType(column).into());
        }
        let schema = builder.parquet_schema();
        let is_int96 = schema
            .columns()
            .iter()
            .enumerate()
            .any(|(leaf, described)| {
                schema.get_column_root_idx(leaf) == root
                    && described.physical_type() == PhysicalType::INT96
            });
        sources.push((root, column, is_int96));
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), sources.iter().map(|one| one.0));
    // The columns that are read keep the file's order.
    sources.sort_by_key(|one| one.0);
    let sources: Vec<Source> = (0..)
        .zip(sources)
        .map(|(place, (_, column, clocks_are_utc))| Source {
            column,
            place,
            clocks_are_utc,
        })
        .collect();
    quarantine.begin(sources.iter().map(|one| one.column.name().as_bytes()));
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(broken)?;
    let mut dates = Dates::new(now);
    let mut counts = Counts::default();
    for batch in reader {
        let batch = batch.map_err(|_| InputError::File(BadFile::NotParquet))?;
        take(&batch, &sources, &mut dates, &mut counts, lines, quarantine)?;
    }
    Ok(counts)
}

fn take<L: Lines, W: Write>(
    batch: &RecordBatch,
    sources: &[Source],
    dates: &mut Dates,
    counts: &mut Counts,
    lines: &mut L,
    quarantine: &mut Quarantine<W>,
) -> Result<(), InputError<L::Error>> {
    let mut columns = Vec::with_capacity(Column::ALL.len());
    for column in Column::ALL {
        let values = match sources.iter().find(|one| one.column == column) {
            None => Values::Absent,
            Some(source) => {
                let array = batch.column(source.place);
                Values::of(column, array, source.clocks_are_utc)
                    .ok_or(BadFile::ColumnType(column))?
            }
        };
        columns.push(values);
    }
    let Ok(columns) = <[Values; Column::ALL.len()]>::try_from(columns) else {
        return Err(BadFile::NotParquet.into());
    };
    let mut scratch: [Scratch; 3] = Default::default();
    let mut written = Vec::new();
    for row in 0..batch.num_rows() {
        counts.lines += 1;
        match told(&columns, row, dates, &mut scratch) {
            Ok(told) => {
                match told {
                    Told::Sale(line) => lines.sale(&line, fingerprint_of(&line, &mut written)),
                    Told::NoSale { order } => lines.no_sale(order),
                }
                .map_err(InputError::Lines)?;
                counts.accepted += 1;
            }
            Err(refusal) => {
                let shown: Vec<Vec<u8>> = sources
                    .iter()
                    .filter_map(|source| {
                        let at = Column::ALL.iter().position(|one| *one == source.column)?;
                        columns.get(at).map(|values| values.shown(row))
                    })
                    .collect();
                quarantine
                    .put(counts.lines, refusal, shown.iter().map(Vec::as_slice))
                    .map_err(InputError::Quarantine)?;
                counts.refuse(refusal);
            }
        }
    }
    Ok(())
}

fn told<'a>(
    columns: &'a [Values; Column::ALL.len()],
    row: usize,
    dates: &mut Dates,
    scratch: &'a mut [Scratch; 3],
) -> Result<Told<'a>, Refusal> {
    let [order, product, quantity, price, sold, region, category] = columns;
    let [first, second, third] = scratch;
    let order = order.id(Column::Order, row, first)?;
    let product = product.id(Column::Product, row, second)?;
    let quantity = quantity.quantity(row, third)?;
    let unit_price = price.price(row, third)?;
    let sold = sold.sold(row, dates, third)?;
    let [region, category] = [(region, Column::Region), (category, Column::Category)];
    let region = reading::name(region.0.plain_text(row), region.1)?;
    let category = reading::name(category.0.plain_text(row), category.1)?;
    reading::told(SaleLine {
        order,
        product,
        quantity,
        unit_price,
        sold,
        region,
        category,
    })
}

/// A row has no letters: its values are what it is told by.
fn fingerprint_of(line: &SaleLine<'_>, written: &mut Vec<u8>) -> u64 {
    written.clear();
    for text in [line.order, line.product, line.region, line.category] {
        written.extend_from_slice(text.as_bytes());
        written.push(0);
    }
    written.extend_from_slice(&line.quantity.to_le_bytes());
    written.extend_from_slice(&line.unit_price.get().to_le_bytes());
    written.extend_from_slice(&line.sold.get().to_le_bytes());
    fingerprint(written)
}
