//! The lines of a file of `vendas` as they are stored, whoever wrote them: for those who check them.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use domain::lake::{ColumnType, DataFile, Table};
use futures::TryStreamExt;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::RemoteFile;
use crate::error::LakeError;
use crate::place::Lake;

const BATCH_ROWS: usize = 16_384;

/// A line as it is stored; `None` where it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredLine<'a> {
    /// `id_pedido`.
    pub order: Option<&'a str>,
    /// `id_produto`.
    pub product: Option<&'a str>,
    /// `quantidade`.
    pub quantity: Option<i32>,
    /// `preco` in centavos.
    pub price_centavos: Option<i64>,
    /// `data` in microseconds since the epoch.
    pub sold_us: Option<i64>,
    /// `regiao`.
    pub region: Option<&'a str>,
    /// `categoria`.
    pub category: Option<&'a str>,
    /// `dia` in days since the epoch.
    pub day: Option<i32>,
    /// `linha`.
    pub line: Option<i32>,
    /// `carga`.
    pub load: Option<i64>,
}

impl Lake {
    /// Gives `visit` each line of a file of `vendas`.
    ///
    /// # Errors
    /// When the file can't be read, lacks a column or has one of another type; or what `visit`
    /// answered.
    pub async fn each_stored_line<E: From<LakeError>>(
        &self,
        file: &DataFile,
        mut visit: impl FnMut(&StoredLine<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let address = self.address(Table::Sales, &file.name)?;
        let remote = RemoteFile::new(self.files(), address, file.size_bytes);
        let stream = ParquetRecordBatchStreamBuilder::new(remote)
            .await
            .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
        let mut stream = stream.map_err(LakeError::from)?;
        while let Some(batch) = stream.try_next().await.map_err(LakeError::from)? {
            visit_batch(&batch, &mut visit)?;
        }
        Ok(())
    }

    /// What is not as the catalogue says in the columns of a table's file: their names, types and
    /// numbers, in words.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn schema_drift(
        &self,
        table: Table,
        file: &DataFile,
    ) -> Result<Vec<String>, LakeError> {
        let address = self.address(table, &file.name)?;
        let remote = RemoteFile::new(self.files(), address, file.size_bytes);
        let builder = ParquetRecordBatchStreamBuilder::new(remote).await?;
        let mut drift = Vec::new();
        let fields = builder.schema().fields();
        for column in table.columns() {
            let Some((_, field)) = fields.find(column.name) else {
                drift.push(format!("{}: falta", column.name));
                continue;
            };
            if !is_of(column.kind, field.data_type()) {
                drift.push(format!("{}: tipo {}", column.name, field.data_type()));
            }
            let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
            let wanted = table.column_id(column.name).map(|id| id.to_string());
            if id.is_some() && id != wanted.as_ref() {
                drift.push(format!("{}: outro número", column.name));
            }
        }
        for field in fields {
            if table.column_id(field.name()).is_none() {
                drift.push(format!("{}: a mais", field.name()));
            }
        }
        Ok(drift)
    }
}

/// Whether a column of this Parquet type holds what the catalogue says.
fn is_of(kind: ColumnType, found: &DataType) -> bool {
    match (kind, found) {
        (ColumnType::Text, DataType::Dictionary(_, values)) => is_of(kind, values),
        (ColumnType::Text, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        | (ColumnType::Int32, DataType::Int32)
        | (ColumnType::Int64, DataType::Int64)
        | (ColumnType::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, None))
        | (ColumnType::Date, DataType::Date32) => true,
        (
            ColumnType::Money,
            DataType::Decimal64(precision, scale) | DataType::Decimal128(precision, scale),
        ) => (*precision, *scale) == (18, 2),
        _ => false,
    }
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, LakeError> {
    let column = batch
        .column_by_name(name)
        .ok_or(LakeError::Unexpected("a file of vendas lacks a column"))?;
    cast(column, kind).map_err(|_| LakeError::Unexpected("a column has another type"))
}

fn visit_batch<E: From<LakeError>>(
    batch: &RecordBatch,
    visit: &mut impl FnMut(&StoredLine<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let text = |name| column(batch, name, &DataType::Utf8);
    let (orders, products) = (text("id_pedido")?, text("id_produto")?);
    let (regions, categories) = (text("regiao")?, text("categoria")?);
    let quantities = column(batch, "quantidade", &DataType::Int32)?;
    let prices = column(batch, "preco", &DataType::Decimal128(18, 2))?;
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let sold = column(batch, "data", &micros)?;
    let days = column(batch, "dia", &DataType::Date32)?;
    let lines = column(batch, "linha", &DataType::Int32)?;
    let loads = column(batch, "carga", &DataType::Int64)?;
    macro_rules! at {
        ($column:ident, $kind:ty, $row:ident) => {{
            let column = $column.as_primitive::<$kind>();
            (!column.is_null($row)).then(|| column.value($row))
        }};
    }
    for row in 0..batch.num_rows() {
        visit(&StoredLine {
            order: text_at(&orders, row),
            product: text_at(&products, row),
            quantity: at!(quantities, Int32Type, row),
            price_centavos: at!(prices, Decimal128Type, row)
                .map(|price| i64::try_from(price).unwrap_or(i64::MAX)),
            sold_us: at!(sold, TimestampMicrosecondType, row),
            region: text_at(&regions, row),
            category: text_at(&categories, row),
            day: at!(days, Date32Type, row),
            line: at!(lines, Int32Type, row),
            load: at!(loads, Int64Type, row),
        })?;
    }
    Ok(())
}

fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    let column = column.as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row))
}
