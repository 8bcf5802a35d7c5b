//! The sweep's pages: each is found, then settled in one transaction with the run's progress.

use domain::{
    identity::{CustomerId, OrderId},
    mgm::trip::CompletedLeg,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::EndedTrip;
use crate::{
    Store, StoreError, Tx, Value,
    jobs::{JobError, JobRun},
    mgm::{
        trips::{self, Settled},
        vouchers,
    },
    values,
};

/// Orders in one page.
pub const PAGE: u32 = 500;

#[derive(FromQueryResult)]
struct OrderRow {
    order_id: String,
}

#[derive(FromQueryResult)]
struct EndedRow {
    order_id: String,
    customer_id: String,
    ends_ms: i64,
}

/// Orders after `after` whose completion is stored while their referral still waits for it.
///
/// # Errors
/// When the database fails.
pub async fn waiting_completions(store: &Store, after: &str) -> Result<Vec<String>, StoreError> {
    orders(
        store,
        "SELECT r.order_id FROM referrals r WHERE r.order_id > ? AND r.status = 'aceita' \
         AND EXISTS (SELECT 1 FROM trip_legs l WHERE l.order_id = r.order_id \
         AND l.customer_id = r.friend_id) \
         ORDER BY r.order_id LIMIT ?",
        values![after, PAGE],
    )
    .await
}

/// Orders after `after` whose referral's pending period is over at `now`.
///
/// # Errors
/// When the database fails.
pub async fn due_rewards(
    store: &Store,
    after: &str,
    now: UtcMillis,
) -> Result<Vec<String>, StoreError> {
    orders(
        store,
        "SELECT order_id FROM referrals WHERE order_id > ? AND status = 'concluida' \
         AND reward_due_ms <= ? ORDER BY order_id LIMIT ?",
        values![after, now.get(), PAGE],
    )
    .await
}

async fn orders(store: &Store, sql: &str, values: Vec<Value>) -> Result<Vec<String>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let rows: Vec<OrderRow> = tx.all(sql, values.clone()).await?;
            Ok(rows.into_iter().map(|row| row.order_id).collect())
        })
        .await
}

/// Trips that were to end before `by`, after the one named by `after`, whose referral still waits.
///
/// # Errors
/// When the database fails.
pub async fn ended_trips(
    store: &Store,
    after: Option<(UtcMillis, &str)>,
    by: UtcMillis,
) -> Result<Vec<EndedTrip>, StoreError> {
    let (ends_ms, order) = after.map_or((-1, ""), |(ends, order)| (ends.get(), order));
    let sql = "SELECT p.order_id, p.customer_id, p.ends_ms FROM purchases p \
               JOIN referrals r ON r.order_id = p.order_id \
               WHERE p.ends_ms >= ? AND p.ends_ms < ? AND (p.ends_ms > ? OR p.order_id > ?) \
               AND r.status = 'aceita' ORDER BY p.ends_ms, p.order_id LIMIT ?";
    let rows: Vec<EndedRow> = store
        .transact(async |tx: &Tx| {
            tx.all(sql, values![ends_ms, by.get(), ends_ms, order, PAGE])
                .await
        })
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(EndedTrip {
                order: OrderId::parse(row.order_id)?,
                customer: CustomerId::parse(row.customer_id)?,
                ends: UtcMillis::new(row.ends_ms)?,
            })
        })
        .collect()
}

/// Settles a page of orders: `confirmed` ones are noted as completed first. The run's counts and
/// its cursor are noted in the same transaction.
///
/// # Errors
/// [`JobError::LostLease`] when another attempt has taken over; the page then rolls back.
pub async fn settle_page(
    store: &Store,
    run: &mut JobRun,
    orders: &[String],
    confirmed: &[CompletedLeg],
    cursor: &str,
    now: UtcMillis,
) -> Result<Settled, JobError> {
    let (before, ids): (&JobRun, Vec<&str>) = (run, orders.iter().map(String::as_str).collect());
    let (settled, after) = store
        .transact(async |tx: &Tx| {
            trips::note_legs(tx, &confirmed.iter().collect::<Vec<_>>()).await?;
            let known = trips::lock_purchases(tx, &ids).await?;
            let completions = trips::completions(tx, &known, "").await?;
            let settled = trips::settle(tx, &completions, now).await?;
            let mut after = before.clone();
            after.resume_after = Some(cursor.to_owned());
            after.count("pedidos", i64::try_from(ids.len()).unwrap_or(i64::MAX));
            after.count(
                "vouchers",
                i64::try_from(settled.vouchers).unwrap_or(i64::MAX),
            );
            after.count(
                "em_carencia",
                i64::try_from(settled.pending).unwrap_or(i64::MAX),
            );
            after.note_progress(tx, now).await?;
            Ok::<_, JobError>((settled, after))
        })
        .await?;
    *run = after;
    Ok(settled)
}

/// Ends the validity of a page of vouchers; fewer than [`PAGE`] means that no more are due. What
/// they held goes back to their campaign's budget.
///
/// # Errors
/// [`JobError::LostLease`] when another attempt has taken over; the page then rolls back.
pub async fn expire_page(
    store: &Store,
    run: &mut JobRun,
    cursor: &str,
    now: UtcMillis,
) -> Result<u32, JobError> {
    let before: &JobRun = run;
    let (expired, after) = store
        .transact(async |tx: &Tx| {
            let expired = vouchers::expire_due(tx, PAGE, now).await?;
            let mut after = before.clone();
            after.resume_after = Some(cursor.to_owned());
            after.count("expirados", i64::from(expired));
            after.note_progress(tx, now).await?;
            Ok::<_, JobError>((expired, after))
        })
        .await?;
    *run = after;
    Ok(expired)
}
