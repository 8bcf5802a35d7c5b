//! A referral campaign: its terms, its status and its budget.

use super::click::ClickKind;
pub use super::shop_url::{Loopback, ShopUrl};
pub use super::terms::{CouponMoment, Discount, Field, Proposal, Terms, Violation};
use crate::Invalid;
use crate::identity::CampaignId;
use crate::money::Centavos;
use crate::time::UtcMillis;

/// How a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CampaignStatus {
    /// It accepts purchases between its dates.
    Active,
    /// It accepts none for now.
    Paused,
    /// It accepts none any more; what was promised is still given.
    Ended,
}

impl CampaignStatus {
    /// From its name on the wire and in the database.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "ativa" => Ok(Self::Active),
            "pausada" => Ok(Self::Paused),
            "encerrada" => Ok(Self::Ended),
            _ => Err(Invalid::new("must be ativa, pausada or encerrada")),
        }
    }

    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ativa",
            Self::Paused => "pausada",
            Self::Ended => "encerrada",
        }
    }

    /// The next status, where it can be reached: an ended campaign stays ended.
    ///
    /// # Errors
    /// When the campaign has ended.
    pub const fn change_to(self, next: Self) -> Result<Self, AmendError> {
        match (self, next) {
            (Self::Ended, Self::Active | Self::Paused) => Err(AmendError::Ended),
            _ => Ok(next),
        }
    }
}

/// Why a campaign takes no purchase of a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is paused or has ended.
    NotActive,
    /// The time is before its start, or not before its end.
    OutsideDates,
}

/// Why a campaign was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmendError {
    /// Parts are wrong.
    #[error("parts of the campaign are wrong")]
    Wrong(Vec<Violation>),
    /// Somebody was promised what these parts say.
    #[error("a referral or coupon exists, so what it was promised stays as it is")]
    Promised(Vec<Field>),
    /// An ended campaign stays ended.
    #[error("the campaign has ended")]
    Ended,
    /// The new budget does not cover what is already reserved and spent.
    #[error("the budget is below what is already reserved and spent")]
    BudgetBelowCommitments,
}

/// What a campaign's budget has been used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commitments {
    /// Held for discounts and rewards that were promised.
    pub reserved: Centavos,
    /// Given as discounts and rewards that were used.
    pub spent: Centavos,
}

/// What somebody asks a campaign to become.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// The parts of the terms that change.
    pub proposal: Proposal,
    /// The status that it takes.
    pub status: Option<CampaignStatus>,
}

/// A referral campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    id: CampaignId,
    terms: Terms,
    status: CampaignStatus,
    commitments: Commitments,
    version: i64,
    created: UtcMillis,
    updated: UtcMillis,
}

impl Campaign {
    /// A new campaign; it is active unless it says otherwise.
    ///
    /// # Errors
    /// Every part that is missing or wrong.
    pub fn open(id: CampaignId, asked: Amendment, now: UtcMillis) -> Result<Self, Vec<Violation>> {
        Ok(Self {
            id,
            terms: asked.proposal.check()?,
            status: asked.status.unwrap_or(CampaignStatus::Active),
            commitments: Commitments::default(),
            version: 1,
            created: now,
            updated: now,
        })
    }

    /// A campaign as it was kept.
    #[must_use]
    pub const fn restore(
        id: CampaignId,
        terms: Terms,
        status: CampaignStatus,
        commitments: Commitments,
        version: i64,
        (created, updated): (UtcMillis, UtcMillis),
    ) -> Self {
        Self {
            id,
            terms,
            status,
            commitments,
            version,
            created,
            updated,
        }
    }

    /// This campaign as it is after the amendment; `promised` tells that a referral or coupon of it
    /// exists. The same amendment twice changes nothing the second time: the version stays.
    ///
    /// # Errors
    /// See [`AmendError`].
    pub fn amended(
        &self,
        asked: Amendment,
        promised: bool,
        now: UtcMillis,
    ) -> Result<Self, AmendError> {
        let status = match asked.status {
            Some(next) => self.status.change_to(next)?,
            None => self.status,
        };
        let terms = self
            .terms
            .amended(asked.proposal)
            .map_err(AmendError::Wrong)?;
        let broken = self.terms.promises_broken_by(&terms);
        if promised && !broken.is_empty() {
            return Err(AmendError::Promised(broken));
        }
        let committed = self
            .commitments
            .reserved
            .checked_add(self.commitments.spent);
        if committed.is_none_or(|committed| terms.budget() < committed) {
            return Err(AmendError::BudgetBelowCommitments);
        }
        if terms == self.terms && status == self.status {
            return Ok(self.clone());
        }
        Ok(Self {
            terms,
            status,
            version: self.version + 1,
            updated: now,
            ..self.clone()
        })
    }

