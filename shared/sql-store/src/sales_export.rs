//! Orders as sales: their lines are kept with the news that tell them, and told again by the day
//! on which news came.
//!
//! A day's orders are told as they stand now, whenever one asks: so a file that is written again
//! after a refund says that the order has no sale, and can bring back nothing.

use std::collections::BTreeMap;

use domain::{
    mgm::referral::Order,
    orders::{OrderItem, OrderStatus},
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use crate::{
    Store, StoreError, Tx, Value, placeholders, products,
    sales_loads::{FileVersion, LoadStatus, place},
    values,
};

/// Lines of one statement.
const BATCH: usize = 200;

/// An order that was paid, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldOrder {
    /// `id_pedido`.
    pub id: String,
    /// When it was paid.
    pub sold: UtcMillis,
    /// Whether it was cancelled or refunded since.
    pub is_void: bool,
    /// Its lines, in order; none where no news told them.
    pub lines: Vec<SoldLine>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct SoldLine {
    /// `id_produto`.
    pub product_id: String,
    /// How many.
    pub quantity: i64,
    /// For one.
    pub price_centavos: i64,
}

/// A file that was exported.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Export {
    /// The hash of its content, hexadecimal.
    pub sha256: String,
    /// Its lines.
    pub lines_written: i64,
    /// Its orders.
    pub orders_written: i64,
}

#[derive(FromQueryResult)]
struct OrderRow {
    order_id: String,
    status: String,
    approved_ms: i64,
}

#[derive(FromQueryResult)]
struct LineRow {
    order_id: String,
    product_id: String,
    quantity: i64,
    price_centavos: i64,
}

/// Keeps an order's lines where its news told them, what they say of products, and the day.
///
/// # Errors
/// When the database fails.
pub(crate) async fn note_news(tx: &Tx, order: &Order, now: UtcMillis) -> Result<(), StoreError> {
    if !order.items.is_empty() {
        replace_lines(tx, order.id.as_str(), &order.items).await?;
        for item in &order.items {
            if let Some(category) = &item.category {
                products::note_category(tx, &item.product, category, now).await?;
            }
        }
    }
    if order.approved.is_some() {
        tx.insert_new(
            "INSERT INTO order_news (day, order_id) VALUES (?, ?)",
            values![now.day().to_string(), order.id.as_str()],
        )
        .await?;
    }
    Ok(())
}

async fn replace_lines(tx: &Tx, order: &str, items: &[OrderItem]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM order_lines WHERE order_id = ?", values![order])
        .await?;
    let numbered: Vec<(i64, &OrderItem)> = (1..).zip(items).collect();
    for items in numbered.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO order_lines (order_id, line, product_id, quantity, price_centavos) VALUES {}",
            placeholders(items.len(), 5)
        );
        let mut rows = Vec::new();
        for (line, item) in items {
            rows.extend(values![
                order,
                *line,
                item.product.as_str(),
                i64::from(item.quantity),
                item.unit_price.get(),
            ]);
        }
        tx.execute(&sql, rows).await?;
    }
    Ok(())
}

/// The orders whose news came on `day` and that were paid, as they stand now: by id, after `after`,
/// at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn orders_of_day(
    store: &Store,
    day: Day,
    after: &str,
    limit: u32,
) -> Result<Vec<SoldOrder>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let rows: Vec<OrderRow> = tx
                .all(
                    "SELECT p.order_id, p.status, p.approved_ms FROM order_news n \
                     JOIN purchases p ON p.order_id = n.order_id \
                     WHERE n.day = ? AND n.order_id > ? AND p.approved_ms IS NOT NULL \
                     AND p.status <> 'pendente' ORDER BY n.order_id LIMIT ?",
                    values![day.to_string(), after, limit],
                )
                .await?;
            let mut lines = lines_of(tx, &rows).await?;
            rows.into_iter()
                .map(|row| {
                    Ok(SoldOrder {
                        lines: lines.remove(&row.order_id).unwrap_or_default(),
                        sold: UtcMillis::new(row.approved_ms)?,
                        is_void: OrderStatus::parse(&row.status)?.is_void(),
                        id: row.order_id,
                    })
                })
                .collect()
        })
        .await
}

