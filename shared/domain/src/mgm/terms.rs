//! What a campaign promises and to whom, and the check of a proposal for it.

use super::shop_url::ShopUrl;
use crate::money::{BasisPoints, Centavos};
use crate::time::UtcMillis;

const LONGEST_NAME: usize = 100;
const MOST_VALID_DAYS: u32 = 3_650;
const MOST_WINDOW_DAYS: u32 = 3_650;
const MOST_PENDING_DAYS: u32 = 365;
const MOST_COMPLETED_ORDERS: u32 = 1_000;
/// Limits per promoter count referrals; more than this is no limit.
const HIGHEST_LIMIT: u32 = 1_000_000;

/// What the friend's coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// A fixed amount.
    Amount(Centavos),
    /// A share of the purchase, never more than the cap.
    Percent {
        /// The share.
        points: BasisPoints,
        /// The most that it takes off.
        cap: Centavos,
    },
}

impl Discount {
    /// The most that it can cost: what the budget must hold for it.
    #[must_use]
    pub const fn maximum(self) -> Centavos {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent { cap, .. } => cap,
        }
    }

    /// What it takes off this purchase: never more than the purchase.
    #[must_use]
    pub fn of(self, purchase: Centavos) -> Centavos {
        match self {
            Self::Amount(amount) => amount.min(purchase),
            Self::Percent { points, cap } => purchase.share(points).min(cap),
        }
    }
}

/// When the friend's coupon is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CouponMoment {
    /// When the purchase is accepted, for the next one.
    #[default]
    Purchase,
    /// When the friend arrives by the link.
    Arrival,
}

/// A part of the terms, for saying which one is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named like the accessor of Terms")]
pub enum Field {
    Name,
    Starts,
    Ends,
    Discount,
    Reward,
    MinimumPurchase,
    PromoterMonthlyLimit,
    PromoterTotalLimit,
    HourlyVelocityLimit,
    Budget,
    VoucherValidDays,
    AttributionWindowDays,
    PendingDays,
    CouponMoment,
    Stackable,
    AcceptsExistingBuyers,
    MinimumCompletedOrders,
    ShopUrl,
    Status,
}

/// A wrong part and the rule that it breaks, as a clause that follows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The wrong part.
    pub field: Field,
    /// The rule.
    pub rule: &'static str,
}

/// What somebody asks the terms to be: `None` leaves a part as it is (or at its default), and an
/// inner `None` takes a limit away.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each is documented at the accessor of Terms")]
pub struct Proposal {
    pub name: Option<String>,
    pub starts: Option<UtcMillis>,
    pub ends: Option<UtcMillis>,
    pub discount: Option<Discount>,
    pub reward: Option<Centavos>,
    pub minimum_purchase: Option<Centavos>,
    pub promoter_monthly_limit: Option<Option<u32>>,
    pub promoter_total_limit: Option<Option<u32>>,
    pub hourly_velocity_limit: Option<Option<u32>>,
    pub budget: Option<Centavos>,
    pub voucher_valid_days: Option<u32>,
    pub attribution_window_days: Option<Option<u32>>,
    pub pending_days: Option<u32>,
    pub coupon_moment: Option<CouponMoment>,
    pub stackable: Option<bool>,
    pub accepts_existing_buyers: Option<bool>,
    pub minimum_completed_orders: Option<u32>,
    pub shop_url: Option<ShopUrl>,
}

/// The checked terms of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    name: String,
    starts: UtcMillis,
    ends: UtcMillis,
    discount: Discount,
    reward: Centavos,
    minimum_purchase: Centavos,
    promoter_monthly_limit: Option<u32>,
    promoter_total_limit: Option<u32>,
    hourly_velocity_limit: Option<u32>,
    budget: Centavos,
    voucher_valid_days: u32,
    attribution_window_days: Option<u32>,
    pending_days: u32,
    coupon_moment: CouponMoment,
    stackable: bool,
    accepts_existing_buyers: bool,
    minimum_completed_orders: u32,
    shop_url: ShopUrl,
}

