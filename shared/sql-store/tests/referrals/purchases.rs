//! News of orders, one after the other.

use domain::{
    code::ReferralCode,
    mgm::{
        referral::{Claim, Order},
        trip::Leg,
    },
    orders::OrderStatus,
};
use sql_store::mgm::purchases::{RecordOrderError, Recorded};
use testkit::databases;

use crate::scene::{DAY_MS, Scene, at, news, purchase};

#[tokio::test]
async fn a_purchase_through_a_link_gives_the_friend_a_coupon_and_holds_the_budget() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let recorded = scene.record(&purchase("p1", "friend", 1), at(0)).await;
        assert!(
            matches!(recorded, Recorded::Accepted(_)),
            "{}",
            database.label()
        );
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("aceita"));
        let coupon = "vouchers WHERE kind = 'cupom_amigo' AND owner_id = 'friend' \
                      AND status = 'emitido' AND amount_centavos = 2000";
        assert_eq!(scene.count(coupon).await, 1);
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 5_000);
        let events = "outbox WHERE event_type IN ('indicacao.aceita', 'cupom.emitido')";
        assert_eq!(scene.count(events).await, 2);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_message_that_comes_twice_and_news_that_repeat_change_nothing() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let paid = purchase("p1", "friend", 1);
        let first = scene.try_record("m1", &paid, at(0)).await.unwrap();
        assert!(matches!(first, Recorded::Accepted(_)));
        assert_eq!(
            scene.try_record("m1", &paid, at(1)).await.unwrap(),
            Recorded::Before
        );
        for status in [OrderStatus::Paid, OrderStatus::Pending] {
            let again = scene.record(&news(&paid, status), at(2)).await;
            assert_eq!(again, Recorded::Order);
        }
        assert_eq!(scene.count("referrals").await, 1);
        assert_eq!(scene.count("vouchers").await, 1);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn an_unpaid_order_becomes_a_referral_when_it_is_paid() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let paid = purchase("p1", "friend", 1);
        let mut created = paid.clone();
        (created.status, created.approved) = (OrderStatus::Pending, None);
        assert_eq!(scene.record(&created, at(0)).await, Recorded::Order);
        let mut later = paid;
        later.claim = None;
        assert!(matches!(
            scene.record(&later, at(1)).await,
            Recorded::Accepted(_)
        ));
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_purchase_without_a_link_is_only_known() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        let mut direct = purchase("p1", "friend", 1);
        assert_eq!(
            scene.record(&direct, at(0)).await,
            Recorded::Order,
            "no such promoter"
        );
        direct = purchase("p2", "friend", 1);
        direct.claim = None;
        assert_eq!(scene.record(&direct, at(0)).await, Recorded::Order);
        assert_eq!(scene.count("purchases WHERE status = 'pago'").await, 2);
        assert_eq!(
            scene.count("referrals").await + scene.count("refusals").await,
            0
        );
    }
}

