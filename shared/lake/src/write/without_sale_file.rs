//! One file of `pedidos_sem_venda` in a local folder.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::SchemaRef;
use domain::lake::Table;
use parquet::arrow::ArrowWriter;
use tempfile::NamedTempFile;

use super::sales_file::{LocalFile, parquet_writer, written_file};
use crate::error::LakeError;
use crate::schema;
use crate::summary::{self, Extent};

/// Writes orders that come sorted by their bytes.
pub struct WithoutSaleFile {
    schema: SchemaRef,
    data: NamedTempFile,
    writer: ArrowWriter<BufWriter<File>>,
    orders: StringBuilder,
    loads: Vec<i64>,
    first: Option<String>,
    last: String,
    load_extent: Extent<i64>,
    rows: u64,
}

impl WithoutSaleFile {
    /// Begins a file.
    pub fn begin(folder: &Path) -> Result<Self, LakeError> {
        let schema = schema::without_sale();
        let data = NamedTempFile::new_in(folder)?;
        let writer = parquet_writer(&data, &schema)?;
        Ok(Self {
            schema,
            data,
            writer,
            orders: StringBuilder::new(),
            loads: Vec::new(),
            first: None,
            last: String::new(),
            load_extent: Extent::default(),
            rows: 0,
        })
    }

    /// Writes an order.
    pub fn order(&mut self, order: &str, load: i64) -> Result<(), LakeError> {
        if self.first.is_none() {
            self.first = Some(order.to_owned());
        }
        order.clone_into(&mut self.last);
        self.orders.append_value(order);
        self.loads.push(load);
        self.load_extent.take(load);
        self.rows += 1;
        if self.loads.len() >= schema::PAGE_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Whether no more orders should be added.
    pub fn is_full(&self) -> bool {
        self.rows >= schema::FILE_ROWS
    }

    fn write_batch(&mut self) -> Result<(), LakeError> {
        let loads = Int64Array::from(std::mem::take(&mut self.loads));
        let columns: Vec<ArrayRef> = vec![Arc::new(self.orders.finish()), Arc::new(loads)];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.writer.write(&batch)?;
        Ok(())
    }

    /// Ends the file; none where it has no row.
    pub fn finish(mut self) -> Result<Option<LocalFile>, LakeError> {
        let Some(first) = self.first.take() else {
            return Ok(None);
        };
        self.write_batch()?;
        let metadata = self.writer.finish()?;
        let extents = vec![
            Some((first, self.last)),
            self.load_extent.texts(|load| load.to_string()),
        ];
        let columns = summary::columns(
            &metadata,
            &schema::columns_of(Table::OrdersWithoutSale),
            extents,
        );
        let table = Table::OrdersWithoutSale;
        Ok(Some(LocalFile {
            written: written_file(table, self.data.path(), &metadata, columns)?,
            data: self.data,
            totals: None,
        }))
    }
}
