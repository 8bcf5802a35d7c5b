//! Referrals: which purchase through a link becomes one, and what may become of it.

use super::{
    attribution::Attribution,
    campaign::{Campaign, Closed, CouponMoment, Terms},
};
use crate::{
    Invalid,
    code::ReferralCode,
    identity::{CustomerId, OrderId},
    money::Centavos,
    orders::OrderStatus,
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
}

/// News of an order that name another customer than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order belongs to another customer")]
pub struct OtherCustomer;

impl Order {
    /// What is known after `news`, in whatever order news come: the status only moves on, and the
    /// first link, total of a paid order and approval stay. A trip's end may move.
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
    /// For the friend's discount; nothing where the coupon was given on arrival.
    pub for_discount: Centavos,
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
        for_discount: discount_to_reserve(terms),
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

/// A coupon given on arrival holds its own maximum from its first reservation on.
const fn discount_to_reserve(terms: &Terms) -> Centavos {
    match terms.coupon_moment() {
        CouponMoment::Purchase => terms.discount().maximum(),
        CouponMoment::Arrival => Centavos::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::CampaignId;
    use crate::mgm::campaign::{
        CampaignStatus, Commitments, Discount, Loopback, Proposal, ShopUrl,
    };

    fn at(text: &str) -> UtcMillis {
        UtcMillis::parse(text).unwrap()
    }

    fn reais(amount: i64) -> Centavos {
        Centavos::new(amount * 100).unwrap()
    }

    fn terms(change: impl FnOnce(&mut Proposal)) -> Terms {
        let mut proposal = Proposal {
            name: Some("Verão".to_owned()),
            starts: Some(at("2026-01-01T00:00:00Z")),
            ends: Some(at("2027-01-01T00:00:00Z")),
            discount: Some(Discount::Amount(reais(20))),
            reward: Some(reais(30)),
            budget: Some(reais(1_000)),
            voucher_valid_days: Some(90),
            attribution_window_days: Some(Some(7)),
            shop_url: Some(ShopUrl::parse("https://loja.example", Loopback::Refused).unwrap()),
            ..Proposal::default()
        };
        change(&mut proposal);
        proposal.check().unwrap()
    }

    fn campaign_with(
        status: CampaignStatus,
        committed: Commitments,
        change: impl FnOnce(&mut Proposal),
    ) -> Campaign {
        let now = at("2026-01-01T00:00:00Z");
        let id = CampaignId::parse("01CAMPAIGN").unwrap();
        Campaign::restore(id, terms(change), status, committed, 1, (now, now))
    }

    fn campaign(change: impl FnOnce(&mut Proposal)) -> Campaign {
        campaign_with(CampaignStatus::Active, Commitments::default(), change)
    }

    fn facts() -> PurchaseFacts {
        PurchaseFacts {
            purchased: at("2026-11-20T12:00:00Z"),
            clicked: Some(at("2026-11-18T12:00:00Z")),
            total: reais(100),
            own_link: false,
            already_referred: false,
            bought_before: false,
            in_last_hour: 0,
            in_month: 0,
            in_all: 0,
        }
    }

    fn refusal(campaign: &Campaign, facts: PurchaseFacts) -> Option<Refusal> {
        judge_purchase(campaign, &facts).err()
    }

    #[test]
    fn a_good_purchase_reserves_discount_and_reward() {
        let accepted = judge_purchase(&campaign(|_| ()), &facts()).unwrap();
        assert_eq!(
            (accepted.for_discount, accepted.for_reward),
            (reais(20), reais(30))
        );
        assert_eq!(accepted.total(), Ok(reais(50)));
    }

    #[test]
    fn a_forged_ref_is_refused() {
        let forged = PurchaseFacts {
            clicked: None,
            ..facts()
        };
        assert_eq!(refusal(&campaign(|_| ()), forged), Some(Refusal::BadRef));
    }

    #[test]
    fn a_paused_or_ended_campaign_accepts_nothing() {
        for status in [CampaignStatus::Paused, CampaignStatus::Ended] {
            let closed = campaign_with(status, Commitments::default(), |_| ());
            assert_eq!(refusal(&closed, facts()), Some(Refusal::InactiveCampaign));
        }
    }

    #[test]
    fn nobody_refers_themselves() {
        let own = PurchaseFacts {
            own_link: true,
            ..facts()
        };
        assert_eq!(refusal(&campaign(|_| ()), own), Some(Refusal::OwnLink));
    }

    #[test]
    fn a_friend_is_referred_once() {
        let again = PurchaseFacts {
            already_referred: true,
            ..facts()
        };
        assert_eq!(
            refusal(&campaign(|_| ()), again),
            Some(Refusal::AlreadyReferred)
        );
    }

    #[test]
    fn an_existing_buyer_is_refused_unless_the_campaign_takes_them() {
        let buyer = PurchaseFacts {
            bought_before: true,
            ..facts()
        };
        assert_eq!(
            refusal(&campaign(|_| ()), buyer),
            Some(Refusal::ExistingBuyer)
        );
        let open = campaign(|proposal| proposal.accepts_existing_buyers = Some(true));
        assert_eq!(refusal(&open, buyer), None);
    }

    #[test]
    fn a_purchase_outside_the_dates_is_refused() {
        for (purchased, outside) in [
            ("2025-12-31T23:59:59.999Z", true),
            ("2026-01-01T00:00:00Z", false),
            ("2026-12-31T23:59:59.999Z", false),
            ("2027-01-01T00:00:00Z", true),
        ] {
            let purchased = at(purchased);
            let facts = PurchaseFacts {
                purchased,
                clicked: Some(purchased),
                ..facts()
            };
            let expected = outside.then_some(Refusal::OutsideDates);
            assert_eq!(refusal(&campaign(|_| ()), facts), expected, "{purchased}");
        }
    }

    #[test]
    fn a_click_counts_within_its_window_only() {
        let clicked = |text| PurchaseFacts {
            clicked: Some(at(text)),
            ..facts()
        };
        let windowed = campaign(|_| ());
        assert_eq!(refusal(&windowed, clicked("2026-11-13T12:00:00Z")), None);
        for text in ["2026-11-13T11:59:59.999Z", "2026-11-20T12:00:00.001Z"] {
            assert_eq!(
                refusal(&windowed, clicked(text)),
                Some(Refusal::OutsideWindow),
                "{text}"
            );
        }
        let endless = campaign(|proposal| proposal.attribution_window_days = Some(None));
        assert_eq!(refusal(&endless, clicked("2026-11-25T00:00:00Z")), None);
    }

    #[test]
    fn a_purchase_below_the_minimum_is_refused() {
        let strict = campaign(|proposal| proposal.minimum_purchase = Some(reais(100)));
        assert_eq!(refusal(&strict, facts()), None);
        let small = PurchaseFacts {
            total: Centavos::new(9_999).unwrap(),
            ..facts()
        };
        assert_eq!(refusal(&strict, small), Some(Refusal::BelowMinimum));
    }

    #[test]
    fn each_limit_counts_what_it_names() {
        let limited = campaign(|proposal| {
            proposal.hourly_velocity_limit = Some(Some(2));
            proposal.promoter_monthly_limit = Some(Some(3));
            proposal.promoter_total_limit = Some(Some(4));
        });
        let below = PurchaseFacts {
            in_last_hour: 1,
            in_month: 2,
            in_all: 3,
            ..facts()
        };
        assert_eq!(refusal(&limited, below), None);
        for (facts, reason) in [
            (
                PurchaseFacts {
                    in_last_hour: 2,
                    ..below
                },
                Refusal::Velocity,
            ),
            (
                PurchaseFacts {
                    in_month: 3,
                    ..below
                },
                Refusal::MonthlyLimit,
            ),
            (PurchaseFacts { in_all: 4, ..below }, Refusal::PromoterLimit),
        ] {
            assert_eq!(refusal(&limited, facts), Some(reason));
        }
        let many = PurchaseFacts {
            in_last_hour: 9,
            in_month: 9,
            in_all: 9,
            ..facts()
        };
        assert_eq!(
            refusal(&campaign(|_| ()), many),
            None,
            "no limit, no refusal"
        );
    }

    #[test]
    fn the_last_of_the_budget_is_given_and_not_a_centavo_more() {
        for (reserved, expected) in [(950, None), (951, Some(Refusal::BudgetSpent))] {
            let committed = Commitments {
                reserved: reais(reserved - 500),
                spent: reais(500),
            };
            let campaign = campaign_with(CampaignStatus::Active, committed, |_| ());
            assert_eq!(refusal(&campaign, facts()), expected);
        }
    }

    #[test]
    fn a_coupon_given_on_arrival_holds_its_own_part_of_the_budget() {
        let arrival = campaign(|proposal| proposal.coupon_moment = Some(CouponMoment::Arrival));
        let accepted = judge_purchase(&arrival, &facts()).unwrap();
        assert_eq!(
            (accepted.for_discount, accepted.for_reward),
            (Centavos::ZERO, reais(30))
        );
    }

    #[test]
    fn a_referral_is_rewarded_once_and_never_after_it_was_voided() {
        let accepted = ReferralStatus::Accepted;
        let completed = accepted.complete().unwrap();
        let rewarded = completed.reward().unwrap();
        assert_eq!(accepted.reward(), Ok(rewarded));
        assert!(rewarded.reward().is_err() && rewarded.complete().is_err());
        let void = rewarded.void().unwrap();
        assert!(void.void().is_err() && void.reward().is_err() && void.complete().is_err());
        for status in [accepted, completed, rewarded, void] {
            assert_eq!(ReferralStatus::parse(status.as_str()), Ok(status));
        }
    }

    fn order(status: OrderStatus, claim: Option<Claim>, approved: Option<&str>) -> Order {
        Order {
            id: OrderId::parse("p1").unwrap(),
            customer: CustomerId::parse("c1").unwrap(),
            status,
            claim,
            total: approved.map(|_| reais(100)),
            approved: approved.map(at),
            ends: None,
        }
    }

    #[test]
    fn a_cancellation_before_its_purchase_ends_in_the_same_order() {
        let code = ReferralCode::from_random([1; 11]);
        let claim = Some(Claim::Signed(Attribution {
            code,
            clicked: at("2026-11-18T12:00:00Z"),
        }));
        let purchase = order(OrderStatus::Paid, claim, Some("2026-11-20T12:00:00Z"));
        let cancellation = order(OrderStatus::Cancelled, None, None);
        let in_order = purchase.clone().merged(cancellation.clone()).unwrap();
        assert_eq!(cancellation.clone().purchased(), None);
        assert_eq!(cancellation.merged(purchase.clone()).unwrap(), in_order);
        assert_eq!(in_order.purchased(), purchase.approved);
        assert_eq!(in_order.void_reason(), Some(VoidReason::Cancelled));
    }

    #[test]
    fn the_first_link_and_the_total_of_a_paid_order_stay() {
        let link = |byte| Some(Claim::Forged(ReferralCode::from_random([byte; 11])));
        let first = order(OrderStatus::Paid, link(1), Some("2026-11-20T12:00:00Z"));
        let mut late = order(OrderStatus::Paid, link(2), Some("2026-11-21T12:00:00Z"));
        late.total = Some(reais(1));
        assert_eq!(first.clone().merged(late).unwrap(), first);
        let waiting = order(OrderStatus::Pending, None, Some("2026-11-20T12:00:00Z"));
        assert_eq!(
            waiting.purchased(),
            None,
            "approved, the shop says, and not paid"
        );
    }

    #[test]
    fn an_order_never_changes_its_customer() {
        let mut other = order(OrderStatus::Paid, None, None);
        other.customer = CustomerId::parse("c2").unwrap();
        assert_eq!(
            order(OrderStatus::Paid, None, None).merged(other),
            Err(OtherCustomer)
        );
    }

    #[test]
    fn every_refusal_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            Refusal::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
        assert!(words.iter().all(|word| word.len() <= 40));
    }
}
