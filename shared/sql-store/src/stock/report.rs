//! Lists of levels and alerts, page by page.

use sea_orm::FromQueryResult;

use crate::page::{LARGEST_PAGE, Page};
use crate::{Store, StoreError, Tx, Value, values};

/// The stock of a product.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct StockRow {
    /// The product.
    pub product_id: String,
    /// The newest level.
    pub units: i64,
    /// Open reservations since.
    pub reserved_units: i64,
    /// When the level was told, in epoch milliseconds.
    pub told_ms: i64,
    /// The product's own threshold.
    pub minimum_units: Option<i64>,
    /// Units sold in 28 days, where they were measured.
    pub sold_units: Option<i64>,
    /// Why it is low.
    pub low_reason: Option<String>,
}

/// A crossing.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// The product.
    pub product_id: String,
    /// Why it was low.
    pub reason: String,
    /// The level.
    pub units: i64,
    /// The level less reservations.
    pub available_units: i64,
    /// Units sold in the 28 days before.
    pub sold_units: i64,
    /// The threshold that it was compared with.
    pub threshold_units: i64,
    /// When it was noticed, in epoch milliseconds.
    pub created_ms: i64,
    /// When it was over, in epoch milliseconds.
    pub ended_ms: Option<i64>,
}

/// Levels by product; `after` is the last product of the page before. With `product`, that one.
///
/// # Errors
/// When the database fails.
pub async fn levels(
    store: &Store,
    product: Option<&str>,
    after: Option<&str>,
    size: u32,
) -> Result<Page<StockRow>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let only = if product.is_some() {
        "AND s.product_id = ? "
    } else {
        ""
    };
    let sql = format!(
        "SELECT s.product_id, s.units, s.reserved_units, s.told_ms, s.minimum_units, \
         p.sold_units, s.low_reason FROM stock s \
         LEFT JOIN product_sales p ON p.product_id = s.product_id \
         WHERE s.product_id > ? {only}ORDER BY s.product_id LIMIT ?"
    );
    let mut values = values![after.unwrap_or_default()];
    values.extend(product.map(Value::from));
    values.push((size + 1).into());
    let rows: Vec<StockRow> = store
        .transact(async |tx: &Tx| tx.all(&sql, values.clone()).await)
        .await?;
    Ok(Page::cut(rows, size))
}

/// Alerts, newest first; `before` is the last id of the page before. With `only_open`, those that
/// last.
///
/// # Errors
/// When the database fails.
pub async fn alerts(
    store: &Store,
    only_open: bool,
    before: Option<&str>,
    size: u32,
) -> Result<Page<AlertRow>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let open = if only_open {
        "AND ended_ms IS NULL "
    } else {
        ""
    };
    let sql = format!(
        "SELECT id, product_id, reason, units, available_units, sold_units, threshold_units, \
         created_ms, ended_ms FROM stock_alerts WHERE id < ? {open}ORDER BY id DESC LIMIT ?"
    );
    // No ULID is greater than this.
    let before = before.unwrap_or("8");
    let rows: Vec<AlertRow> = store
        .transact(async |tx: &Tx| tx.all(&sql, values![before, size + 1]).await)
        .await?;
    Ok(Page::cut(rows, size))
}
