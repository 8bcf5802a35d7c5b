//! Coupons and vouchers: what they are worth, and the one way through their life.
//!
//! issued → reserved for an order → used; a reservation may be let go; what is not used may be
//! cancelled with its referral, or expire.

use super::campaign::Campaign;
use super::terms::Discount;
use crate::Invalid;
use crate::identity::OrderId;
use crate::money::Centavos;
use crate::time::UtcMillis;

/// How long a reservation lasts when no order holds it: 30 minutes.
pub const RESERVATION_MS: i64 = 30 * 60 * 1_000;

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The friend's coupon (`cupom_amigo`).
    FriendCoupon,
    /// The promoter's voucher (`voucher_promotor`).
    PromoterVoucher,
}

impl Kind {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FriendCoupon => "cupom_amigo",
            Self::PromoterVoucher => "voucher_promotor",
        }
    }

    /// From the stored word.
    ///
    /// # Errors
    /// For any other word.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        [Self::FriendCoupon, Self::PromoterVoucher]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(Invalid::new("must be cupom_amigo or voucher_promotor"))
    }
}

/// Where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It can be spent.
    Issued,
    /// An order has it.
    Reserved,
    /// It paid for an order.
    Used,
    /// Its referral was voided first.
    Cancelled,
    /// Its validity ended first.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Issued,
        Self::Reserved,
        Self::Used,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "emitido",
            Self::Reserved => "reservado",
            Self::Used => "usado",
            Self::Cancelled => "cancelado",
            Self::Expired => "expirado",
        }
    }

    /// From the stored word.
    ///
    /// # Errors
    /// For any other word.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(Invalid::new(
                "must be emitido, reservado, usado, cancelado or expirado",
            ))
    }
}

/// An order's claim on a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The order.
    pub order: OrderId,
    /// What it takes off this order.
    pub discount: Centavos,
    /// How long it lasts unless the order is there by then.
    pub until: UtcMillis,
}

/// A voucher that paid for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The order.
    pub order: OrderId,
    /// What it took off.
    pub discount: Centavos,
    /// When.
    pub used: UtcMillis,
    /// Whether its referral was voided afterwards.
    pub after_void: bool,
}

/// The state of a voucher, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It can be spent.
    Issued,
    /// An order has it.
    Reserved(Reservation),
    /// It paid for an order.
    Used(Use),
    /// Its referral was voided first.
    Cancelled,
    /// Its validity ended first.
    Expired,
}

/// What the `purchases` row of a voucher's order says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderHold {
    /// No such order is known (yet).
    Unknown,
    /// The order is there and alive: it holds its vouchers for as long as it takes.
    Alive,
    /// The order was cancelled or refunded.
    Void,
}

/// What a reservation asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The order.
    pub order: &'a OrderId,
    /// What the order costs before this discount.
    pub total: Centavos,
    /// What is known of the order.
    pub hold: OrderHold,
    /// The time.
    pub now: UtcMillis,
}

/// Whether a step changed anything: asked twice, the second time it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<T> {
    /// It was so before.
    Same(T),
    /// It is so now.
    New(T),
}

/// The voucher can't be used so. Outside all reasons look alike; inside they are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Its validity has ended.
    #[error("expired")]
    Expired,
    /// Another order has it, or no order does where one should.
    #[error("not reserved for this order")]
    OtherOrder,
    /// It was used.
    #[error("used")]
    Used,
    /// It was cancelled with its referral.
    #[error("cancelled")]
    Cancelled,
    /// The order was cancelled or refunded.
    #[error("the order is void")]
    OrderVoid,
    /// The order is placed: only the shop may take its voucher away.
    #[error("the order holds it")]
    OrderHolds,
    /// The order is another customer's.
    #[error("the order is another customer's")]
    ForeignOrder,
    /// Nobody has it yet, and its campaign takes no purchases now.
    #[error("the campaign takes no purchases now")]
    CampaignClosed,
    /// Nobody has it yet, and its campaign is for those who have not bought before.
    #[error("the customer has bought before")]
    ExistingBuyer,
}

/// Whether a customer may become the owner of a coupon that was given on arrival: only if the
/// purchase that it is for could become a referral.
///
/// # Errors
/// The reason against it.
pub fn may_bind(
    campaign: &Campaign,
    bought_before: bool,
    now: UtcMillis,
) -> Result<(), Unavailable> {
    if campaign.accepts_at(now).is_err() {
        return Err(Unavailable::CampaignClosed);
    }
    if bought_before && !campaign.terms().accepts_existing_buyers() {
        return Err(Unavailable::ExistingBuyer);
    }
    Ok(())
}

/// Who asks to let a voucher go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Releaser {
    /// Its owner, who can't free a voucher that a placed order counts on.
    Owner,
    /// The shop.
    Shop,
}

