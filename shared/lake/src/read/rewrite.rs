//! A file without some of its orders.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, RecordBatch};
use domain::lake::{DataFile, Table, WrittenFile};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};

use super::{RemoteFile, TotalsFile};
use crate::error::LakeError;
use crate::orders::{FingerprintSet, Fingerprints};
use crate::place::Lake;
use crate::schema;
use crate::sort::SaleFields;
use crate::texts::{LineTexts, Texts, UNKNOWN};
use crate::write::{Line, LocalFile, SalesFile, WithoutSaleFile, text_arrays, upload};

const BATCH_ROWS: usize = 8_192;

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// No row of it is dropped: it stays.
    Unchanged,
    /// Every row of it is dropped.
    Emptied,
    /// This file has the rows that stay.
    Replaced(Box<WrittenFile>),
}

/// Says of an order and its load whether it is dropped.
pub type Drops<'a> = &'a (dyn Fn(&str, i64) -> bool + Sync);

/// Writes a file of `vendas` or `pedidos_sem_venda` anew without the rows that `drops` names, and
/// its totals. The old file is left as it is.
///
/// An order's rows must all be dropped, in every file, or none.
///
/// # Errors
/// When the file can't be read or written.
pub async fn rewrite(
    lake: &Lake,
    table: Table,
    file: &DataFile,
    drops: Drops<'_>,
    folder: &Path,
) -> Result<Rewritten, LakeError> {
    let (local, dropped) = match table {
        Table::Sales => sales(lake, file, drops, folder).await?,
        Table::OrdersWithoutSale => without_sale(lake, file, drops, folder).await?,
        _ => return Err(LakeError::Unexpected("this table has no orders")),
    };
    if dropped == 0 {
        return Ok(Rewritten::Unchanged);
    }
    let Some(local) = local else {
        return Ok(Rewritten::Emptied);
    };
    let mut written = upload(lake, vec![local]).await?;
    let written = written.pop().ok_or(LakeError::Interrupted)?;
    Ok(Rewritten::Replaced(Box::new(written)))
}

pub(crate) async fn open(
    remote: RemoteFile,
    schema: arrow_schema::SchemaRef,
) -> Result<ParquetRecordBatchStream<RemoteFile>, LakeError> {
    let metadata = remote.read_metadata().await?;
    let options = ArrowReaderOptions::new().with_schema(schema);
    let metadata = ArrowReaderMetadata::try_new(metadata, options)?;
    Ok(
        ParquetRecordBatchStreamBuilder::new_with_metadata(remote, metadata)
            .with_batch_size(BATCH_ROWS)
            .build()?,
    )
}

async fn without_sale(
    lake: &Lake,
    file: &DataFile,
    drops: Drops<'_>,
    folder: &Path,
) -> Result<(Option<LocalFile>, u64), LakeError> {
    let address = lake.address(Table::OrdersWithoutSale, &file.name)?;
    let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
    let mut batches = open(remote, schema::without_sale()).await?;
    let mut written = WithoutSaleFile::begin(folder)?;
    let mut dropped = 0;
    while let Some(batch) = batches.try_next().await? {
        let orders = batch.column(0).as_string::<i32>();
        let loads = batch.column(1).as_primitive::<Int64Type>();
        for (order, load) in orders.iter().flatten().zip(loads.values()) {
            if drops(order, *load) {
                dropped += 1;
            } else {
                written.order(order, *load)?;
            }
        }
    }
    Ok((written.finish()?, dropped))
}

async fn sales(
    lake: &Lake,
    file: &DataFile,
    drops: Drops<'_>,
    folder: &Path,
) -> Result<(Option<LocalFile>, u64), LakeError> {
    let totals = TotalsFile::open(lake, &file.name).await?;
    let spanning = totals.spanning_orders().await?;
    let texts = totals.texts().await?;
    let mut copy = Copy {
        drops,
        spanning,
        texts: &texts,
        products: Numbers::default(),
        regions: Numbers::default(),
        categories: Numbers::default(),
        last: None,
        dropped: 0,
    };
    let address = lake.address(Table::Sales, &file.name)?;
    let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
    let mut batches = open(remote, schema::sales()).await?;
    let mut written = SalesFile::begin(folder, &texts, text_arrays(&texts))?;
    while let Some(batch) = batches.try_next().await? {
        copy.lines(&batch, &mut written)?;
    }
    Ok((written.finish()?, copy.dropped))
}

