//! What is known of products and of the orders' customers beside the sales themselves.

use std::collections::BTreeMap;

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// Keys of one statement.
const BATCH: usize = 1_000;

#[derive(FromQueryResult)]
struct Pair {
    name: String,
    content: String,
}

/// Notes a product's category; the newest news win.
///
/// # Errors
/// When the database fails.
pub async fn note_category(
    tx: &Tx,
    product: &str,
    category: &str,
    told: UtcMillis,
) -> Result<(), StoreError> {
    let changed = tx
        .execute(
            "UPDATE products SET category = ?, updated_ms = ? \
             WHERE product_id = ? AND updated_ms <= ?",
            values![category, told.get(), product, told.get()],
        )
        .await?;
    if changed == 0 {
        tx.insert_new(
            "INSERT INTO products (product_id, category, updated_ms) VALUES (?, ?, ?)",
            values![product, category, told.get()],
        )
        .await?;
    }
    Ok(())
}

/// The categories of those of these products that have one.
///
/// # Errors
/// When the database fails.
pub async fn categories(
    store: &Store,
    products: &[&str],
) -> Result<BTreeMap<String, String>, StoreError> {
    pairs(
        store,
        "SELECT product_id AS name, category AS content FROM products \
         WHERE category IS NOT NULL AND product_id IN",
        products,
    )
    .await
}

/// The regions of those of these orders whose customers have one.
///
/// # Errors
/// When the database fails.
pub async fn regions(
    store: &Store,
    orders: &[&str],
) -> Result<BTreeMap<String, String>, StoreError> {
    pairs(
        store,
        "SELECT p.order_id AS name, c.region AS content FROM purchases p \
         JOIN customers c ON c.customer_id = p.customer_id \
         WHERE c.region IS NOT NULL AND p.order_id IN",
        orders,
    )
    .await
}

async fn pairs(
    store: &Store,
    query: &str,
    keys: &[&str],
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut all = BTreeMap::new();
    for keys in keys.chunks(BATCH) {
        let sql = format!("{query} {}", placeholders(1, keys.len()));
        let found: Vec<Pair> = store
            .transact(async |tx: &Tx| {
                let values = keys.iter().map(|key| Value::from(*key)).collect();
                tx.all(&sql, values).await
            })
            .await?;
        all.extend(found.into_iter().map(|pair| (pair.name, pair.content)));
    }
    Ok(all)
}
