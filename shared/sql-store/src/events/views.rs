//! Views of products by day, and the log of clicks.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    events::EventKind,
    identity::ProductId,
    profiles::BuyerProfile,
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use super::{BATCH, Incoming, profiles::erased_until_end};
use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// The part of the row that others are put into.
const WHOLE: &str = "";
/// Parts that are put together at once.
const PARTS_AT_ONCE: i64 = 2_000;

/// Views of a product.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ProductViews {
    /// Which product.
    pub product_id: String,
    /// How often it was looked at.
    pub views: i64,
}

/// Parts of a day that are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayParts {
    /// The day.
    pub day: Day,
    /// The parts; there may be more.
    pub parts: Vec<String>,
    /// All views of the day by product, as far as these parts and those before them tell.
    pub views: BTreeMap<String, i64>,
    more: BTreeMap<String, i64>,
}

#[derive(FromQueryResult)]
struct IdRow {
    part_id: String,
}

#[derive(FromQueryResult)]
struct DayRow {
    view_day: i32,
}

/// The clicks on a product among these events.
pub fn clicks<'a>(
    events: &'a [&'a Incoming],
) -> impl Iterator<Item = (&'a Incoming, &'a ProductId)> {
    events
        .iter()
        .copied()
        .filter(|one| one.event.kind == EventKind::Click)
        .filter_map(|one| Some((one, one.event.product.as_ref()?)))
}

/// Appends a batch's views.
pub(super) async fn append(tx: &Tx, part_id: &str, fresh: &[&Incoming]) -> Result<(), StoreError> {
    let mut views: BTreeMap<(i32, &str), i64> = BTreeMap::new();
    for (one, product) in clicks(fresh) {
        let day = one.event.occurred.day().epoch_days();
        *views.entry((day, product.as_str())).or_default() += 1;
    }
    let views: Vec<_> = views.into_iter().collect();
    for rows in views.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO product_views (view_day, product_id, part_id, views) VALUES {}",
            placeholders(rows.len(), 4)
        );
        let values = rows
            .iter()
            .flat_map(|((day, product), views)| values![*day, *product, part_id, *views])
            .collect();
        tx.execute(&sql, values).await?;
    }
    Ok(())
}

/// Notes a batch's clicks with what the profiles say now; none of customers who were erased.
pub(super) async fn log_clicks(
    tx: &Tx,
    fresh: &[&Incoming],
    profiles: &BTreeMap<String, BuyerProfile>,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let users: BTreeSet<&str> = clicks(fresh)
        .map(|(one, _)| one.event.user.as_str())
        .collect();
    let users: Vec<&str> = users.into_iter().collect();
    let erased = erased_until_end(tx, &users).await?;
    let mut rows: Vec<(&Incoming, &ProductId)> = clicks(fresh)
        .filter(|(one, _)| !erased.contains(one.event.user.as_str()))
        .collect();
    rows.sort_by(|(left, _), (right, _)| {
        let key = |one: &Incoming| (one.event.user.clone(), one.event.occurred, one.key.clone());
        key(left).cmp(&key(right))
    });
    for rows in rows.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO click_log (user_id, clicked_ms, event_key, product_id, session_id, \
             region, segment, favourite_category, logged_ms) VALUES {}",
            placeholders(rows.len(), 9)
        );
        let values: Vec<Value> = rows
            .iter()
            .flat_map(|row| click_values(row, profiles, now))
            .collect();
        if tx.insert_new(&sql, values.clone()).await? {
            continue;
        }
        // The log outlives the marks: an event that comes again after its mark is noted anew.
        let places = placeholders(1, rows.len());
        let forget =
            format!("DELETE FROM click_log WHERE user_id IN {places} AND event_key IN {places}");
        let users = rows.iter().map(|(one, _)| one.event.user.as_str());
        let keys = rows.iter().map(|(one, _)| one.key.as_str());
        tx.execute(&forget, users.chain(keys).map(Value::from).collect())
            .await?;
        tx.execute(&sql, values).await?;
    }
    Ok(())
}

fn click_values(
    (one, product): &(&Incoming, &ProductId),
    profiles: &BTreeMap<String, BuyerProfile>,
    now: UtcMillis,
) -> Vec<Value> {
    let profile = profiles.get(one.event.user.as_str());
    values![
        one.event.user.as_str(),
        one.event.occurred.get(),
        one.key.as_str(),
        product.as_str(),
        one.event.session.clone(),
        profile.and_then(|profile| profile.region.clone()),
        profile.map(|profile| profile.segment.as_str()),
        profile.and_then(|profile| profile.favourite_category.clone()),
        now.get(),
    ]
}

