//! Referrals: which purchase through a link becomes one, and what may become of it.

use super::{
    attribution::Attribution,
    campaign::{Campaign, Closed},
};
use crate::{
    Invalid,
    code::ReferralCode,
    identity::{CustomerId, OrderId},
    money::Centavos,
    orders::{OrderItem, OrderStatus},
    time::UtcMillis,
};

/// Velocity counts a promoter's referrals in this time before a purchase.
pub const VELOCITY_SPAN_MS: i64 = 3_600_000;

/// How a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferralStatus {
    /// The friend bought; the trip is to come.
    Accepted,
    /// The trip is over; the reward waits for its pending period.
    Completed,
    /// The promoter has the voucher.
    Rewarded,
    /// The purchase was cancelled or refunded.
    Void,
}

/// Why a referral was voided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoidReason {
    /// The order was cancelled.
    Cancelled,
    /// The order was paid back.
    Refunded,
}

/// A step that a referral's status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a referral that is {} can't take this step", .0.as_str())]
pub struct WrongStep(pub ReferralStatus);

/// What a completed trip brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTrip {
    /// The promoter's voucher, now.
    Reward,
    /// The pending period begins.
    Wait,
}

impl ReferralStatus {
    /// From the stored word.
    ///
    /// # Errors
    /// For a word that we never store.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        [Self::Accepted, Self::Completed, Self::Rewarded, Self::Void]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(Invalid::new(
                "must be aceita, concluida, premiada or anulada",
            ))
    }

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "aceita",
            Self::Completed => "concluida",
            Self::Rewarded => "premiada",
            Self::Void => "anulada",
        }
    }

    /// What becomes of a referral whose trip is over and whose reward is due at `due`; nothing where
    /// it was so before.
    #[must_use]
    pub fn after_trip(self, due: UtcMillis, now: UtcMillis) -> Option<AfterTrip> {
        match self {
            Self::Accepted | Self::Completed if due <= now => Some(AfterTrip::Reward),
            Self::Accepted => Some(AfterTrip::Wait),
            Self::Completed | Self::Rewarded | Self::Void => None,
        }
    }

    /// Why the promoter has no voucher at `now`; nothing when there is one. `completed` and `due`
    /// tell when the trip was over and when the reward is due.
    #[must_use]
    pub fn why_no_voucher(
        self,
        completed: Option<UtcMillis>,
        due: Option<UtcMillis>,
        now: UtcMillis,
    ) -> Option<&'static str> {
        match self {
            Self::Rewarded => None,
            Self::Void => Some("anulada"),
            _ if completed.is_none() => Some("viagem_nao_concluida"),
            _ if due.is_some_and(|due| due > now) => Some("em_carencia"),
            _ => Some("aguarda_emissao"),
        }
    }

    /// The trip is over and the reward not yet due.
    ///
    /// # Errors
    /// When it was over before, or the referral is void.
    pub const fn complete(self) -> Result<Self, WrongStep> {
        match self {
            Self::Accepted => Ok(Self::Completed),
            other => Err(WrongStep(other)),
        }
    }

    /// The promoter gets the voucher.
    ///
    /// # Errors
    /// When the promoter has it, or the referral is void.
    pub const fn reward(self) -> Result<Self, WrongStep> {
        match self {
            Self::Accepted | Self::Completed => Ok(Self::Rewarded),
            other => Err(WrongStep(other)),
        }
    }

    /// The purchase is no more.
    ///
    /// # Errors
    /// When it was voided before.
    pub const fn void(self) -> Result<Self, WrongStep> {
        match self {
            Self::Void => Err(WrongStep(self)),
            _ => Ok(Self::Void),
        }
    }
}

impl VoidReason {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelamento",
            Self::Refunded => "reembolso",
        }
    }
}

/// How an order names its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// By a `ref` that we signed.
    Signed(Attribution),
    /// By a `ref` with a wrong signature, which names a link nevertheless.
    Forged(ReferralCode),
}

