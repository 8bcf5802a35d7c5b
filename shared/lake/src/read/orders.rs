//! Which orders a file holds, and of which loads.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use domain::lake::{DataFile, Table};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::RemoteFile;
use crate::error::LakeError;
use crate::orders::OrderSet;
use crate::place::Lake;

const BATCH_ROWS: usize = 8_192;
/// The place of `id_pedido` in both tables.
const ORDER_COLUMN: usize = 0;

/// Gives the orders of a file of `vendas` or `pedidos_sem_venda`, each with its load: those of
/// `wanted`, or all. An order may be given several times.
///
/// Row groups whose Bloom filter holds none of the wanted orders are not read, where the wanted
/// ones are few.
///
/// # Errors
/// When the file can't be read.
pub async fn orders_of(
    lake: &Lake,
    table: Table,
    file: &DataFile,
    wanted: Option<&OrderSet>,
    found: &mut (dyn FnMut(&str, i64) -> Result<(), LakeError> + Send),
) -> Result<(), LakeError> {
    let address = lake.address(table, &file.name)?;
    let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
    let metadata = remote.read_metadata().await?;
    let remote = remote.with_metadata(metadata);
    let mut builder = ParquetRecordBatchStreamBuilder::new(remote).await?;
    if let Some(named) = wanted.and_then(OrderSet::named) {
        let named = near(named, file);
        let mut groups = Vec::new();
        for group in 0..builder.metadata().num_row_groups() {
            if may_hold(&mut builder, group, &named).await? {
                groups.push(group);
            }
        }
        builder = builder.with_row_groups(groups);
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["id_pedido", "carga"]);
    let mut batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()?;
    while let Some(batch) = batches.try_next().await? {
        let (Some(orders), Some(loads)) = (
            batch.column(0).as_string_opt::<i32>(),
            batch.column(1).as_primitive_opt::<Int64Type>(),
        ) else {
            return Err(LakeError::Unexpected("id_pedido or carga has another type"));
        };
        let mut last = None;
        for (order, load) in orders.iter().flatten().zip(loads.values()) {
            if last == Some((order, load)) {
                continue;
            }
            last = Some((order, load));
            if wanted.is_none_or(|wanted| wanted.contains(order)) {
                found(order, *load)?;
            }
        }
    }
    Ok(())
}

/// The orders within the file's range.
fn near<'a>(named: &'a [String], file: &DataFile) -> Vec<&'a str> {
    let orders = named.iter().map(String::as_str);
    match &file.orders {
        None => orders.collect(),
        Some((least, greatest)) => orders
            .filter(|order| *order >= least.as_str() && *order <= greatest.as_str())
            .collect(),
    }
}

async fn may_hold(
    builder: &mut ParquetRecordBatchStreamBuilder<RemoteFile>,
    group: usize,
    orders: &[&str],
) -> Result<bool, LakeError> {
    if orders.is_empty() {
        return Ok(false);
    }
    let bloom = builder.get_row_group_column_bloom_filter(group, ORDER_COLUMN);
    let bloom = bloom.await?;
    Ok(bloom.is_none_or(|bloom| orders.iter().any(|order| bloom.check(*order))))
}
