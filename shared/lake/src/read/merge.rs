//! Several files of sales become as few as can be.

use std::path::Path;

use domain::lake::{DataFile, Table, WrittenFile};
use futures::TryStreamExt;
use parquet::arrow::async_reader::ParquetRecordBatchStream;

use super::sale_rows::{Codes, SaleRows};
use super::{RemoteFile, TotalsFile, open, orders_of};
use crate::error::LakeError;
use crate::orders::{FingerprintSet, Fingerprints};
use crate::place::Lake;
use crate::schema;
use crate::sort::SortedOrders;
use crate::texts::LineTexts;
use crate::write::{
    Line, LocalFile, SalesFile, TextArrays, orders_without_sale, text_arrays, upload,
};

/// Writes the rows of these files of `vendas` or `pedidos_sem_venda` anew, sorted, in files that are
/// as large as a load's, and their totals. The old files are left as they are.
///
/// The lines that an order has on a day must all be in one of them.
///
/// # Errors
/// When a file can't be read or written; what was written before is deleted as far as it can be.
pub async fn merge(
    lake: &Lake,
    table: Table,
    files: &[DataFile],
    folder: &Path,
) -> Result<Vec<WrittenFile>, LakeError> {
    let (local, rows) = match table {
        Table::Sales => sales(lake, files, folder).await?,
        Table::OrdersWithoutSale => without_sale(lake, files, folder).await?,
        _ => return Err(LakeError::Unexpected("this table has no orders")),
    };
    let expected: u64 = files.iter().map(|file| file.rows).sum();
    if rows != expected {
        return Err(LakeError::Unexpected(
            "it has other rows than the catalogue says",
        ));
    }
    upload(lake, local).await
}

async fn without_sale(
    lake: &Lake,
    files: &[DataFile],
    folder: &Path,
) -> Result<(Vec<LocalFile>, u64), LakeError> {
    let mut orders = SortedOrders::new(folder);
    for file in files {
        let mut found = |order: &str, load| Ok(orders.push(order, load)?);
        orders_of(lake, Table::OrdersWithoutSale, file, None, &mut found).await?;
    }
    let rows = orders.count();
    Ok((orders_without_sale(orders, folder)?, rows))
}

async fn sales(
    lake: &Lake,
    files: &[DataFile],
    folder: &Path,
) -> Result<(Vec<LocalFile>, u64), LakeError> {
    let mut texts = LineTexts::default();
    let mut spanning = FingerprintSet::default();
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let totals = TotalsFile::open(lake, &file.name).await?;
        totals.add_texts(&mut texts).await?;
        spanning.extend(totals.spanning_orders().await?);
    }
    for file in files {
        sources.push(Source::open(lake, file, &texts).await?);
    }
    let arrays = text_arrays(&texts);
    let mut merged = Merged {
        folder,
        texts: &texts,
        file: SalesFile::begin(folder, &texts, arrays.clone())?.with_most_rows(lake.file_rows()),
        file_rows: lake.file_rows(),
        arrays,
        spanning,
        last: None,
        done: Vec::new(),
        rows: 0,
    };
    while let Some((place, bound)) = least(&sources) {
        let Some(source) = sources.get_mut(place) else {
            break;
        };
        while let Some((day, order)) = source.head()
            && bound
                .as_ref()
                .is_none_or(|(bound_day, bound)| (day, order) <= (*bound_day, bound))
        {
            if let Some(line) = source.rows.as_ref().and_then(|rows| rows.line(source.row)) {
                merged.take(line)?;
            }
            source.pass(&texts).await?;
        }
    }
    merged.finish()
}

/// A file, and the row of it that comes next.
struct Source {
    batches: ParquetRecordBatchStream<RemoteFile>,
    codes: Codes,
    rows: Option<SaleRows>,
    row: usize,
}

impl Source {
    async fn open(lake: &Lake, file: &DataFile, texts: &LineTexts) -> Result<Self, LakeError> {
        let address = lake.address(Table::Sales, &file.name)?;
        let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
        let mut source = Self {
            batches: open(remote, schema::sales()).await?,
            codes: Codes::default(),
            rows: None,
            row: 0,
        };
        source.read(texts).await?;
        Ok(source)
    }

    fn head(&self) -> Option<(i32, &str)> {
        self.rows.as_ref()?.key(self.row)
    }

    async fn pass(&mut self, texts: &LineTexts) -> Result<(), LakeError> {
        self.row += 1;
        if self.head().is_none() {
            self.read(texts).await?;
        }
        Ok(())
    }

    /// Takes the next batch; none is left behind the last.
    async fn read(&mut self, texts: &LineTexts) -> Result<(), LakeError> {
        self.row = 0;
        self.rows = match self.batches.try_next().await? {
            Some(batch) => Some(SaleRows::of(&batch, &mut self.codes, texts)?),
            None => None,
        };
        Ok(())
    }
}

/// Which source has the least row, and up to where it stays the least.
fn least(sources: &[Source]) -> Option<(usize, Option<(i32, String)>)> {
    let mut heads: Vec<((i32, &str), usize)> = sources
        .iter()
        .enumerate()
        .filter_map(|(place, source)| Some((source.head()?, place)))
        .collect();
    heads.sort_unstable();
    let (_, place) = heads.first()?;
    let bound = heads
        .get(1)
        .map(|((day, order), _)| (*day, (*order).to_owned()));
    Some((*place, bound))
}

/// What has been written.
struct Merged<'t> {
    folder: &'t Path,
    texts: &'t LineTexts,
    file_rows: u64,
    arrays: TextArrays,
    file: SalesFile<'t>,
    spanning: FingerprintSet,
    /// Day and order of the last line, and whether the order spans days.
    last: Option<(i32, String, bool)>,
    done: Vec<LocalFile>,
    rows: u64,
}

impl Merged<'_> {
    fn take(&mut self, line: Line<'_>) -> Result<(), LakeError> {
        let is_known = |last: &&(i32, String, bool)| (last.0, &*last.1) == (line.day, line.order);
        let is_spanning = match self.last.as_ref().filter(is_known) {
            Some((.., is_spanning)) => *is_spanning,
            None => self.begin_order(&line)?,
        };
        self.rows += 1;
        self.file.line(&Line {
            is_spanning,
            ..line
        })
    }

    fn begin_order(&mut self, line: &Line<'_>) -> Result<bool, LakeError> {
        if self.file.is_full_before(line.day, line.order) {
            let next = SalesFile::begin(self.folder, self.texts, self.arrays.clone())?
                .with_most_rows(self.file_rows);
            let full = std::mem::replace(&mut self.file, next);
            self.done.extend(full.finish()?);
        }
        let is_spanning = !self.spanning.is_empty()
            && self
                .spanning
                .contains(&Fingerprints::default().of(line.order));
        self.last = Some((line.day, line.order.to_owned(), is_spanning));
        Ok(is_spanning)
    }

    fn finish(mut self) -> Result<(Vec<LocalFile>, u64), LakeError> {
        self.done.extend(self.file.finish()?);
        Ok((self.done, self.rows))
    }
}
