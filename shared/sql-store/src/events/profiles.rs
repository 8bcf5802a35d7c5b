//! Profiles of customers as buyers: made of their region and their own orders, kept for an hour.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    profiles::{BuyerProfile, Segment},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::BATCH;
use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// A profile that was made so long ago is made anew.
pub const FRESH_MS: i64 = 3_600_000;

#[derive(FromQueryResult)]
struct ProfileRow {
    user_id: String,
    region: Option<String>,
    segment: String,
    orders: i64,
    last_purchase_ms: Option<i64>,
    favourite_category: Option<String>,
    refreshed_ms: i64,
}

#[derive(FromQueryResult)]
struct RegionRow {
    customer_id: String,
    region: Option<String>,
}

#[derive(FromQueryResult)]
struct DeletedRow {
    customer_id: String,
    deleted: i32,
}

#[derive(FromQueryResult)]
struct OrdersRow {
    customer_id: String,
    orders: i64,
    last_purchase_ms: Option<i64>,
}

#[derive(FromQueryResult)]
struct CategoryRow {
    customer_id: String,
    category: String,
    units: i64,
}

/// The profiles of those of these users who are customers. What is missing or old is made anew.
///
/// # Errors
/// When the database fails.
pub async fn of_users(
    store: &Store,
    users: &BTreeSet<&str>,
    now: UtcMillis,
) -> Result<BTreeMap<String, BuyerProfile>, StoreError> {
    let users: Vec<&str> = users.iter().copied().collect();
    let mut profiles = BTreeMap::new();
    for users in users.chunks(BATCH) {
        // Known ones are read again in a redo: another instance has just made some of them.
        let of_chunk = store
            .transact(async |tx: &Tx| {
                let (mut found, old) = known(tx, users, now).await?;
                let missing: Vec<&str> = users
                    .iter()
                    .copied()
                    .filter(|user| !found.contains_key(*user))
                    .collect();
                if !missing.is_empty() {
                    let made = make(tx, &missing, now).await?;
                    write(tx, &made, &old, now).await?;
                    found.extend(made);
                }
                Ok::<_, StoreError>(found)
            })
            .await?;
        profiles.extend(of_chunk);
    }
    Ok(profiles)
}

/// Fresh profiles, and the users whose profiles are old.
async fn known(
    tx: &Tx,
    users: &[&str],
    now: UtcMillis,
) -> Result<(BTreeMap<String, BuyerProfile>, BTreeSet<String>), StoreError> {
    let sql = format!(
        "SELECT user_id, region, segment, orders, last_purchase_ms, favourite_category, \
         refreshed_ms FROM profiles WHERE user_id IN {}",
        placeholders(1, users.len())
    );
    let rows: Vec<ProfileRow> = tx.all(&sql, texts(users)).await?;
    let (mut fresh, mut old) = (BTreeMap::new(), BTreeSet::new());
    for row in rows {
        if row.refreshed_ms < now.get() - FRESH_MS {
            old.insert(row.user_id);
            continue;
        }
        let profile = BuyerProfile {
            region: row.region,
            segment: Segment::parse(&row.segment)?,
            orders: row.orders.unsigned_abs(),
            last_purchase: row.last_purchase_ms.map(UtcMillis::new).transpose()?,
            favourite_category: row.favourite_category,
        };
        fresh.insert(row.user_id, profile);
    }
    Ok((fresh, old))
}

/// Profiles from region and orders, as they are now, of those of these users who are customers.
///
/// # Errors
/// When the database fails.
pub async fn make(
    tx: &Tx,
    users: &[&str],
    now: UtcMillis,
) -> Result<BTreeMap<String, BuyerProfile>, StoreError> {
    let places = placeholders(1, users.len());
    // Who is erased meanwhile waits, or is found to be gone.
    let sql = format!(
        "SELECT customer_id, region FROM customers WHERE deleted = 0 AND customer_id IN {places} \
         ORDER BY customer_id{}",
        tx.for_share()
    );
    let regions: Vec<RegionRow> = tx.all(&sql, texts(users)).await?;
    if regions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT customer_id, COUNT(*) AS orders, MAX(approved_ms) AS last_purchase_ms \
         FROM purchases WHERE status IN ('pago', 'concluido') AND customer_id IN {places} \
         GROUP BY customer_id"
    );
    let orders: Vec<OrdersRow> = tx.all(&sql, texts(users)).await?;
    let orders: BTreeMap<String, OrdersRow> = orders
        .into_iter()
        .map(|row| (row.customer_id.clone(), row))
        .collect();
    let mut categories = favourite_categories(tx, users).await?;
    regions
        .into_iter()
        .map(|row| {
            let bought = orders.get(&row.customer_id);
            let count = bought.map_or(0, |bought| bought.orders.unsigned_abs());
            let last = bought.and_then(|bought| bought.last_purchase_ms);
            let last = last.map(UtcMillis::new).transpose()?;
            let profile = BuyerProfile {
                region: row.region,
                segment: Segment::of(count, last, now),
                orders: count,
                last_purchase: last,
                favourite_category: categories.remove(&row.customer_id),
            };
            Ok((row.customer_id, profile))
        })
        .collect()
}

