//! One file of `vendas`, and the totals beside it, in a local folder.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, Date32Array, Decimal64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::SchemaRef;
use domain::lake::{Table, WrittenFile};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::ParquetMetaData;
use tempfile::NamedTempFile;

use super::new_name;
use crate::error::LakeError;
use crate::schema;
use crate::sort::SaleFields;
use crate::summary::{self, Extent};
use crate::texts::{LineTexts, Texts};
use crate::totals::{self, Added, TextArrays, TotalsBuilder, text_column};

const BATCH_ROWS: usize = schema::PAGE_ROWS;

/// A line to be written.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The order.
    pub order: &'a str,
    /// Days since 1970.
    pub day: i32,
    /// The rest of the line.
    pub fields: SaleFields,
    /// The load that brought it.
    pub load: i64,
    /// Whether the order has lines on more than one day.
    pub is_spanning: bool,
}

/// A finished file that still lies in the local folder.
#[derive(Debug)]
pub struct LocalFile {
    /// What the catalogue is told.
    pub written: WrittenFile,
    /// The data.
    pub data: NamedTempFile,
    /// The totals beside them, where the table has totals.
    pub totals: Option<NamedTempFile>,
}

#[derive(Default)]
struct Batch {
    orders: StringBuilder,
    products: Vec<u32>,
    quantities: Vec<i32>,
    prices: Vec<i64>,
    sold: Vec<i64>,
    regions: Vec<u32>,
    categories: Vec<u32>,
    days: Vec<i32>,
    numbers: Vec<i32>,
    loads: Vec<i64>,
}

#[derive(Default)]
struct Extents {
    orders: Option<(String, String)>,
    quantities: Extent<i32>,
    prices: Extent<i64>,
    sold: Extent<i64>,
    days: Extent<i32>,
    numbers: Extent<i32>,
    loads: Extent<i64>,
}

/// Writes lines that come sorted by day and order.
pub struct SalesFile<'t> {
    texts: &'t LineTexts,
    arrays: TextArrays,
    schema: SchemaRef,
    data: NamedTempFile,
    writer: ArrowWriter<BufWriter<File>>,
    batch: Batch,
    extents: Extents,
    totals: TotalsBuilder,
    most_rows: u64,
    rows: u64,
    last_order: String,
    last_day: i32,
    number: i32,
}

impl<'t> SalesFile<'t> {
    /// Begins a file; `arrays` are those of `texts`.
    pub fn begin(
        folder: &Path,
        texts: &'t LineTexts,
        arrays: TextArrays,
    ) -> Result<Self, LakeError> {
        let schema = schema::sales();
        let data = NamedTempFile::new_in(folder)?;
        let writer = parquet_writer(&data, &schema)?;
        Ok(Self {
            texts,
            arrays,
            schema,
            data,
            writer,
            batch: Batch::default(),
            extents: Extents::default(),
            totals: TotalsBuilder::new(texts),
            most_rows: schema::FILE_ROWS,
            rows: 0,
            last_order: String::new(),
            last_day: 0,
            number: 0,
        })
    }

    /// Full after about so many rows.
    pub const fn with_most_rows(mut self, rows: u64) -> Self {
        self.most_rows = rows;
        self
    }

    /// Whether the file is full before a line of this day and order.
    pub fn is_full_before(&self, day: i32, order: &str) -> bool {
        let is_new_day = self.last_day != day;
        let most_at_day = self.most_rows.saturating_mul(schema::FULL_AT_DAY_TENTHS) / 10;
        self.rows >= self.most_rows && (is_new_day || self.last_order != order)
            || self.rows >= most_at_day && is_new_day
    }

    /// Writes a line.
    pub fn line(&mut self, line: &Line<'_>) -> Result<(), LakeError> {
        let is_first = self.rows == 0 || self.last_day != line.day || self.last_order != line.order;
        if is_first {
            self.begin_order(line);
        }
        self.number = self.number.checked_add(1).ok_or(LakeError::TooLarge)?;
        let fields = &line.fields;
        let revenue = fields
            .price_centavos
            .checked_mul(i64::from(fields.quantity))
            .ok_or(LakeError::TooLarge)?;
        self.totals.add(&Added {
            order: line.order,
            day: line.day,
            product: fields.product,
            region: fields.region,
            category: fields.category,
            quantity: fields.quantity,
            revenue,
            is_first,
            is_spanning: line.is_spanning,
        })?;
        self.batch.take(line, self.number);
        self.extents.take(line, self.number);
        self.rows += 1;
        if self.batch.days.len() >= BATCH_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    fn begin_order(&mut self, line: &Line<'_>) {
        self.number = 0;
        self.last_day = line.day;
        self.last_order.clear();
        self.last_order.push_str(line.order);
        self.extents.take_order(line.order);
    }

    fn write_batch(&mut self) -> Result<(), LakeError> {
        let columns = self.batch.columns(&self.arrays)?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.writer.write(&batch)?;
        Ok(())
    }

    /// Ends the file; none where it has no row.
    pub fn finish(mut self) -> Result<Option<LocalFile>, LakeError> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.write_batch()?;
        let metadata = self.writer.finish()?;
        self.totals.finish()?;
        let totals = NamedTempFile::new_in(self.data.path().parent().unwrap_or(Path::new(".")))?;
        totals::write(totals.reopen()?, &self.totals, &self.arrays)?;
        let used = |grouping: usize, texts: &Texts| {
            let rows = self.totals.groupings.get(grouping);
            let rows = rows.map_or(&[][..], |grouped| grouped.whole.as_slice());
            let texts = rows.iter().map(|row| texts.get(row.key));
            extent_of_texts(texts.filter(|text| !text.is_empty()))
        };
        let products = used(1, &self.texts.products);
        let regions = used(2, &self.texts.regions);
        let categories = used(3, &self.texts.categories);
        let extents = self.extents.texts(products, regions, categories);
        let columns = summary::columns(&metadata, &schema::columns_of(Table::Sales), extents);
        let written = written_file(Table::Sales, self.data.path(), &metadata, columns)?;
        Ok(Some(LocalFile {
            written,
            data: self.data,
            totals: Some(totals),
        }))
    }
}