impl State {
    /// The word for this state.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Issued => Status::Issued,
            Self::Reserved(_) => Status::Reserved,
            Self::Used(_) => Status::Used,
            Self::Cancelled => Status::Cancelled,
            Self::Expired => Status::Expired,
        }
    }

    /// What an owner should see at `now`: a reservation that lapsed is none, and a voucher past its
    /// validity has expired, whether or not a sweep came by. `hold` is that of the reserving order.
    #[must_use]
    pub fn shown(&self, expires: UtcMillis, hold: OrderHold, now: UtcMillis) -> Status {
        match self {
            Self::Reserved(reservation) if !reservation.lapsed(hold, now) => Status::Reserved,
            Self::Reserved(_) | Self::Issued if expires <= now => Status::Expired,
            Self::Reserved(_) => Status::Issued,
            other => other.status(),
        }
    }

    /// Reserves a voucher worth `worth` until `expires`. `reserving` tells of the order that has it
    /// now, where one has. Asked again for the same order and discount, the answer is the same.
    ///
    /// # Errors
    /// When it is used, cancelled, expired, or another order has it; or when the order is void.
    pub fn reserve(
        &self,
        worth: Discount,
        expires: UtcMillis,
        reserving: OrderHold,
        request: Request<'_>,
    ) -> Result<Step<Reservation>, Unavailable> {
        if request.hold == OrderHold::Void {
            return Err(Unavailable::OrderVoid);
        }
        let discount = worth.of(request.total);
        let fresh = Reservation {
            order: request.order.clone(),
            discount,
            until: request.now.plus_millis(RESERVATION_MS),
        };
        match self {
            Self::Reserved(held) if !held.lapsed(reserving, request.now) => {
                if held.order != *request.order {
                    Err(Unavailable::OtherOrder)
                } else if held.discount == discount {
                    Ok(Step::Same(held.clone()))
                } else {
                    Ok(Step::New(fresh))
                }
            }
            Self::Issued | Self::Reserved(_) if expires <= request.now => Err(Unavailable::Expired),
            Self::Issued | Self::Reserved(_) => Ok(Step::New(fresh)),
            Self::Used(_) => Err(Unavailable::Used),
            Self::Cancelled => Err(Unavailable::Cancelled),
            Self::Expired => Err(Unavailable::Expired),
        }
    }

    /// Spends it on the order that reserved it.
    ///
    /// # Errors
    /// When that order has not reserved it, no longer has it, or is void.
    pub fn commit(
        &self,
        order: &OrderId,
        hold: OrderHold,
        now: UtcMillis,
    ) -> Result<Step<Use>, Unavailable> {
        match self {
            Self::Used(done) if done.order == *order => Ok(Step::Same(done.clone())),
            Self::Used(_) => Err(Unavailable::Used),
            Self::Reserved(held) if held.order == *order => {
                if hold == OrderHold::Void {
                    return Err(Unavailable::OrderVoid);
                }
                if held.lapsed(hold, now) {
                    return Err(Unavailable::OtherOrder);
                }
                let (order, discount) = (held.order.clone(), held.discount);
                Ok(Step::New(Use {
                    order,
                    discount,
                    used: now,
                    after_void: false,
                }))
            }
            Self::Issued | Self::Reserved(_) => Err(Unavailable::OtherOrder),
            Self::Cancelled => Err(Unavailable::Cancelled),
            Self::Expired => Err(Unavailable::Expired),
        }
    }

    /// Lets it go again. Letting go what no order has changes nothing.
    ///
    /// # Errors
    /// When it is used, cancelled or expired, another order has it, or the order is placed and it
    /// is not the shop that asks.
    pub fn release(
        &self,
        order: &OrderId,
        hold: OrderHold,
        releaser: Releaser,
    ) -> Result<Step<()>, Unavailable> {
        match self {
            Self::Issued => Ok(Step::Same(())),
            Self::Reserved(held) if held.order == *order => match (releaser, hold) {
                (Releaser::Owner, OrderHold::Alive) => Err(Unavailable::OrderHolds),
                _ => Ok(Step::New(())),
            },
            Self::Reserved(_) => Err(Unavailable::OtherOrder),
            Self::Used(_) => Err(Unavailable::Used),
            Self::Cancelled => Err(Unavailable::Cancelled),
            Self::Expired => Err(Unavailable::Expired),
        }
    }

    /// Its referral was voided: what is not used is cancelled, what is used is marked so.
    #[must_use]
    pub fn void(&self) -> Step<Self> {
        match self {
            Self::Issued | Self::Reserved(_) => Step::New(Self::Cancelled),
            Self::Used(done) if !done.after_void => Step::New(Self::Used(Use {
                after_void: true,
                ..done.clone()
            })),
            Self::Used(_) | Self::Cancelled | Self::Expired => Step::Same(self.clone()),
        }
    }

    /// Its validity ends, unless it is used or an order has it.
    #[must_use]
    pub fn expire(&self, expires: UtcMillis, reserving: OrderHold, now: UtcMillis) -> Step<Self> {
        let free = match self {
            Self::Issued => true,
            Self::Reserved(held) => held.lapsed(reserving, now),
            Self::Used(_) | Self::Cancelled | Self::Expired => false,
        };
        if free && expires <= now {
            Step::New(Self::Expired)
        } else {
            Step::Same(self.clone())
        }
    }
}

impl Reservation {
    /// Whether it is over: its order is void, or its time has passed and no order is there.
    #[must_use]
    pub fn lapsed(&self, hold: OrderHold, now: UtcMillis) -> bool {
        match hold {
            OrderHold::Alive => false,
            OrderHold::Void => true,
            OrderHold::Unknown => self.until <= now,
        }
    }
}

#[cfg(test)]
mod tests;