/// Of which category each bought most units; equals by name.
async fn favourite_categories(
    tx: &Tx,
    users: &[&str],
) -> Result<BTreeMap<String, String>, StoreError> {
    let sql = format!(
        "SELECT o.customer_id, p.category, CAST(SUM(l.quantity) AS SIGNED) AS units \
         FROM purchases o JOIN order_lines l ON l.order_id = o.order_id \
         JOIN products p ON p.product_id = l.product_id \
         WHERE o.status IN ('pago', 'concluido') AND p.category IS NOT NULL \
         AND o.customer_id IN {} GROUP BY o.customer_id, p.category",
        placeholders(1, users.len())
    );
    let mut rows: Vec<CategoryRow> = tx.all(&sql, texts(users)).await?;
    rows.sort_by(|left, right| {
        left.units
            .cmp(&right.units)
            .then_with(|| right.category.cmp(&left.category))
    });
    // The greatest comes last and stays.
    Ok(rows
        .into_iter()
        .map(|row| (row.customer_id, row.category))
        .collect())
}

async fn write(
    tx: &Tx,
    made: &BTreeMap<String, BuyerProfile>,
    old: &BTreeSet<String>,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    if !old.is_empty() {
        let sql = format!(
            "DELETE FROM profiles WHERE user_id IN {}",
            placeholders(1, old.len())
        );
        tx.execute(&sql, texts(&old)).await?;
    }
    if made.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO profiles (user_id, region, segment, orders, last_purchase_ms, \
         favourite_category, refreshed_ms) VALUES {}",
        placeholders(made.len(), 7)
    );
    let rows = made
        .iter()
        .flat_map(|(user, profile)| {
            values![
                user.as_str(),
                profile.region.clone(),
                profile.segment.as_str(),
                i64::try_from(profile.orders).unwrap_or(i64::MAX),
                profile.last_purchase.map(UtcMillis::get),
                profile.favourite_category.clone(),
                now.get(),
            ]
        })
        .collect();
    // Where another instance wrote one meanwhile: look again.
    if tx.insert_new(&sql, rows).await? {
        Ok(())
    } else {
        Err(tx.redo())
    }
}

/// What was noted of users who are erased goes with them.
///
/// # Errors
/// When the database fails.
pub(crate) async fn erase(tx: &Tx, users: &[&str]) -> Result<(), StoreError> {
    for users in users.chunks(BATCH) {
        for table in ["profiles", "click_log"] {
            let sql = format!(
                "DELETE FROM {table} WHERE user_id IN {}",
                placeholders(1, users.len())
            );
            tx.execute(&sql, texts(users)).await?;
        }
    }
    Ok(())
}

/// Those of these users who were customers and were erased.
///
/// # Errors
/// When the database fails.
pub async fn erased(tx: &Tx, users: &[&str]) -> Result<BTreeSet<String>, StoreError> {
    erased_locking(tx, users, "").await
}

/// The same, and nobody else of them is erased until the transaction ends.
pub(super) async fn erased_until_end(
    tx: &Tx,
    users: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    erased_locking(tx, users, tx.for_share()).await
}

async fn erased_locking(
    tx: &Tx,
    users: &[&str],
    lock: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let mut erased = BTreeSet::new();
    for users in users.chunks(BATCH) {
        let sql = format!(
            "SELECT customer_id, deleted FROM customers WHERE customer_id IN {} \
             ORDER BY customer_id{lock}",
            placeholders(1, users.len())
        );
        let rows: Vec<DeletedRow> = tx.all(&sql, texts(users)).await?;
        let rows = rows.into_iter().filter(|row| row.deleted != 0);
        erased.extend(rows.map(|row| row.customer_id));
    }
    Ok(erased)
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::from(*text)).collect()
}
