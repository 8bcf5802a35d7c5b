//! News of orders (`pedidos`): purchases through a link become referrals, cancelled ones void them.
//!
//! The order of locks stands in [`crate::mgm`].

use domain::{
    code::ReferralCode,
    identity::{CustomerId, OrderId, ReferralId},
    mgm::{
        attribution::Attribution,
        referral::{Claim, Order, OtherCustomer, Refusal},
        trip::{CompletedLeg, Leg},
    },
    money::Centavos,
    orders::OrderStatus,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{
    referrals::{self, NotAccepted},
    trips, vouchers,
};
use crate::{Store, StoreError, Tx, sales_export, values};

/// Under this name messages of `pedidos` are marked as handled.
pub const CONSUMER: &str = "reward-purchase";

/// What became of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The message was handled before.
    Before,
    /// The order is known; no referral came or went.
    Order,
    /// The purchase became a referral.
    Accepted(ReferralId),
    /// The purchase came through a link and became none.
    Refused(Refusal),
    /// The referral of the order was voided.
    Voided(ReferralId),
}

/// Why news of an order or its trip were not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordOrderError {
    /// The news name another customer than before: they never can be recorded.
    #[error(transparent)]
    OtherCustomer(#[from] OtherCustomer),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a transaction was rolled back.
enum Undone {
    /// Another transaction took the friend or the last of the budget first.
    Lost(Refusal),
    Failed(RecordOrderError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Records news of an order exactly once: the purchase through a link is judged and becomes a
/// referral with the friend's coupon, or a refusal; a void order voids its referral.
///
/// # Errors
/// See [`RecordOrderError`].
pub async fn record_order(
    store: &Store,
    message_id: &str,
    news: &Order,
    now: UtcMillis,
) -> Result<Recorded, RecordOrderError> {
    let attempt = async |lost: Option<Refusal>| {
        store
            .transact(async |tx: &Tx| record(tx, message_id, news, lost, now).await)
            .await
    };
    // What a refused referral had taken went back with its transaction; the next one keeps why.
    let outcome = match attempt(None).await {
        Err(Undone::Lost(refusal)) => attempt(Some(refusal)).await,
        other => other,
    };
    outcome.map_err(|undone| match undone {
        Undone::Failed(error) => error,
        Undone::Lost(_) => StoreError::Contended { attempts: 2 }.into(),
    })
}

async fn record(
    tx: &Tx,
    message_id: &str,
    news: &Order,
    lost: Option<Refusal>,
    now: UtcMillis,
) -> Result<Recorded, Undone> {
    if !tx.mark_handled(CONSUMER, message_id, now).await? {
        return Ok(Recorded::Before);
    }
    let order = merge(tx, news, now).await?;
    sales_export::note_news(tx, &order, now).await?;
    if order.status == OrderStatus::Completed {
        note_completion(tx, &order, now).await?;
    }
    if order.status.is_void() {
        vouchers::release_of_order(tx, &order.id, now).await?;
    }
    let mut recorded = judge_once(tx, &order, lost, now).await?;
    if let Some(reason) = order.void_reason()
        && let Some(referral) = referrals::lock_of_order(tx, &order.id).await?
        && referral.is_alive()
    {
        recorded = Recorded::Voided(referral.id.clone());
        referrals::void(tx, referral, reason, now).await?;
    }
    if order.status.is_void() {
        return Ok(recorded);
    }
    vouchers::release_of_others(tx, &order.id, &order.customer, now).await?;
    // A completion may have come first and waits: from here on it meets its purchase.
    let waiting = trips::lock_completion(tx, &order).await?;
    trips::settle(tx, waiting.as_slice(), now).await?;
    Ok(recorded)
}

/// A delivered order is a completed one, with or without a message of `viagens`.
async fn note_completion(tx: &Tx, order: &Order, now: UtcMillis) -> Result<(), StoreError> {
    if trips::lock_completion(tx, order).await?.is_none() {
        let whole = CompletedLeg {
            order: order.id.clone(),
            customer: order.customer.clone(),
            leg: Leg::WHOLE,
            completed: now,
        };
        trips::note_legs(tx, &[&whole]).await?;
    }
    Ok(())
}

/// An order is judged once, with its first news that make it a purchase through a link.
async fn judge_once(
    tx: &Tx,
    order: &Order,
    lost: Option<Refusal>,
    now: UtcMillis,
) -> Result<Recorded, Undone> {
    // A cancellation may come first and needs no total: the purchase's own news bring it.
    let (Some(purchased), Some(claim), Some(_)) = (order.purchased(), &order.claim, order.total)
    else {
        return Ok(Recorded::Order);
    };
    if referrals::was_judged(tx, &order.id).await? {
        return Ok(Recorded::Order);
    }
    let Some(promoter) = referrals::lock_promoter(tx, claim).await? else {
        return Ok(Recorded::Order);
    };
    let verdict = match lost {
        Some(refusal) => Err(NotAccepted::Refused(refusal)),
        None => referrals::accept(tx, order, purchased, &promoter, now).await,
    };
    match verdict {
        Ok(referral) => Ok(Recorded::Accepted(referral)),
        Err(NotAccepted::Refused(refusal)) => {
            referrals::refuse(tx, order, &promoter, refusal, now).await?;
            Ok(Recorded::Refused(refusal))
        }
        Err(NotAccepted::Lost(refusal)) => Err(Undone::Lost(refusal)),
        Err(NotAccepted::Store(error)) => Err(error.into()),
    }
}

#[derive(FromQueryResult)]
struct Row {
    customer_id: String,
    status: String,
    ref_code: Option<String>,
    ref_clicked_ms: Option<i64>,
    total_centavos: Option<i64>,
    approved_ms: Option<i64>,
    ends_ms: Option<i64>,
}

impl Row {
    fn order(self, id: &OrderId) -> Result<Order, StoreError> {
        let claim = match (self.ref_code, self.ref_clicked_ms) {
            (None, _) => None,
            (Some(code), None) => Some(Claim::Forged(ReferralCode::parse(&code)?)),
            (Some(code), Some(clicked)) => Some(Claim::Signed(Attribution {
                code: ReferralCode::parse(&code)?,
                clicked: UtcMillis::new(clicked)?,
            })),
        };
        Ok(Order {
            id: id.clone(),
            customer: CustomerId::parse(self.customer_id)?,
            status: OrderStatus::parse(&self.status)?,
            claim,
            total: self.total_centavos.map(Centavos::new).transpose()?,
            approved: self.approved_ms.map(UtcMillis::new).transpose()?,
            ends: self.ends_ms.map(UtcMillis::new).transpose()?,
            items: Vec::new(),
        })
    }
}

/// Locks the order's row and writes what is known after the news.
async fn merge(tx: &Tx, news: &Order, now: UtcMillis) -> Result<Order, Undone> {
    let sql = format!(
        "SELECT customer_id, status, ref_code, ref_clicked_ms, total_centavos, approved_ms, \
         ends_ms FROM purchases WHERE order_id = ?{}",
        tx.for_update()
    );
    for _ in 0..2 {
        let known: Option<Row> = tx.one(&sql, values![news.id.as_str()]).await?;
        if let Some(row) = known {
            let known = row.order(&news.id)?;
            let merged = known
                .clone()
                .merged(news.clone())
                .map_err(|other| Undone::Failed(other.into()))?;
            if merged != known {
                write(tx, &merged, now).await?;
            }
            return Ok(merged);
        }
        if insert(tx, news, now).await? {
            return Ok(news.clone());
        }
    }
    Err(StoreError::Broken("purchases hides a row").into())
}

async fn insert(tx: &Tx, order: &Order, now: UtcMillis) -> Result<bool, StoreError> {
    let (code, clicked) = claim_columns(order);
    tx.insert_new(
        "INSERT INTO purchases (order_id, customer_id, status, ref_code, ref_clicked_ms, \
         total_centavos, approved_ms, ends_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            order.id.as_str(),
            order.customer.as_str(),
            order.status.as_str(),
            code,
            clicked,
            order.total.map(Centavos::get),
            order.approved.map(UtcMillis::get),
            order.ends.map(UtcMillis::get),
            now.get(),
        ],
    )
    .await
}

async fn write(tx: &Tx, order: &Order, now: UtcMillis) -> Result<(), StoreError> {
    let (code, clicked) = claim_columns(order);
    let written = tx
        .execute(
            "UPDATE purchases SET status = ?, ref_code = ?, ref_clicked_ms = ?, total_centavos = ?, \
             approved_ms = ?, ends_ms = ?, updated_ms = ? WHERE order_id = ?",
            values![
                order.status.as_str(),
                code,
                clicked,
                order.total.map(Centavos::get),
                order.approved.map(UtcMillis::get),
                order.ends.map(UtcMillis::get),
                now.get(),
                order.id.as_str(),
            ],
        )
        .await?;
    if written == 1 {
        Ok(())
    } else {
        Err(StoreError::Broken("purchases lost a locked row"))
    }
}

fn claim_columns(order: &Order) -> (Option<&str>, Option<i64>) {
    match &order.claim {
        None => (None, None),
        Some(Claim::Forged(code)) => (Some(code.as_str()), None),
        Some(Claim::Signed(click)) => (Some(click.code.as_str()), Some(click.clicked.get())),
    }
}