#[tokio::test]
async fn a_cancellation_voids_the_referral_and_the_friend_may_be_referred_again() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "promoter_total_limit = 1").await;
        scene.promoter(1).await;
        let first = purchase("p1", "friend", 1);
        scene.record(&first, at(0)).await;
        let voided = scene
            .record(&news(&first, OrderStatus::Cancelled), at(1))
            .await;
        assert!(
            matches!(voided, Recorded::Voided(_)),
            "{}",
            database.label()
        );
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 0);
        assert_eq!(scene.count("vouchers WHERE status = 'cancelado'").await, 1);
        let again = scene
            .record(&news(&first, OrderStatus::Refunded), at(2))
            .await;
        assert_eq!(again, Recorded::Order, "void once");
        let second = scene.record(&purchase("p2", "friend", 1), at(3)).await;
        assert!(matches!(second, Recorded::Accepted(_)));
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_cancellation_before_its_purchase_ends_as_one_after_it() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let paid = purchase("p1", "friend", 1);
        let cancelled = news(&paid, OrderStatus::Cancelled);
        assert_eq!(scene.record(&cancelled, at(0)).await, Recorded::Order);
        assert!(matches!(
            scene.record(&paid, at(1)).await,
            Recorded::Voided(_)
        ));
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("anulada"));
        let second = purchase("p2", "other", 1);
        let without_total = Order {
            status: OrderStatus::Cancelled,
            total: None,
            ..second.clone()
        };
        assert_eq!(scene.record(&without_total, at(0)).await, Recorded::Order);
        scene.record(&second, at(1)).await;
        assert_eq!(scene.referral_of("p2").await.as_deref(), Some("anulada"));
        scene.complete("p1", Leg::ONLY, at(2)).await;
        assert_eq!(
            scene
                .count("vouchers WHERE kind = 'voucher_promotor'")
                .await,
            0
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_used_coupon_is_kept_and_shown_as_used_after_voiding() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let paid = purchase("p1", "friend", 1);
        scene.record(&paid, at(0)).await;
        let code = scene
            .word("SELECT code AS word FROM vouchers")
            .await
            .unwrap();
        scene.spend(&code, "friend", "p9", at(1)).await;
        scene
            .record(&news(&paid, OrderStatus::Refunded), at(2))
            .await;
        let kept = "vouchers WHERE status = 'usado' AND used_after_void = 1";
        assert_eq!(scene.count(kept).await, 1, "{}", database.label());
        assert_eq!(scene.sum("spent_centavos", "campaigns").await, 2_000);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_void_order_lets_go_of_the_vouchers_it_reserved() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let code = scene
            .word("SELECT code AS word FROM vouchers")
            .await
            .unwrap();
        scene.hold(&code, "friend", "p2", at(1)).await;
        let mut next = purchase("p2", "friend", 1);
        next.claim = None;
        scene.record(&next, at(2)).await;
        assert_eq!(scene.count("vouchers WHERE status = 'reservado'").await, 1);
        scene
            .record(&news(&next, OrderStatus::Cancelled), at(3))
            .await;
        assert_eq!(scene.count("vouchers WHERE status = 'emitido'").await, 1);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn news_that_name_another_customer_are_refused_and_change_nothing() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let other = scene
            .try_record("m2", &purchase("p1", "stranger", 1), at(1))
            .await;
        assert!(matches!(other, Err(RecordOrderError::OtherCustomer(_))));
        assert_eq!(
            scene
                .count("handled_messages WHERE message_id = 'm2'")
                .await,
            0
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_forged_ref_is_refused_where_it_names_a_link() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let mut forged = purchase("p1", "friend", 1);
        forged.claim = Some(Claim::Forged(ReferralCode::from_random([1; 11])));
        scene.record(&forged, at(0)).await;
        assert_eq!(
            scene.refusal_of("p1").await.as_deref(),
            Some("ref_invalido")
        );
    }
}

#[tokio::test]
async fn a_friend_who_left_the_coupon_of_the_click_unused_gets_one_with_the_purchase() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "coupon_on_arrival = 1").await;
        scene.promoter(1).await;
        let left = scene.arrival_coupon(1, at(-DAY_MS)).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let own = "vouchers WHERE owner_id = 'friend' AND referral_id IS NOT NULL";
        assert_eq!(scene.count(own).await, 1, "{}", database.label());
        let reserved = scene.sum("reserved_centavos", "campaigns").await;
        assert_eq!(reserved, 5_000, "discount and reward");
        assert!(scene.try_hold(&left, "friend", "p2", at(1)).await.is_err());
        scene.assert_sound().await;
        let cancelled = news(&purchase("p1", "friend", 1), OrderStatus::Cancelled);
        scene.record(&cancelled, at(2)).await;
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 0);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_coupon_given_on_arrival_is_bound_to_the_referral() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "coupon_on_arrival = 1").await;
        scene.promoter(1).await;
        let code = scene.arrival_coupon(1, at(-DAY_MS)).await;
        scene.hold(&code, "friend", "p1", at(-DAY_MS + 1)).await;
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 2_000);
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        assert_eq!(scene.count("vouchers").await, 1, "no second coupon");
        assert_eq!(
            scene.count("vouchers WHERE referral_id IS NOT NULL").await,
            1
        );
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 5_000);
        scene.assert_sound().await;
        scene
            .record(
                &news(&purchase("p1", "friend", 1), OrderStatus::Cancelled),
                at(1),
            )
            .await;
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 0);
        scene.assert_sound().await;
    }
}
