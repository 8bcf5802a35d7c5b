//! What happens to vouchers when their referral or their order is void.

use contracts::mgm::events::EventType;
use domain::{
    identity::{OrderId, ReferralId},
    mgm::{
        audit::{Details, Event},
        voucher::{State, Step},
    },
    money::Centavos,
    time::UtcMillis,
};

use super::{
    StoredVoucher,
    place::{leave_order, leave_order_of},
};
use crate::{StoreError, Tx, values};

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
    let mut released = 0;
    for mut voucher in StoredVoucher::lock(tx, condition, values![order.as_str()]).await? {
        leave_order(tx, order).await?;
        voucher.state = State::Issued;
        let details = Details::new()
            .with("id_pedido", order)
            .with("motivo", "pedido_cancelado");
        voucher
            .save(tx, Event::VoucherReleased, details, None, now)
            .await?;
        released += 1;
    }
    Ok(released)
}