/// Collects every violation, so that one answer names them all.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn require(&mut self, holds: bool, field: Field, rule: &'static str) {
        if !holds {
            self.0.push(Violation { field, rule });
        }
    }

    fn given<T>(&mut self, value: Option<T>, field: Field) -> Option<T> {
        self.require(value.is_some(), field, "is required");
        value
    }

    fn limit(&mut self, limit: Option<u32>, highest: u32, field: Field) {
        let rule = if highest == HIGHEST_LIMIT {
            "must be between 1 and 1000000"
        } else {
            "must be between 1 and 3650"
        };
        self.require(
            limit.is_none_or(|value| (1..=highest).contains(&value)),
            field,
            rule,
        );
    }
}

impl Proposal {
    /// The terms that it asks for.
    ///
    /// # Errors
    /// Every part that is missing or wrong.
    pub fn check(self) -> Result<Terms, Vec<Violation>> {
        let mut findings = Findings::default();
        self.check_single_parts(&mut findings);
        self.check_together(&mut findings);
        let name = findings.given(self.name, Field::Name);
        let starts = findings.given(self.starts, Field::Starts);
        let ends = findings.given(self.ends, Field::Ends);
        let discount = findings.given(self.discount, Field::Discount);
        let reward = findings.given(self.reward, Field::Reward);
        let budget = findings.given(self.budget, Field::Budget);
        let valid_days = findings.given(self.voucher_valid_days, Field::VoucherValidDays);
        let shop_url = findings.given(self.shop_url, Field::ShopUrl);
        let complete = (
            name, starts, ends, discount, reward, budget, valid_days, shop_url,
        );
        let (
            Some(name),
            Some(starts),
            Some(ends),
            Some(discount),
            Some(reward),
            Some(budget),
            Some(voucher_valid_days),
            Some(shop_url),
        ) = complete
        else {
            return Err(findings.0);
        };
        if !findings.0.is_empty() {
            return Err(findings.0);
        }
        Ok(Terms {
            name,
            starts,
            ends,
            discount,
            reward,
            minimum_purchase: self.minimum_purchase.unwrap_or_default(),
            promoter_monthly_limit: self.promoter_monthly_limit.flatten(),
            promoter_total_limit: self.promoter_total_limit.flatten(),
            hourly_velocity_limit: self.hourly_velocity_limit.flatten(),
            budget,
            voucher_valid_days,
            attribution_window_days: self.attribution_window_days.flatten(),
            pending_days: self.pending_days.unwrap_or_default(),
            coupon_moment: self.coupon_moment.unwrap_or_default(),
            stackable: self.stackable.unwrap_or_default(),
            accepts_existing_buyers: self.accepts_existing_buyers.unwrap_or_default(),
            minimum_completed_orders: self.minimum_completed_orders.unwrap_or_default(),
            shop_url,
        })
    }