/// What was decided of an order.
struct Judged {
    order: String,
    load: i64,
    is_dropped: bool,
    is_spanning: bool,
}

/// Copies the lines that stay.
struct Copy<'a> {
    drops: Drops<'a>,
    spanning: FingerprintSet,
    texts: &'a LineTexts,
    products: Numbers,
    regions: Numbers,
    categories: Numbers,
    last: Option<Judged>,
    dropped: u64,
}

impl Copy<'_> {
    fn lines(&mut self, batch: &RecordBatch, to: &mut SalesFile<'_>) -> Result<(), LakeError> {
        let [
            orders,
            products,
            quantities,
            prices,
            sold,
            regions,
            categories,
            days,
            _,
            loads,
        ] = batch.columns()
        else {
            return Err(LakeError::Unexpected("it has other columns"));
        };
        let products = self.products.of(products, &self.texts.products)?;
        let regions = self.regions.of(regions, &self.texts.regions)?;
        let categories = self.categories.of(categories, &self.texts.categories)?;
        let texts = products.into_iter().zip(regions).zip(categories);
        let orders = orders.as_string::<i32>().iter().flatten();
        let quantities = quantities.as_primitive::<Int32Type>().values();
        let prices = prices.as_primitive::<Decimal64Type>().values();
        let sold = sold.as_primitive::<TimestampMicrosecondType>().values();
        let days = days.as_primitive::<Date32Type>().values();
        let loads = loads.as_primitive::<Int64Type>().values();
        let numbers = quantities.iter().zip(prices).zip(sold).zip(days).zip(loads);
        for ((order, ((product, region), category)), numbers) in orders.zip(texts).zip(numbers) {
            let ((((quantity, price), sold), day), load) = numbers;
            let Some(is_spanning) = self.judge(order, *load) else {
                continue;
            };
            let fields = SaleFields {
                product,
                region,
                category,
                quantity: *quantity,
                price_centavos: *price,
                sold_ms: sold.div_euclid(1_000),
            };
            to.line(&Line {
                order,
                day: *day,
                fields,
                load: *load,
                is_spanning,
            })?;
        }
        Ok(())
    }

    /// Whether the order spans days; `None` where it is dropped.
    fn judge(&mut self, order: &str, load: i64) -> Option<bool> {
        let is_same = |last: &&Judged| last.order == order && last.load == load;
        if self.last.as_ref().filter(is_same).is_none() {
            let fingerprint = Fingerprints::default().of(order);
            self.last = Some(Judged {
                order: order.to_owned(),
                load,
                is_dropped: (self.drops)(order, load),
                is_spanning: self.spanning.contains(&fingerprint),
            });
        }
        let judged = self.last.as_ref()?;
        self.dropped += u64::from(judged.is_dropped);
        (!judged.is_dropped).then_some(judged.is_spanning)
    }
}

/// From the codes of a file's dictionaries to the numbers of texts.
#[derive(Default)]
struct Numbers {
    dictionary: Option<ArrayRef>,
    by_code: Vec<u32>,
}

impl Numbers {
    fn of(&mut self, column: &ArrayRef, texts: &Texts) -> Result<Vec<u32>, LakeError> {
        let column = column
            .as_dictionary_opt::<Int32Type>()
            .ok_or(LakeError::Unexpected("a text has another type"))?;
        let is_known = |known: &ArrayRef| Arc::ptr_eq(known, column.values());
        if !self.dictionary.as_ref().is_some_and(is_known) {
            let values = column.values().as_string::<i32>();
            let number = |text: Option<&str>| match text {
                None | Some("") => Ok(UNKNOWN),
                Some(text) => texts
                    .find(text)
                    .ok_or(LakeError::Unexpected("its totals lack a text")),
            };
            self.by_code = values.iter().map(number).collect::<Result<_, _>>()?;
            self.dictionary = Some(Arc::clone(column.values()));
        }
        let number = |code: Option<i32>| {
            let code = code.and_then(|code| usize::try_from(code).ok());
            code.and_then(|code| self.by_code.get(code).copied())
                .unwrap_or(UNKNOWN)
        };
        Ok(column.keys().iter().map(number).collect())
    }
}