/// An order as the shop's news so far tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The order.
    pub id: OrderId,
    /// Whose it is.
    pub customer: CustomerId,
    /// How it stands.
    pub status: OrderStatus,
    /// The link through which it came.
    pub claim: Option<Claim>,
    /// What it cost, once that was told.
    pub total: Option<Centavos>,
    /// When it was paid.
    pub approved: Option<UtcMillis>,
    /// When the trip ends.
    pub ends: Option<UtcMillis>,
    /// Its lines, in news that tell them.
    pub items: Vec<OrderItem>,
}

/// News of an order that name another customer than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order belongs to another customer")]
pub struct OtherCustomer;

impl Order {
    /// What is known after `news`, in whatever order news come: the status only moves on, and the
    /// first link, total of a paid order and approval stay. A trip's end and the lines may move.
    ///
    /// # Errors
    /// [`OtherCustomer`].
    pub fn merged(self, news: Self) -> Result<Self, OtherCustomer> {
        if self.customer != news.customer {
            return Err(OtherCustomer);
        }
        let total = if self.approved.is_some() {
            self.total.or(news.total)
        } else {
            news.total.or(self.total)
        };
        Ok(Self {
            id: self.id,
            customer: self.customer,
            status: self.status.merged(news.status),
            claim: self.claim.or(news.claim),
            total,
            approved: self.approved.or(news.approved),
            ends: news.ends.or(self.ends),
            items: if news.items.is_empty() {
                self.items
            } else {
                news.items
            },
        })
    }

    /// When it was bought: it was approved, and is or was paid. A cancelled order that was approved
    /// was a purchase too, whichever news came first.
    #[must_use]
    pub fn purchased(&self) -> Option<UtcMillis> {
        self.approved
            .filter(|_| self.status != OrderStatus::Pending)
    }

    /// Why its referral is void, if it is.
    #[must_use]
    pub const fn void_reason(&self) -> Option<VoidReason> {
        match self.status {
            OrderStatus::Cancelled => Some(VoidReason::Cancelled),
            OrderStatus::Refunded => Some(VoidReason::Refunded),
            OrderStatus::Pending | OrderStatus::Paid | OrderStatus::Completed => None,
        }
    }
}

/// Why a purchase through a link makes no referral: for the operator, never for the public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The `ref` has no right signature.
    BadRef,
    /// The campaign is paused or has ended.
    InactiveCampaign,
    /// Friend and promoter are one: same customer, CPF, phone or e-mail.
    OwnLink,
    /// The friend has a living referral in this campaign.
    AlreadyReferred,
    /// The friend bought before, and the campaign wants new buyers.
    ExistingBuyer,
    /// The purchase is outside the campaign's dates.
    OutsideDates,
    /// The click is too old, or later than the purchase.
    OutsideWindow,
    /// The purchase is too small.
    BelowMinimum,
    /// Too many purchases through one link in an hour.
    Velocity,
    /// The promoter has all the referrals that the campaign allows.
    PromoterLimit,
    /// The promoter has all the referrals of this month.
    MonthlyLimit,
    /// The budget can't hold another discount and reward.
    BudgetSpent,
}

impl Refusal {
    /// Every reason there is, in the order in which they are looked at.
    pub const ALL: [Self; 12] = [
        Self::BadRef,
        Self::InactiveCampaign,
        Self::OwnLink,
        Self::AlreadyReferred,
        Self::ExistingBuyer,
        Self::OutsideDates,
        Self::OutsideWindow,
        Self::BelowMinimum,
        Self::Velocity,
        Self::PromoterLimit,
        Self::MonthlyLimit,
        Self::BudgetSpent,
    ];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRef => "ref_invalido",
            Self::InactiveCampaign => "campanha_inativa",
            Self::OwnLink => "link_proprio",
            Self::AlreadyReferred => "amigo_ja_indicado",
            Self::ExistingBuyer => "comprador_existente",
            Self::OutsideDates => "fora_do_periodo",
            Self::OutsideWindow => "fora_da_janela",
            Self::BelowMinimum => "abaixo_do_minimo",
            Self::Velocity => "velocidade",
            Self::PromoterLimit => "limite_do_promotor",
            Self::MonthlyLimit => "limite_mensal",
            Self::BudgetSpent => "orcamento_esgotado",
        }
    }
}

