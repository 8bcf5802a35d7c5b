//! The Parquet schemas of the lake's tables and how their files are written.
//!
//! A column's field id is its number in the catalogue, by which DuckLake maps columns
//! (<https://ducklake.select/docs/stable/specification/tables/ducklake_column>).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::lake::{Column, ColumnType, Table};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// The most rows of a row group.
pub const ROW_GROUP_ROWS: usize = 500_000;
/// The most rows of a page.
pub const PAGE_ROWS: usize = 16_384;
/// Fewer rows make a page of the totals, as answers read parts of them.
pub const TOTALS_PAGE_ROWS: usize = 8_192;
/// A file is ended after so many rows, with the order that is being written.
pub const FILE_ROWS: u64 = 1_000_000;
/// A tenth of them before, a file is ended with its day.
pub const FULL_AT_DAY_TENTHS: u64 = 9;
/// A file of so many rows is large: putting it together with others gains little.
pub const LARGE_FILE_ROWS: u64 = FILE_ROWS / 2;
/// Of a hundred orders that are not in a row group its Bloom filter takes one for present.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Fits the products of a large shop; beyond it Parquet writes the texts themselves.
const DICTIONARY_BYTES: usize = 4 * 1024 * 1024;

/// The type of texts that repeat.
pub fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The names of a table's columns.
pub fn columns_of(table: Table) -> Vec<&'static str> {
    table.columns().iter().map(|column| column.name).collect()
}

fn numbered(fields: Vec<Field>) -> SchemaRef {
    let numbered = fields.into_iter().zip(1..).map(|(field, id)| {
        let id: i32 = id;
        let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        field.with_metadata(id)
    });
    Arc::new(Schema::new(numbered.collect::<Vec<_>>()))
}

/// `vendas`.
pub fn sales() -> SchemaRef {
    numbered(vec![
        Field::new("id_pedido", DataType::Utf8, false),
        Field::new("id_produto", dictionary(), false),
        Field::new("quantidade", DataType::Int32, false),
        Field::new("preco", DataType::Decimal64(18, 2), false),
        Field::new(
            "data",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            false,
        ),
        Field::new("regiao", dictionary(), true),
        Field::new("categoria", dictionary(), true),
        Field::new("dia", DataType::Date32, false),
        Field::new("linha", DataType::Int32, false),
        Field::new("carga", DataType::Int64, false),
    ])
}

/// `pedidos_sem_venda`.
pub fn without_sale() -> SchemaRef {
    numbered(vec![
        Field::new("id_pedido", DataType::Utf8, false),
        Field::new("carga", DataType::Int64, false),
    ])
}

/// A table whose rows stream in: what a row lacks is null.
pub fn rows(table: Table) -> SchemaRef {
    let field = |column: &Column| {
        let kind = match column.kind {
            ColumnType::Text => DataType::Utf8,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Money => DataType::Decimal64(18, 2),
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnType::Date => DataType::Date32,
        };
        Field::new(column.name, kind, true)
    };
    numbered(table.columns().iter().map(field).collect())
}

/// How they are written.
pub fn rows_properties() -> Result<WriterProperties, ParquetError> {
    Ok(properties(PAGE_ROWS)?.build())
}

/// The totals beside a file of `vendas`; see [`crate::totals`].
pub fn totals() -> SchemaRef {
    numbered(vec![
        Field::new("agrupamento", DataType::UInt8, false),
        Field::new("nivel", DataType::UInt8, false),
        Field::new("periodo", DataType::Date32, true),
        Field::new("chave", dictionary(), true),
        Field::new("quantidade", DataType::Int64, false),
        Field::new("receita", DataType::Int64, false),
        Field::new("pedidos", DataType::Int64, false),
        Field::new("id_pedido", DataType::Utf8, true),
        Field::new("regiao", dictionary(), true),
        Field::new("categoria", dictionary(), true),
    ])
}

fn properties(page_rows: usize) -> Result<WriterPropertiesBuilder, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by(format!("feira {}", env!("CARGO_PKG_VERSION")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page))
}

/// How tables with an `id_pedido` are written.
pub fn table_properties() -> Result<WriterProperties, ParquetError> {
    let order = ColumnPath::from("id_pedido");
    Ok(properties(PAGE_ROWS)?
        .set_column_dictionary_enabled(order.clone(), false)
        .set_column_bloom_filter_enabled(order.clone(), true)
        .set_column_bloom_filter_fpp(order.clone(), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(order, ROW_GROUP_ROWS as u64)
        .set_column_dictionary_enabled(ColumnPath::from("data"), false)
        .build())
}

/// How totals are written: one row group, so that a section is a range of its rows.
pub fn totals_properties() -> Result<WriterProperties, ParquetError> {
    let sums = ["quantidade", "receita", "id_pedido"];
    let builder = properties(TOTALS_PAGE_ROWS)?.set_max_row_group_row_count(None);
    let plain = |builder: WriterPropertiesBuilder, column: &str| {
        builder.set_column_dictionary_enabled(ColumnPath::from(column), false)
    };
    Ok(sums.into_iter().fold(builder, plain).build())
}