    fn check_single_parts(&self, findings: &mut Findings) {
        let named = self.name.as_ref().is_none_or(|name| {
            let length = name.chars().count();
            name.trim() == name
                && (1..=LONGEST_NAME).contains(&length)
                && !name.chars().any(char::is_control)
        });
        let positive = |amount: Option<Centavos>| amount.is_none_or(|a| a > Centavos::ZERO);
        let discount = self.discount.map(Discount::maximum);
        findings.require(named, Field::Name, "must be a text of 1 to 100 characters");
        findings.require(positive(discount), Field::Discount, "must be above zero");
        findings.require(positive(self.reward), Field::Reward, "must be above zero");
        findings.require(positive(self.budget), Field::Budget, "must be above zero");
        let within =
            |days: Option<u32>, from, most| days.is_none_or(|d| (from..=most).contains(&d));
        findings.require(
            within(self.voucher_valid_days, 1, MOST_VALID_DAYS),
            Field::VoucherValidDays,
            "must be between 1 and 3650",
        );
        findings.require(
            within(self.pending_days, 0, MOST_PENDING_DAYS),
            Field::PendingDays,
            "must be between 0 and 365",
        );
        findings.require(
            within(self.minimum_completed_orders, 0, MOST_COMPLETED_ORDERS),
            Field::MinimumCompletedOrders,
            "must be between 0 and 1000",
        );
        for (limit, highest, field) in [
            (
                self.promoter_monthly_limit,
                HIGHEST_LIMIT,
                Field::PromoterMonthlyLimit,
            ),
            (
                self.promoter_total_limit,
                HIGHEST_LIMIT,
                Field::PromoterTotalLimit,
            ),
            (
                self.hourly_velocity_limit,
                HIGHEST_LIMIT,
                Field::HourlyVelocityLimit,
            ),
            (
                self.attribution_window_days,
                MOST_WINDOW_DAYS,
                Field::AttributionWindowDays,
            ),
        ] {
            findings.limit(limit.flatten(), highest, field);
        }
    }

    fn check_together(&self, findings: &mut Findings) {
        if let (Some(starts), Some(ends)) = (self.starts, self.ends) {
            findings.require(starts < ends, Field::Ends, "must be after the start");
        }
        if let (Some(discount), Some(reward), Some(budget)) =
            (self.discount, self.reward, self.budget)
        {
            let one_referral = discount.maximum().checked_add(reward);
            findings.require(
                one_referral.is_some_and(|cost| cost <= budget),
                Field::Budget,
                "must hold the discount and the reward of at least one referral",
            );
        }
    }
}

impl Terms {
    /// These terms with the proposal's parts instead of their own.
    ///
    /// # Errors
    /// Every part that would be wrong.
    pub fn amended(&self, proposal: Proposal) -> Result<Self, Vec<Violation>> {
        let old = self.clone();
        let merged = Proposal {
            name: proposal.name.or(Some(old.name)),
            starts: proposal.starts.or(Some(old.starts)),
            ends: proposal.ends.or(Some(old.ends)),
            discount: proposal.discount.or(Some(old.discount)),
            reward: proposal.reward.or(Some(old.reward)),
            minimum_purchase: proposal.minimum_purchase.or(Some(old.minimum_purchase)),
            promoter_monthly_limit: proposal
                .promoter_monthly_limit
                .or(Some(old.promoter_monthly_limit)),
            promoter_total_limit: proposal
                .promoter_total_limit
                .or(Some(old.promoter_total_limit)),
            hourly_velocity_limit: proposal
                .hourly_velocity_limit
                .or(Some(old.hourly_velocity_limit)),
            budget: proposal.budget.or(Some(old.budget)),
            voucher_valid_days: proposal.voucher_valid_days.or(Some(old.voucher_valid_days)),
            attribution_window_days: proposal
                .attribution_window_days
                .or(Some(old.attribution_window_days)),
            pending_days: proposal.pending_days.or(Some(old.pending_days)),
            coupon_moment: proposal.coupon_moment.or(Some(old.coupon_moment)),
            stackable: proposal.stackable.or(Some(old.stackable)),
            accepts_existing_buyers: proposal
                .accepts_existing_buyers
                .or(Some(old.accepts_existing_buyers)),
            minimum_completed_orders: proposal
                .minimum_completed_orders
                .or(Some(old.minimum_completed_orders)),
            shop_url: proposal.shop_url.or(Some(old.shop_url)),
        };
        merged.check()
    }