    /// Whether a purchase approved at `time` may count.
    ///
    /// # Errors
    /// Why it may not.
    pub fn accepts_at(&self, time: UtcMillis) -> Result<(), Closed> {
        if self.status != CampaignStatus::Active {
            return Err(Closed::NotActive);
        }
        if time < self.terms.starts() || time >= self.terms.ends() {
            return Err(Closed::OutsideDates);
        }
        Ok(())
    }

    /// Whether a promoter may still get a link: also before it begins.
    #[must_use]
    pub fn gives_links_at(&self, time: UtcMillis) -> bool {
        self.status == CampaignStatus::Active && time < self.terms.ends()
    }

    /// Whether who opens a link so gets the friend's coupon at once.
    #[must_use]
    pub fn gives_coupon_on(&self, click: ClickKind, time: UtcMillis) -> bool {
        self.terms.coupon_moment() == CouponMoment::Arrival
            && click == ClickKind::Person
            && self.accepts_at(time).is_ok()
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &CampaignId {
        &self.id
    }

    /// What it promises and to whom.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How it stands.
    #[must_use]
    pub const fn status(&self) -> CampaignStatus {
        self.status
    }

    /// What its budget has been used for, at the time it was read.
    #[must_use]
    pub const fn commitments(&self) -> Commitments {
        self.commitments
    }

    /// Counts its changes, from 1.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// When it was opened.
    #[must_use]
    pub const fn created(&self) -> UtcMillis {
        self.created
    }

    /// When it was last changed.
    #[must_use]
    pub const fn updated(&self) -> UtcMillis {
        self.updated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::BasisPoints;

    fn time(text: &str) -> UtcMillis {
        UtcMillis::parse(text).unwrap()
    }

    fn centavos(count: i64) -> Centavos {
        Centavos::new(count).unwrap()
    }

    fn proposal() -> Proposal {
        Proposal {
            name: Some("Verão".to_owned()),
            starts: Some(time("2026-11-01T00:00:00Z")),
            ends: Some(time("2026-12-01T00:00:00Z")),
            discount: Some(Discount::Percent {
                points: BasisPoints::new(1_000).unwrap(),
                cap: centavos(5_000),
            }),
            reward: Some(centavos(3_000)),
            budget: Some(centavos(100_000)),
            voucher_valid_days: Some(90),
            shop_url: ShopUrl::parse("https://loja.example.com", Loopback::Refused).ok(),
            ..Proposal::default()
        }
    }

    fn campaign() -> Campaign {
        let asked = Amendment {
            proposal: proposal(),
            status: None,
        };
        let id = CampaignId::parse("C1").unwrap();
        Campaign::open(id, asked, time("2026-10-01T00:00:00Z")).unwrap()
    }

    fn to(status: CampaignStatus) -> Amendment {
        Amendment {
            status: Some(status),
            ..Amendment::default()
        }
    }

    #[test]
    fn every_wrong_part_is_named_at_once() {
        let wrong = Proposal {
            name: Some(" ".to_owned()),
            ends: Some(time("2026-11-01T00:00:00Z")),
            reward: Some(Centavos::ZERO),
            voucher_valid_days: Some(0),
            pending_days: Some(366),
            promoter_monthly_limit: Some(Some(0)),
            attribution_window_days: Some(Some(3_651)),
            minimum_completed_orders: Some(1_001),
            shop_url: None,
            ..proposal()
        };
        let fields: Vec<Field> = wrong.check().unwrap_err().iter().map(|v| v.field).collect();
        for field in [
            Field::Name,
            Field::Ends,
            Field::Reward,
            Field::VoucherValidDays,
            Field::PendingDays,
            Field::PromoterMonthlyLimit,
            Field::AttributionWindowDays,
            Field::MinimumCompletedOrders,
            Field::ShopUrl,
        ] {
            assert!(fields.contains(&field), "{field:?} in {fields:?}");
        }
        assert_eq!(fields.len(), 9);
        assert_eq!(Proposal::default().check().unwrap_err().len(), 8);
    }

    #[test]
    fn a_budget_holds_at_least_one_referral() {
        let asked = Proposal {
            budget: Some(centavos(7_999)),
            ..proposal()
        };
        assert_eq!(asked.check().unwrap_err()[0].field, Field::Budget);
        assert!(
            Proposal {
                budget: Some(centavos(8_000)),
                ..proposal()
            }
            .check()
            .is_ok()
        );
    }

    #[test]
    fn a_purchase_counts_from_the_start_until_before_the_end() {
        let open = campaign();
        assert_eq!(open.accepts_at(time("2026-11-01T00:00:00Z")), Ok(()));
        assert_eq!(open.accepts_at(time("2026-11-30T23:59:59.999Z")), Ok(()));
        let outside = Err(Closed::OutsideDates);
        assert_eq!(open.accepts_at(time("2026-12-01T00:00:00Z")), outside);
        assert_eq!(open.accepts_at(time("2026-10-31T23:59:59.999Z")), outside);
        let now = time("2026-11-02T00:00:00Z");
        let paused = open.amended(to(CampaignStatus::Paused), true, now).unwrap();
        assert_eq!(paused.accepts_at(now), Err(Closed::NotActive));
        let active = paused
            .amended(to(CampaignStatus::Active), true, now)
            .unwrap();
        assert_eq!((active.accepts_at(now), active.version()), (Ok(()), 3));
    }

    #[test]
    fn an_ended_campaign_stays_ended() {
        let now = time("2026-11-02T00:00:00Z");
        let ended = campaign()
            .amended(to(CampaignStatus::Ended), false, now)
            .unwrap();
        for next in [CampaignStatus::Active, CampaignStatus::Paused] {
            assert_eq!(ended.amended(to(next), false, now), Err(AmendError::Ended));
        }
        assert_eq!(
            ended
                .amended(to(CampaignStatus::Ended), false, now)
                .unwrap(),
            ended
        );
    }

    #[test]
    fn what_was_promised_stays_and_the_rest_may_change() {
        let now = time("2026-11-02T00:00:00Z");
        let reward = Amendment {
            proposal: Proposal {
                reward: Some(centavos(1)),
                ..Proposal::default()
            },
            status: None,
        };
        let broken = Err(AmendError::Promised(vec![Field::Reward]));
        assert_eq!(campaign().amended(reward.clone(), true, now), broken);
        assert_eq!(
            campaign()
                .amended(reward, false, now)
                .unwrap()
                .terms()
                .reward(),
            centavos(1)
        );
        let harmless = Amendment {
            proposal: Proposal {
                name: Some("Outono".to_owned()),
                ends: Some(time("2027-01-01T00:00:00Z")),
                budget: Some(centavos(200_000)),
                promoter_total_limit: Some(Some(5)),
                ..Proposal::default()
            },
            status: None,
        };
        let changed = campaign().amended(harmless, true, now).unwrap();
        assert_eq!(changed.terms().promoter_total_limit(), Some(5));
        assert_eq!((changed.version(), changed.updated()), (2, now));
    }

    #[test]
    fn a_budget_never_falls_below_what_is_committed() {
        let open = campaign();
        let commitments = Commitments {
            reserved: centavos(40_000),
            spent: centavos(20_000),
        };
        let busy = Campaign::restore(
            open.id().clone(),
            open.terms().clone(),
            open.status(),
            commitments,
            1,
            (open.created(), open.updated()),
        );
        let budget = |count| Amendment {
            proposal: Proposal {
                budget: Some(centavos(count)),
                ..Proposal::default()
            },
            status: None,
        };
        let now = time("2026-11-02T00:00:00Z");
        let refused = Err(AmendError::BudgetBelowCommitments);
        assert_eq!(busy.amended(budget(59_999), true, now), refused);
        assert!(busy.amended(budget(60_000), true, now).is_ok());
    }

    #[test]
    fn a_discount_never_exceeds_the_purchase_or_its_cap() {
        let amount = Discount::Amount(centavos(2_000));
        assert_eq!(amount.of(centavos(1_500)), centavos(1_500));
        assert_eq!(amount.of(centavos(9_000)), centavos(2_000));
        let points = BasisPoints::new(1_000).unwrap();
        let percent = Discount::Percent {
            points,
            cap: centavos(500),
        };
        assert_eq!(percent.of(centavos(1_999)), centavos(199));
        assert_eq!(percent.of(centavos(90_000)), centavos(500));
        assert_eq!(
            (amount.maximum(), percent.maximum()),
            (centavos(2_000), centavos(500))
        );
    }

    #[test]
    fn without_a_window_every_click_counts() {
        let clicked = time("2026-11-20T00:00:00Z");
        let years_ago = time("2016-10-07T00:00:00Z");
        assert!(campaign().terms().attributes(clicked, years_ago));
        let window = Proposal {
            attribution_window_days: Some(Some(7)),
            ..proposal()
        };
        let terms = window.check().unwrap();
        assert!(!terms.attributes(clicked, years_ago));
        assert!(terms.attributes(clicked, clicked.plus_days(7)));
        assert!(!terms.attributes(clicked, clicked.plus_days(7).plus_millis(1)));
    }
}