impl Batch {
    fn take(&mut self, line: &Line<'_>, number: i32) {
        let fields = &line.fields;
        self.orders.append_value(line.order);
        self.products.push(fields.product);
        self.quantities.push(fields.quantity);
        self.prices.push(fields.price_centavos);
        self.sold.push(fields.sold_ms.saturating_mul(1_000));
        self.regions.push(fields.region);
        self.categories.push(fields.category);
        self.days.push(line.day);
        self.numbers.push(number);
        self.loads.push(line.load);
    }

    fn columns(&mut self, texts: &TextArrays) -> Result<Vec<ArrayRef>, LakeError> {
        let prices = Decimal64Array::from(std::mem::take(&mut self.prices));
        let products = self.products.drain(..);
        let regions = self.regions.drain(..);
        Ok(vec![
            Arc::new(self.orders.finish()),
            text_column(products, &texts.products)?,
            Arc::new(Int32Array::from(std::mem::take(&mut self.quantities))),
            Arc::new(prices.with_precision_and_scale(18, 2)?),
            Arc::new(TimestampMicrosecondArray::from(std::mem::take(
                &mut self.sold,
            ))),
            text_column(regions, &texts.regions)?,
            text_column(self.categories.drain(..), &texts.categories)?,
            Arc::new(Date32Array::from(std::mem::take(&mut self.days))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.numbers))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.loads))),
        ])
    }
}

impl Extents {
    fn take_order(&mut self, order: &str) {
        match &mut self.orders {
            None => self.orders = Some((order.to_owned(), order.to_owned())),
            Some((least, _)) if order < least.as_str() => order.clone_into(least),
            Some((_, greatest)) if order > greatest.as_str() => order.clone_into(greatest),
            Some(_) => {}
        }
    }

    fn take(&mut self, line: &Line<'_>, number: i32) {
        self.quantities.take(line.fields.quantity);
        self.prices.take(line.fields.price_centavos);
        self.sold.take(line.fields.sold_ms);
        self.days.take(line.day);
        self.numbers.take(number);
        self.loads.take(line.load);
    }

    /// In the order of the table's columns.
    fn texts(
        &self,
        products: Option<(String, String)>,
        regions: Option<(String, String)>,
        categories: Option<(String, String)>,
    ) -> Vec<Option<(String, String)>> {
        vec![
            self.orders.clone(),
            products,
            self.quantities.texts(|value| value.to_string()),
            self.prices.texts(summary::decimal),
            self.sold.texts(summary::timestamp),
            regions,
            categories,
            self.days.texts(summary::date),
            self.numbers.texts(|value| value.to_string()),
            self.loads.texts(|value| value.to_string()),
        ]
    }
}

/// The arrays of these texts.
pub fn text_arrays(texts: &LineTexts) -> TextArrays {
    let array =
        |texts: &Texts| -> ArrayRef { Arc::new(texts.iter().map(Some).collect::<StringArray>()) };
    TextArrays {
        products: array(&texts.products),
        regions: array(&texts.regions),
        categories: array(&texts.categories),
    }
}

fn extent_of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Option<(String, String)> {
    let mut extent: Extent<&str> = Extent::default();
    texts.for_each(|text| extent.take(text));
    extent.texts(str::to_owned)
}

/// A writer of a table's file.
pub fn parquet_writer(
    data: &NamedTempFile,
    schema: &SchemaRef,
) -> Result<ArrowWriter<BufWriter<File>>, LakeError> {
    let options = ArrowWriterOptions::new()
        .with_properties(schema::table_properties()?)
        .with_skip_arrow_metadata(true);
    let file = BufWriter::with_capacity(1 << 18, data.reopen()?);
    Ok(ArrowWriter::try_new_with_options(
        file,
        Arc::clone(schema),
        options,
    )?)
}

/// What the catalogue is told of a finished file.
pub fn written_file(
    table: Table,
    path: &Path,
    metadata: &ParquetMetaData,
    columns: Vec<domain::lake::ColumnSummary>,
) -> Result<WrittenFile, LakeError> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let mut tail = [0; 8];
    let tail_at = size_bytes.checked_sub(8);
    file.read_exact_at(
        &mut tail,
        tail_at.ok_or(LakeError::Unexpected("it is no Parquet"))?,
    )?;
    let [a, b, c, d, ..] = tail;
    let rows = metadata.file_metadata().num_rows();
    Ok(WrittenFile {
        table,
        name: new_name()?,
        rows: u64::try_from(rows).map_err(|_| LakeError::Unexpected("it has too few rows"))?,
        size_bytes,
        footer_bytes: u64::from(u32::from_le_bytes([a, b, c, d])),
        columns,
    })
}