    /// The parts that were promised to somebody and differ in `other`: once a referral or coupon
    /// exists they stay as they are. Name, end, budget, limits, the promoters' rule and the shop's
    /// address promise nothing and may change.
    #[must_use]
    pub fn promises_broken_by(&self, other: &Self) -> Vec<Field> {
        [
            (self.starts != other.starts, Field::Starts),
            (self.discount != other.discount, Field::Discount),
            (self.reward != other.reward, Field::Reward),
            (
                self.minimum_purchase != other.minimum_purchase,
                Field::MinimumPurchase,
            ),
            (
                self.voucher_valid_days != other.voucher_valid_days,
                Field::VoucherValidDays,
            ),
            (
                self.attribution_window_days != other.attribution_window_days,
                Field::AttributionWindowDays,
            ),
            (self.pending_days != other.pending_days, Field::PendingDays),
            (
                self.coupon_moment != other.coupon_moment,
                Field::CouponMoment,
            ),
            (self.stackable != other.stackable, Field::Stackable),
            (
                self.accepts_existing_buyers != other.accepts_existing_buyers,
                Field::AcceptsExistingBuyers,
            ),
        ]
        .into_iter()
        .filter_map(|(differs, field)| differs.then_some(field))
        .collect()
    }

    /// Whether a click at `clicked` still counts for a purchase approved at `approved`. Without a
    /// window there is no time check at all, so that old orders can be replayed.
    #[must_use]
    pub fn attributes(&self, clicked: UtcMillis, approved: UtcMillis) -> bool {
        self.attribution_window_days
            .is_none_or(|days| clicked <= approved && approved <= clicked.plus_days(days))
    }

    /// What the operator calls the campaign.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first moment at which a purchase counts.
    #[must_use]
    pub const fn starts(&self) -> UtcMillis {
        self.starts
    }

    /// The first moment at which a purchase no longer counts.
    #[must_use]
    pub const fn ends(&self) -> UtcMillis {
        self.ends
    }

    /// The friend's discount.
    #[must_use]
    pub const fn discount(&self) -> Discount {
        self.discount
    }

    /// The promoter's reward.
    #[must_use]
    pub const fn reward(&self) -> Centavos {
        self.reward
    }

    /// The smallest purchase that counts.
    #[must_use]
    pub const fn minimum_purchase(&self) -> Centavos {
        self.minimum_purchase
    }

    /// Referrals that one promoter may have accepted in a São Paulo month.
    #[must_use]
    pub const fn promoter_monthly_limit(&self) -> Option<u32> {
        self.promoter_monthly_limit
    }

    /// Referrals that one promoter may have accepted in all.
    #[must_use]
    pub const fn promoter_total_limit(&self) -> Option<u32> {
        self.promoter_total_limit
    }

    /// Referrals that one promoter may have accepted within an hour.
    #[must_use]
    pub const fn hourly_velocity_limit(&self) -> Option<u32> {
        self.hourly_velocity_limit
    }

    /// The most that discounts and rewards may cost together.
    #[must_use]
    pub const fn budget(&self) -> Centavos {
        self.budget
    }

    /// Days that a coupon or voucher is valid from its issue.
    #[must_use]
    pub const fn voucher_valid_days(&self) -> u32 {
        self.voucher_valid_days
    }

    /// Days from the click within which a purchase counts; none means for ever.
    #[must_use]
    pub const fn attribution_window_days(&self) -> Option<u32> {
        self.attribution_window_days
    }

    /// Days from the completed trip until the reward is given.
    #[must_use]
    pub const fn pending_days(&self) -> u32 {
        self.pending_days
    }

    /// When the friend's coupon is given.
    #[must_use]
    pub const fn coupon_moment(&self) -> CouponMoment {
        self.coupon_moment
    }

    /// Whether its coupons and vouchers may share an order with others.
    #[must_use]
    pub const fn stackable(&self) -> bool {
        self.stackable
    }

    /// Whether a friend who bought before counts.
    #[must_use]
    pub const fn accepts_existing_buyers(&self) -> bool {
        self.accepts_existing_buyers
    }

    /// Completed orders that a customer needs to become a promoter.
    #[must_use]
    pub const fn minimum_completed_orders(&self) -> u32 {
        self.minimum_completed_orders
    }

    /// Where its links lead.
    #[must_use]
    pub const fn shop_url(&self) -> &ShopUrl {
        &self.shop_url
    }
}
