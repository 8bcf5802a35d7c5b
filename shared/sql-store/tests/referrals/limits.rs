//! Every reason against a referral, from rows.

use domain::{mgm::referral::Refusal, orders::OrderStatus};
use sql_store::{mgm::purchases::Recorded, values};
use testkit::databases;

use crate::scene::{DAY_MS, HOUR_MS, Scene, at, news, purchase, reais};

/// Records one purchase of R$ 100 by `friend` through promoter 1 and expects `reason`.
async fn refused(scene: &Scene, reason: Refusal) {
    let recorded = scene.record(&purchase("p1", "friend", 1), at(0)).await;
    assert_eq!(recorded, Recorded::Refused(reason));
    assert_eq!(
        scene.refusal_of("p1").await.as_deref(),
        Some(reason.as_str())
    );
    assert_eq!(
        scene.count("vouchers").await + scene.count("outbox").await,
        0
    );
    scene.assert_sound().await;
}

#[tokio::test]
async fn own_links_are_told_by_id_cpf_phone_and_e_mail() {
    let cpf = (Some("52998224725"), None, None);
    let phone = (None, Some("+5511964166764"), None);
    let email = (None, None, Some("ana@example.com"));
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        let promoter = scene.promoter(1).await;
        let (a, b, c) = (cpf.0, phone.1, email.2);
        scene.customer(&promoter, a, b, c).await;
        for (number, (cpf, phone, email)) in [cpf, phone, email].into_iter().enumerate() {
            let friend = format!("friend-{number}");
            scene.customer(&friend, cpf, phone, email).await;
            let recorded = scene.record(&purchase(&friend, &friend, 1), at(0)).await;
            assert_eq!(recorded, Recorded::Refused(Refusal::OwnLink), "{friend}");
        }
        let same = scene.record(&purchase("p9", "promoter-1", 1), at(0)).await;
        assert_eq!(same, Recorded::Refused(Refusal::OwnLink));
        scene.customer("stranger", None, None, None).await;
        let stranger = scene.record(&purchase("p10", "stranger", 1), at(0)).await;
        assert!(
            matches!(stranger, Recorded::Accepted(_)),
            "unknown is not equal"
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_friend_is_referred_once_in_a_campaign() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        scene.promoter(2).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let again = scene.record(&purchase("p2", "friend", 2), at(1)).await;
        assert_eq!(again, Recorded::Refused(Refusal::AlreadyReferred));
        let promoters = scene.word("SELECT customer_id AS word FROM promoters WHERE accepted = 1");
        assert_eq!(promoters.await.as_deref(), Some("promoter-1"));
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn an_existing_buyer_is_one_who_paid_earlier() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "accepts_existing_buyers = 0").await;
        scene.promoter(1).await;
        let mut earlier = purchase("p0", "friend", 1);
        (earlier.claim, earlier.approved) = (None, Some(at(-DAY_MS)));
        scene.record(&earlier, at(0)).await;
        refused(&scene, Refusal::ExistingBuyer).await;
        scene
            .record(&news(&earlier, OrderStatus::Cancelled), at(1))
            .await;
        let mut later = purchase("p2", "friend", 1);
        later.approved = Some(at(0));
        let next = scene.record(&later, at(2)).await;
        assert_eq!(
            next,
            Recorded::Refused(Refusal::ExistingBuyer),
            "p1 was paid, with or without"
        );
        let first = scene.record(&purchase("p3", "other", 1), at(3)).await;
        assert!(matches!(first, Recorded::Accepted(_)));
    }
}

#[tokio::test]
async fn dates_window_minimum_status_and_budget_are_the_campaigns() {
    for (changes, reason) in [
        ("status = 'pausada'", Refusal::InactiveCampaign),
        ("status = 'encerrada'", Refusal::InactiveCampaign),
        ("ends_ms = 1000000", Refusal::OutsideDates),
        (
            "attribution_window_days = 1, starts_ms = 1",
            Refusal::OutsideWindow,
        ),
        ("minimum_purchase_centavos = 10001", Refusal::BelowMinimum),
        (
            "budget_centavos = 5000, spent_centavos = 1",
            Refusal::BudgetSpent,
        ),
    ] {
        for database in databases().await {
            let scene = Scene::open(database.url(), changes).await;
            scene.promoter(1).await;
            if reason == Refusal::OutsideWindow {
                let mut late = purchase("p1", "friend", 1);
                late.approved = Some(at(1));
                let recorded = scene.record(&late, at(2)).await;
                assert_eq!(recorded, Recorded::Refused(reason));
            } else {
                refused(&scene, reason).await;
            }
        }
    }
}

#[tokio::test]
async fn a_refused_order_stays_refused_when_the_reason_is_gone() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "status = 'pausada'").await;
        scene.promoter(1).await;
        refused(&scene, Refusal::InactiveCampaign).await;
        scene
            .execute("UPDATE campaigns SET status = 'ativa'", values![])
            .await;
        let later = news(&purchase("p1", "friend", 1), OrderStatus::Paid);
        assert_eq!(scene.record(&later, at(1)).await, Recorded::Order);
        assert_eq!(scene.count("referrals").await, 0);
    }
}

#[tokio::test]
async fn limits_count_the_hour_the_month_and_all() {
    for (changes, reason) in [
        ("hourly_velocity_limit = 2", Refusal::Velocity),
        ("promoter_monthly_limit = 2", Refusal::MonthlyLimit),
        ("promoter_total_limit = 2", Refusal::PromoterLimit),
    ] {
        for database in databases().await {
            let scene = Scene::open(database.url(), changes).await;
            scene.promoter(1).await;
            for number in 0..3 {
                let id = format!("p{number}");
                let recorded = scene.record(&purchase(&id, &id, 1), at(0)).await;
                match number {
                    2 => assert_eq!(recorded, Recorded::Refused(reason), "{}", database.label()),
                    _ => assert!(matches!(recorded, Recorded::Accepted(_))),
                }
            }
            let mut elsewhen = purchase("p8", "p8", 1);
            elsewhen.approved = Some(at(40 * DAY_MS));
            let recorded = scene.record(&elsewhen, at(0)).await;
            let all = reason == Refusal::PromoterLimit;
            assert_eq!(
                matches!(recorded, Recorded::Accepted(_)),
                !all,
                "{reason:?}"
            );
            scene.assert_sound().await;
        }
    }
}

#[tokio::test]
async fn the_hour_of_velocity_ends_with_the_purchase() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "hourly_velocity_limit = 1").await;
        scene.promoter(1).await;
        for (id, approved, accepted) in [
            ("a", at(-HOUR_MS), true),
            ("b", at(-1), false),
            ("c", at(0), true),
        ] {
            let mut order = purchase(id, id, 1);
            (order.approved, order.total) = (Some(approved), Some(reais(5)));
            let recorded = scene.record(&order, at(0)).await;
            assert_eq!(matches!(recorded, Recorded::Accepted(_)), accepted, "{id}");
        }
    }
}
