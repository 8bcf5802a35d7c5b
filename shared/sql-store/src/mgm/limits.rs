//! What a purchase is judged on, and the limits that an accepted referral takes from its promoter.

use domain::{
    mgm::{
        campaign::Terms,
        referral::{Claim, Order, PurchaseFacts, Refusal, VELOCITY_SPAN_MS},
    },
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::referrals::{Locked, Promoter};
use crate::{StoreError, Tx, values};

#[derive(FromQueryResult)]
struct Counted {
    own_link: i64,
    already_referred: i64,
    bought_before: i64,
    in_last_hour: i64,
    in_month: Option<i64>,
}

/// One statement for all that is asked. CPF, phone and e-mail of friend and promoter are compared
/// in the database, so that none of them leaves it.
const FACTS: &str = "SELECT \
    (SELECT COUNT(*) FROM customers friend JOIN customers promoter \
       ON promoter.cpf = friend.cpf OR promoter.phone = friend.phone \
       OR promoter.email = friend.email \
     WHERE friend.customer_id = ? AND promoter.customer_id = ?) AS own_link, \
    (SELECT COUNT(*) FROM referrals \
     WHERE campaign_id = ? AND friend_id = ? AND slot = 'active') AS already_referred, \
    (SELECT COUNT(*) FROM purchases WHERE customer_id = ? AND order_id <> ? \
       AND status IN ('pago', 'concluido') AND approved_ms < ?) AS bought_before, \
    (SELECT COUNT(*) FROM referrals WHERE campaign_id = ? AND promoter_id = ? \
       AND purchased_ms > ? AND purchased_ms <= ?) AS in_last_hour, \
    (SELECT accepted FROM promoter_months \
     WHERE campaign_id = ? AND customer_id = ? AND month = ?) AS in_month";

/// A friend's living coupon of a campaign, given on arrival and bound since.
const ARRIVAL_COUPON: &str = "owner_id = ? AND campaign_id = ? AND kind = 'cupom_amigo' \
    AND link_code IS NOT NULL AND (status IN ('emitido', 'reservado') \
      OR (status = 'usado' AND used_after_void = 0))";

/// Gathers what the purchase is judged on. The caller holds the promoter's row, so what is counted
/// of the promoter stays so until the end of the transaction.
pub(super) async fn gather(
    tx: &Tx,
    order: &Order,
    purchased: UtcMillis,
    promoter: &Promoter,
) -> Result<PurchaseFacts, StoreError> {
    let (campaign, friend) = (promoter.campaign_id.as_str(), order.customer.as_str());
    let promoter_id = promoter.customer_id.as_str();
    let counted: Option<Counted> = tx
        .one(
            FACTS,
            values![
                friend,
                promoter_id,
                campaign,
                friend,
                friend,
                order.id.as_str(),
                purchased.get(),
                campaign,
                promoter_id,
                purchased.get() - VELOCITY_SPAN_MS,
                purchased.get(),
                campaign,
                promoter_id,
                purchased.day().month(),
            ],
        )
        .await?;
    let counted = counted.ok_or(StoreError::Broken("a query of counts gave no row"))?;
    Ok(PurchaseFacts {
        purchased,
        clicked: match &order.claim {
            Some(Claim::Signed(click)) => Some(click.clicked),
            Some(Claim::Forged(_)) | None => None,
        },
        total: order.total.unwrap_or_default(),
        own_link: friend == promoter_id || counted.own_link > 0,
        already_referred: counted.already_referred > 0,
        bought_before: counted.bought_before > 0,
        has_coupon: has_arrival_coupon(tx, order, promoter).await?,
        in_last_hour: count(counted.in_last_hour)?,
        in_month: count(counted.in_month.unwrap_or_default())?,
        in_all: count(promoter.accepted)?,
    })
}

/// Whether the friend owns a living coupon that was given on arrival.
pub(super) async fn has_arrival_coupon(
    tx: &Tx,
    order: &Order,
    promoter: &Promoter,
) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 AS found FROM vouchers WHERE {ARRIVAL_COUPON} LIMIT 1");
    let keys = values![order.customer.as_str(), promoter.campaign_id.as_str()];
    tx.exists(&sql, keys).await
}

fn count(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Broken("a count of referrals"))
}

/// Takes one referral from the promoter's limits, each by one conditional statement. Answers which
/// limit was full; the transaction is then of no more use.
pub(super) async fn take(
    tx: &Tx,
    promoter: &Promoter,
    terms: &Terms,
    month: &str,
) -> Result<Option<Refusal>, StoreError> {
    let (campaign, customer) = (promoter.campaign_id.as_str(), promoter.customer_id.as_str());
    let limit = |limit: Option<u32>| limit.map_or(i64::MAX, i64::from);
    let in_all = tx
        .execute(
            "UPDATE promoters SET accepted = accepted + 1 \
             WHERE campaign_id = ? AND customer_id = ? AND accepted < ?",
            values![campaign, customer, limit(terms.promoter_total_limit())],
        )
        .await?;
    if in_all == 0 {
        return Ok(Some(Refusal::PromoterLimit));
    }
    let in_month = tx
        .execute(
            "UPDATE promoter_months SET accepted = accepted + 1 \
             WHERE campaign_id = ? AND customer_id = ? AND month = ? AND accepted < ?",
            values![
                campaign,
                customer,
                month,
                limit(terms.promoter_monthly_limit())
            ],
        )
        .await?;
    if in_month > 0 {
        return Ok(None);
    }
    let is_first = tx
        .insert_new(
            "INSERT INTO promoter_months (campaign_id, customer_id, month, accepted) \
             VALUES (?, ?, ?, 1)",
            values![campaign, customer, month],
        )
        .await?;
    Ok(if is_first {
        None
    } else {
        Some(Refusal::MonthlyLimit)
    })
}

/// Gives a voided referral back to its promoter's limits.
pub(super) async fn give_back(tx: &Tx, referral: &Locked) -> Result<(), StoreError> {
    let (campaign, promoter) = (referral.campaign.as_str(), referral.promoter.as_str());
    let in_all = tx
        .execute(
            "UPDATE promoters SET accepted = accepted - 1 \
             WHERE campaign_id = ? AND customer_id = ? AND accepted > 0",
            values![campaign, promoter],
        )
        .await?;
    let in_month = tx
        .execute(
            "UPDATE promoter_months SET accepted = accepted - 1 \
             WHERE campaign_id = ? AND customer_id = ? AND month = ? AND accepted > 0",
            values![campaign, promoter, referral.purchase_month.as_str()],
        )
        .await?;
    if (in_all, in_month) == (1, 1) {
        Ok(())
    } else {
        Err(StoreError::Broken(
            "promoters have fewer referrals than were accepted",
        ))
    }
}
