//! A file without some of its orders.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use domain::lake::{DataFile, Table, WrittenFile};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};

use super::sale_rows::{Codes, SaleRows};
use super::{RemoteFile, TotalsFile};
use crate::error::LakeError;
use crate::orders::{FingerprintSet, Fingerprints};
use crate::place::Lake;
use crate::schema;
use crate::texts::LineTexts;
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
    let mut texts = LineTexts::default();
    totals.add_texts(&mut texts).await?;
    let mut codes = Codes::default();
    let mut copy = Copy {
        drops,
        spanning,
        last: None,
        dropped: 0,
    };
    let address = lake.address(Table::Sales, &file.name)?;
    let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
    let mut batches = open(remote, schema::sales()).await?;
    let mut written = SalesFile::begin(folder, &texts, text_arrays(&texts))?;
    while let Some(batch) = batches.try_next().await? {
        copy.lines(&SaleRows::of(&batch, &mut codes, &texts)?, &mut written)?;
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
    last: Option<Judged>,
    dropped: u64,
}

impl Copy<'_> {
    fn lines(&mut self, rows: &SaleRows, to: &mut SalesFile<'_>) -> Result<(), LakeError> {
        for line in rows.lines() {
            let Some(is_spanning) = self.judge(line.order, line.load) else {
                continue;
            };
            to.line(&Line {
                is_spanning,
                ..line
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
