use super::*;
use crate::identity::CampaignId;
use crate::mgm::campaign::{
    CampaignStatus, Commitments, CouponMoment, Discount, Loopback, Proposal, ShopUrl, Terms,
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
        has_coupon: false,
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
        (accepted.for_discount.unwrap(), accepted.for_reward),
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
fn a_coupon_that_the_friend_has_holds_its_own_part_of_the_budget() {
    let arrival = campaign(|proposal| proposal.coupon_moment = Some(CouponMoment::Arrival));
    let has_one = PurchaseFacts {
        has_coupon: true,
        ..facts()
    };
    let accepted = judge_purchase(&arrival, &has_one).unwrap();
    assert_eq!(
        (accepted.for_discount, accepted.for_reward),
        (None, reais(30))
    );
    let without = judge_purchase(&arrival, &facts()).unwrap();
    assert!(without.for_discount.is_some());
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
        items: Vec::new(),
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
    let words: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|r| r.as_str()).collect();
    assert_eq!(words.len(), Refusal::ALL.len());
    assert!(words.iter().all(|word| word.len() <= 40));
}
