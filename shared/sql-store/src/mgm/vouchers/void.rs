//! What happens to vouchers when their referral or order is void, or their time is over.

use std::collections::BTreeMap;

use contracts::mgm::events::EventType;
use domain::{
    code::ReferralCode,
    identity::{CampaignId, CustomerId, OrderId, ReferralId},
    mgm::{
        audit::{Details, Event},
        voucher::{OrderHold, State, Step},
    },
    money::Centavos,
    time::UtcMillis,
};

use super::{
    StoredVoucher, budget,
    place::{leave_order, leave_order_of},
    record::order_hold_seen,
};
use crate::{StoreError, Tx, Value, values};

/// What the end of a referral did to its vouchers.
#[must_use = "what the vouchers held must go back to the campaign's budget"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Voided {
    /// What they held of the campaign's budget and hold no more. The caller gives it back, since
    /// the campaign's row is locked last.
    pub given_back: Centavos,
    /// How many were cancelled.
    pub cancelled: u32,
    /// How many had been used and are kept so.
    pub used: u32,
}

/// Cancels what was issued for a referral and not yet used, and marks what was used. The caller
/// holds the referral's row. Done again, it changes nothing and gives nothing back.
///
/// # Errors
/// When the database fails.
pub async fn cancel_of_referral(
    tx: &Tx,
    referral: &ReferralId,
    now: UtcMillis,
) -> Result<Voided, StoreError> {
    let condition = "referral_id = ? ORDER BY id";
    let mut outcome = Voided::default();
    for mut voucher in StoredVoucher::lock(tx, condition, values![referral.as_str()]).await? {
        let Step::New(next) = voucher.state.void() else {
            continue;
        };
        let details = Details::new()
            .with("id_indicacao", referral)
            .with("valor", voucher.held);
        if next == State::Cancelled {
            let sum = outcome.given_back.checked_add(voucher.held);
            outcome.given_back = sum.ok_or(StoreError::Broken("vouchers hold too much"))?;
            outcome.cancelled += 1;
            leave_order_of(tx, &voucher.state).await?;
            voucher.state = next;
            let tipo = Some(EventType::cancelled(voucher.kind));
            voucher
                .save(tx, Event::VoucherCancelled, details, tipo, now)
                .await?;
        } else {
            outcome.used += 1;
            voucher.state = next;
            voucher
                .save(tx, Event::VoucherUsedAfterVoid, details, None, now)
                .await?;
        }
    }
    Ok(outcome)
}

/// Lets go of what a void order had reserved; what it used stays used. The caller holds the order's
/// `purchases` row. Answers how many were released.
///
/// # Errors
/// When the database fails.
pub async fn release_of_order(tx: &Tx, order: &OrderId, now: UtcMillis) -> Result<u32, StoreError> {
    let condition = "order_id = ? AND status = 'reservado' ORDER BY id";
    let values = values![order.as_str()];
    release_all(tx, order, condition, values, "pedido_cancelado", now).await
}

/// Lets go of what other customers had reserved for this order before it was placed. The caller
/// holds the order's `purchases` row. Answers how many were released.
///
/// # Errors
/// When the database fails.
pub async fn release_of_others(
    tx: &Tx,
    order: &OrderId,
    customer: &CustomerId,
    now: UtcMillis,
) -> Result<u32, StoreError> {
    let condition = "order_id = ? AND status = 'reservado' AND owner_id <> ? ORDER BY id";
    let values = values![order.as_str(), customer.as_str()];
    release_all(tx, order, condition, values, "pedido_de_outro_cliente", now).await
}

async fn release_all(
    tx: &Tx,
    order: &OrderId,
    condition: &str,
    values: Vec<Value>,
    reason: &'static str,
    now: UtcMillis,
) -> Result<u32, StoreError> {
    let mut released = 0;
    for mut voucher in StoredVoucher::lock(tx, condition, values).await? {
        leave_order(tx, order).await?;
        voucher.state = State::Issued;
        let details = Details::new()
            .with("id_pedido", order)
            .with("motivo", reason);
        voucher
            .save(tx, Event::VoucherReleased, details, None, now)
            .await?;
        released += 1;
    }
    Ok(released)
}

/// Binds the coupon that a friend was given on arrival by this link to the referral that the
/// friend's purchase made. The caller holds the referral's row. Answers the coupon, whose `held`
/// tells what the budget holds for it; none when the friend has never reserved one.
///
/// # Errors
/// When the database fails.
pub async fn bind_arrival_coupon(
    tx: &Tx,
    link: &ReferralCode,
    friend: &CustomerId,
    referral: &ReferralId,
    now: UtcMillis,
) -> Result<Option<StoredVoucher>, StoreError> {
    let condition = "owner_id = ? AND link_code = ? AND referral_id IS NULL \
                     AND status IN ('emitido', 'reservado', 'usado') ORDER BY id LIMIT 1";
    let values = values![friend.as_str(), link.as_str()];
    let found = StoredVoucher::lock(tx, condition, values)
        .await?
        .into_iter()
        .next();
    let Some(mut coupon) = found else {
        return Ok(None);
    };
    coupon.referral = Some(referral.clone());
    let details = Details::new().with("id_indicacao", referral);
    coupon
        .save(tx, Event::VoucherBound, details, None, now)
        .await?;
    Ok(Some(coupon))
}

/// Ends the validity of vouchers past their date that no order has, and gives back what they held.
/// Answers how many; fewer than `limit` means that no more are due.
///
/// # Errors
/// When the database fails.
pub async fn expire_due(tx: &Tx, limit: u32, now: UtcMillis) -> Result<u32, StoreError> {
    let condition = "expires_ms <= ? AND (status = 'emitido' OR (status = 'reservado' AND ( \
         EXISTS (SELECT 1 FROM purchases p WHERE p.order_id = vouchers.order_id \
         AND p.status IN ('cancelado', 'reembolsado')) OR (reserved_until_ms <= ? \
         AND NOT EXISTS (SELECT 1 FROM purchases p WHERE p.order_id = vouchers.order_id))))) \
         ORDER BY expires_ms, id LIMIT ?";
    let due = StoredVoucher::read(tx, condition, values![now.get(), now.get(), limit]).await?;
    let mut expired = 0;
    // Campaigns are locked last, each once.
    let mut given_back: BTreeMap<CampaignId, Centavos> = BTreeMap::new();
    for id in due.iter().map(|voucher| voucher.id.as_str()) {
        for mut voucher in StoredVoucher::lock(tx, "id = ?", values![id]).await? {
            let reserving = match &voucher.state {
                State::Reserved(held) => order_hold_seen(tx, &held.order).await?,
                _ => OrderHold::Unknown,
            };
            let Step::New(next) = voucher.state.expire(voucher.expires, reserving, now) else {
                continue;
            };
            leave_order_of(tx, &voucher.state).await?;
            let held = voucher.held;
            voucher.state = next;
            let details = Details::new().with("valor", held);
            voucher
                .save(tx, Event::VoucherExpired, details, None, now)
                .await?;
            let sum = given_back.entry(voucher.campaign.clone()).or_default();
            *sum = sum
                .checked_add(held)
                .ok_or(StoreError::Broken("vouchers hold too much"))?;
            expired += 1;
        }
    }
    for (campaign, held) in given_back {
        budget::give_back(tx, &campaign, held).await?;
    }
    Ok(expired)
}