/// What is known when a purchase through a link is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseFacts {
    /// When it was approved.
    pub purchased: UtcMillis,
    /// When the link was clicked; `None` when the `ref` has no right signature.
    pub clicked: Option<UtcMillis>,
    /// What it cost.
    pub total: Centavos,
    /// Friend and promoter share their id, CPF, phone or e-mail.
    pub own_link: bool,
    /// The friend has a living referral in the campaign.
    pub already_referred: bool,
    /// The friend has another purchase, paid, not void and approved earlier.
    pub bought_before: bool,
    /// The friend owns a living coupon that was given on arrival: it holds its discount already.
    pub has_coupon: bool,
    /// The promoter's referrals in the hour before the purchase, void ones included.
    pub in_last_hour: u32,
    /// The promoter's living referrals of the purchase's São Paulo month.
    pub in_month: u32,
    /// The promoter's living referrals.
    pub in_all: u32,
}

/// What an accepted referral takes from the campaign's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// For the discount of the friend's new coupon; nothing where the friend has one.
    pub for_discount: Option<Centavos>,
    /// For the promoter's reward.
    pub for_reward: Centavos,
}

impl Acceptance {
    /// Both.
    ///
    /// # Errors
    /// When they are more than any budget.
    pub fn total(self) -> Result<Centavos, Refusal> {
        self.for_discount
            .unwrap_or_default()
            .checked_add(self.for_reward)
            .ok_or(Refusal::BudgetSpent)
    }
}

/// Whether a purchase through a link becomes a referral of `campaign`. Limits are judged on counts
/// that were read under the promoter's lock; the budget is taken by its own conditional statement.
///
/// # Errors
/// The first reason against it.
pub fn judge_purchase(campaign: &Campaign, facts: &PurchaseFacts) -> Result<Acceptance, Refusal> {
    let terms = campaign.terms();
    let clicked = facts.clicked.ok_or(Refusal::BadRef)?;
    let closed = campaign.accepts_at(facts.purchased).err();
    let full = |count: u32, limit: Option<u32>| limit.is_some_and(|limit| count >= limit);
    let reasons = [
        (closed == Some(Closed::NotActive), Refusal::InactiveCampaign),
        (facts.own_link, Refusal::OwnLink),
        (facts.already_referred, Refusal::AlreadyReferred),
        (
            facts.bought_before && !terms.accepts_existing_buyers(),
            Refusal::ExistingBuyer,
        ),
        (closed == Some(Closed::OutsideDates), Refusal::OutsideDates),
        (
            !terms.attributes(clicked, facts.purchased),
            Refusal::OutsideWindow,
        ),
        (
            facts.total < terms.minimum_purchase(),
            Refusal::BelowMinimum,
        ),
        (
            full(facts.in_last_hour, terms.hourly_velocity_limit()),
            Refusal::Velocity,
        ),
        (
            full(facts.in_all, terms.promoter_total_limit()),
            Refusal::PromoterLimit,
        ),
        (
            full(facts.in_month, terms.promoter_monthly_limit()),
            Refusal::MonthlyLimit,
        ),
    ];
    if let Some((_, refusal)) = reasons.iter().find(|(holds, _)| *holds) {
        return Err(*refusal);
    }
    let acceptance = Acceptance {
        for_discount: (!facts.has_coupon).then(|| terms.discount().maximum()),
        for_reward: terms.reward(),
    };
    let spent = campaign.commitments();
    let left = terms
        .budget()
        .checked_sub(spent.reserved)
        .and_then(|rest| rest.checked_sub(spent.spent));
    if left.is_none_or(|left| acceptance.total().is_ok_and(|total| total > left)) {
        return Err(Refusal::BudgetSpent);
    }
    Ok(acceptance)
}

#[cfg(test)]
mod tests;