async fn lines_of(
    tx: &Tx,
    orders: &[OrderRow],
) -> Result<BTreeMap<String, Vec<SoldLine>>, StoreError> {
    let mut lines: BTreeMap<String, Vec<SoldLine>> = BTreeMap::new();
    if orders.is_empty() {
        return Ok(lines);
    }
    let sql = format!(
        "SELECT order_id, product_id, quantity, price_centavos FROM order_lines \
         WHERE order_id IN {} ORDER BY order_id, line",
        placeholders(1, orders.len())
    );
    let ids = orders
        .iter()
        .map(|order| Value::from(order.order_id.as_str()))
        .collect();
    for row in tx.all::<LineRow>(&sql, ids).await? {
        lines.entry(row.order_id).or_default().push(SoldLine {
            product_id: row.product_id,
            quantity: row.quantity,
            price_centavos: row.price_centavos,
        });
    }
    Ok(lines)
}

/// What was exported for a day, where it is known which version of the file it is.
///
/// # Errors
/// When the database fails.
pub async fn exported(store: &Store, day: Day) -> Result<Option<Export>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            tx.one(
                "SELECT sha256, lines_written, orders_written FROM sales_exports \
                 WHERE day = ? AND place <> ''",
                values![day.to_string()],
            )
            .await
        })
        .await
}

/// How a day's exported file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportState {
    /// Nothing was exported: there is nothing to wait for.
    Nothing,
    /// Its lines are not in the lake yet.
    Waiting,
    /// It was refused.
    Refused,
    /// The lake has its lines, by the load of this number.
    Loaded(i64),
}

/// How the file that was exported for a day stands: that very version, or a newer one of its key,
/// as someone mended it. An older version's load says nothing of it.
///
/// # Errors
/// When the database fails.
pub async fn export_state(store: &Store, day: Day) -> Result<ExportState, StoreError> {
    #[derive(FromQueryResult)]
    struct Exported {
        place: String,
        object_modified_ms: i64,
        object_etag: String,
    }
    #[derive(FromQueryResult)]
    struct Loads {
        number: i64,
        status: String,
    }
    store
        .transact(async |tx: &Tx| {
            let exported: Option<Exported> = tx
                .one(
                    "SELECT place, object_modified_ms, object_etag FROM sales_exports \
                     WHERE day = ?",
                    values![day.to_string()],
                )
                .await?;
            let Some(exported) = exported else {
                return Ok(ExportState::Nothing);
            };
            let loads: Vec<Loads> = tx
                .all(
                    "SELECT number, status FROM sales_loads WHERE place = ? \
                     AND (modified_ms > ? OR modified_ms = ? AND etag = ?) \
                     ORDER BY modified_ms DESC, number DESC",
                    values![
                        exported.place,
                        exported.object_modified_ms,
                        exported.object_modified_ms,
                        exported.object_etag,
                    ],
                )
                .await?;
            let is = |load: &&Loads, status: LoadStatus| load.status == status.as_str();
            let refused = |load: &Loads| is(&load, LoadStatus::Refused);
            Ok(
                match loads.iter().find(|load| is(load, LoadStatus::Loaded)) {
                    Some(load) => ExportState::Loaded(load.number),
                    None if !loads.is_empty() && loads.iter().all(refused) => ExportState::Refused,
                    None => ExportState::Waiting,
                },
            )
        })
        .await
}

/// Notes what was exported for a day, and into which version of which file.
///
/// # Errors
/// When the database fails: then the next run writes the same file once more.
pub async fn note_export(
    store: &Store,
    day: Day,
    export: &Export,
    file: &FileVersion,
    now: UtcMillis,
) -> Result<(), StoreError> {
    store
        .transact(async |tx: &Tx| {
            let day = day.to_string();
            tx.execute("DELETE FROM sales_exports WHERE day = ?", values![&*day])
                .await?;
            tx.execute(
                "INSERT INTO sales_exports (day, sha256, lines_written, orders_written, written_ms, \
                 place, object_modified_ms, object_etag) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values![
                    &*day,
                    export.sha256.as_str(),
                    export.lines_written,
                    export.orders_written,
                    now.get(),
                    place(&file.bucket, &file.key),
                    file.modified_ms,
                    file.etag.as_str(),
                ],
            )
            .await?;
            Ok(())
        })
        .await
}