/// The products that were looked at most from the first to the last day, after `after` (views and
/// product of the last one of the page before); equals by their ids.
///
/// # Errors
/// When the database fails.
pub async fn most_viewed(
    store: &Store,
    (first, last): (Day, Day),
    after: Option<(i64, &str)>,
    limit: u32,
) -> Result<Vec<ProductViews>, StoreError> {
    let having = if after.is_some() {
        "HAVING SUM(views) < ? OR (SUM(views) = ? AND product_id > ?)"
    } else {
        ""
    };
    let sql = format!(
        "SELECT product_id, CAST(SUM(views) AS SIGNED) AS views FROM product_views \
         WHERE view_day >= ? AND view_day <= ? GROUP BY product_id {having} \
         ORDER BY SUM(views) DESC, product_id LIMIT ?"
    );
    let mut values = values![first.epoch_days(), last.epoch_days()];
    if let Some((views, product)) = after {
        values.extend(values![views, views, product]);
    }
    values.push(Value::from(limit));
    store
        .transact(async |tx: &Tx| tx.all(&sql, values.clone()).await)
        .await
}

/// The days that batches appended views of since they were put together last, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn days_with_news(store: &Store, limit: u32) -> Result<Vec<Day>, StoreError> {
    let rows: Vec<DayRow> = store
        .transact(async |tx: &Tx| {
            tx.all(
                "SELECT DISTINCT view_day FROM product_views WHERE part_id > ? \
                 ORDER BY view_day LIMIT ?",
                values![WHOLE, limit],
            )
            .await
        })
        .await?;
    let days = rows
        .into_iter()
        .map(|row| Day::from_epoch_days(row.view_day));
    Ok(days.collect::<Result<_, _>>()?)
}

/// Some of a day's parts, and the day's views with them.
///
/// # Errors
/// When the database fails.
pub async fn parts_of_day(store: &Store, day: Day) -> Result<DayParts, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let ids: Vec<IdRow> = tx
                .all(
                    "SELECT DISTINCT part_id FROM product_views \
                     WHERE view_day = ? AND part_id > ? ORDER BY part_id LIMIT ?",
                    values![day.epoch_days(), WHOLE, PARTS_AT_ONCE],
                )
                .await?;
            let mut found = DayParts {
                day,
                parts: ids.into_iter().map(|row| row.part_id).collect(),
                views: BTreeMap::new(),
                more: BTreeMap::new(),
            };
            for (product, views) in views_of(tx, day, &[WHOLE.to_owned()]).await? {
                *found.views.entry(product).or_default() += views;
            }
            for parts in found.parts.chunks(BATCH) {
                for (product, views) in views_of(tx, day, parts).await? {
                    *found.views.entry(product.clone()).or_default() += views;
                    *found.more.entry(product).or_default() += views;
                }
            }
            Ok(found)
        })
        .await
}

async fn views_of(tx: &Tx, day: Day, parts: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = format!(
        "SELECT product_id, CAST(SUM(views) AS SIGNED) AS views FROM product_views \
         WHERE view_day = ? AND part_id IN {} GROUP BY product_id",
        placeholders(1, parts.len())
    );
    let rows: Vec<ProductViews> = tx.all(&sql, of_day(day, parts)).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.product_id, row.views))
        .collect())
}

fn of_day(day: Day, parts: &[String]) -> Vec<Value> {
    let mut values = values![day.epoch_days()];
    values.extend(parts.iter().map(|part| Value::from(part.as_str())));
    values
}

/// Puts these parts of a day into the one row that each product has for it. One job does so.
///
/// # Errors
/// When the database fails.
pub async fn fold(tx: &Tx, parts: &DayParts) -> Result<(), StoreError> {
    for ids in parts.parts.chunks(BATCH) {
        let sql = format!(
            "DELETE FROM product_views WHERE view_day = ? AND part_id IN {}",
            placeholders(1, ids.len())
        );
        tx.execute(&sql, of_day(parts.day, ids)).await?;
    }
    let day = parts.day.epoch_days();
    for (product, more) in &parts.more {
        let changed = tx
            .execute(
                "UPDATE product_views SET views = views + ? \
                 WHERE view_day = ? AND product_id = ? AND part_id = ?",
                values![*more, day, product.as_str(), WHOLE],
            )
            .await?;
        if changed == 0 {
            tx.execute(
                "INSERT INTO product_views (view_day, product_id, part_id, views) \
                 VALUES (?, ?, ?, ?)",
                values![day, product.as_str(), WHOLE, *more],
            )
            .await?;
        }
    }
    Ok(())
}
