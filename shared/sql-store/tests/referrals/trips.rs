//! Completed trips, alone and in batches, before and after their purchases.

use domain::{
    mgm::{referral::OtherCustomer, trip::Leg},
    orders::OrderStatus,
};
use sql_store::{
    mgm::{
        purchases::RecordOrderError,
        trips::{TripMessage, complete_trips},
    },
    values,
};
use testkit::databases;

use crate::scene::{DAY_MS, Scene, at, completed, leg, news, purchase};

#[tokio::test]
async fn a_completed_trip_gives_the_promoter_a_voucher_once() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let message = [TripMessage {
            id: "m1".to_owned(),
            leg: completed("p1", "friend", Leg::ONLY),
        }];
        let done = complete_trips(&scene.store, &message, at(1)).await;
        assert_eq!(done.vouchers, 1, "{}", database.label());
        let again = complete_trips(&scene.store, &message, at(2)).await;
        assert_eq!(again.vouchers, 0);
        assert_eq!(
            scene.complete("p1", Leg::ONLY, at(3)).await.vouchers,
            0,
            "told twice"
        );
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        let voucher = "vouchers WHERE kind = 'voucher_promotor' AND owner_id = 'promoter-1' \
                       AND amount_centavos = 3000 AND budget_reserved_centavos = 3000";
        assert_eq!(scene.count(voucher).await, 1);
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 5_000);
        assert_eq!(
            scene
                .count("outbox WHERE event_type = 'voucher.emitido'")
                .await,
            1
        );
        assert_eq!(scene.count("purchases WHERE status = 'concluido'").await, 1);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_round_trip_is_rewarded_with_its_last_leg_in_any_order() {
    for legs in [[1, 2], [2, 1]] {
        for database in databases().await {
            let scene = Scene::open(database.url(), "").await;
            scene.promoter(1).await;
            scene.record(&purchase("p1", "friend", 1), at(0)).await;
            assert_eq!(
                scene.complete("p1", leg(legs[0], 2), at(1)).await.vouchers,
                0
            );
            assert_eq!(scene.referral_of("p1").await.as_deref(), Some("aceita"));
            assert_eq!(
                scene.complete("p1", leg(legs[1], 2), at(2)).await.vouchers,
                1
            );
            scene.assert_sound().await;
        }
    }
}

#[tokio::test]
async fn a_completion_before_its_purchase_waits_for_it() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        assert_eq!(scene.complete("p1", Leg::ONLY, at(0)).await.vouchers, 0);
        assert_eq!(scene.count("trip_legs").await, 1);
        scene.record(&purchase("p1", "friend", 1), at(1)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        assert_eq!(
            scene
                .count("vouchers WHERE kind = 'voucher_promotor'")
                .await,
            1
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_trip_that_names_another_customer_is_refused_or_completes_nothing() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let stranger = |order: &str| TripMessage {
            id: format!("{order} of a stranger"),
            leg: completed(order, "stranger", Leg::ONLY),
        };
        let early = complete_trips(&scene.store, &[stranger("p1")], at(0)).await;
        assert!(early.results.iter().all(Result::is_ok));
        for order in ["p1", "p2"] {
            scene.record(&purchase(order, order, 1), at(1)).await;
        }
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("aceita"));
        let messages = [
            stranger("p1"),
            TripMessage {
                id: "p2 of its customer".to_owned(),
                leg: completed("p2", "p2", Leg::ONLY),
            },
            stranger("p2"),
        ];
        let done = complete_trips(&scene.store, &messages, at(2)).await;
        let refused = Err(RecordOrderError::OtherCustomer(OtherCustomer));
        assert_eq!(
            done.results,
            [Ok(()), Ok(()), refused],
            "{}",
            database.label()
        );
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("aceita"));
        assert_eq!(scene.complete("p1", Leg::ONLY, at(3)).await.vouchers, 1);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_delivered_order_is_completed_without_a_message_of_trips() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let paid = purchase("p1", "friend", 1);
        scene.record(&paid, at(0)).await;
        scene
            .record(&news(&paid, OrderStatus::Completed), at(1))
            .await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        assert_eq!(scene.complete("p1", Leg::ONLY, at(2)).await.vouchers, 0);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_void_order_earns_no_voucher_and_a_refund_cancels_the_one_it_earned() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        for (order, refunded_first) in [("p1", true), ("p2", false)] {
            let paid = purchase(order, order, 1);
            scene.record(&paid, at(0)).await;
            let refund = news(&paid, OrderStatus::Refunded);
            if refunded_first {
                scene.record(&refund, at(1)).await;
                assert_eq!(scene.complete(order, Leg::ONLY, at(2)).await.vouchers, 0);
            } else {
                assert_eq!(scene.complete(order, Leg::ONLY, at(2)).await.vouchers, 1);
                scene.record(&refund, at(3)).await;
            }
        }
        assert_eq!(scene.count("vouchers WHERE status = 'cancelado'").await, 3);
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 0);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_pending_period_holds_the_reward_back() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "pending_days = 7").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        assert_eq!(scene.complete("p1", Leg::ONLY, at(1)).await.vouchers, 0);
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("concluida"));
        assert_eq!(scene.complete("p1", Leg::ONLY, at(2)).await.vouchers, 0);
        scene.assert_sound().await;
        let late = scene.complete("p1", Leg::ONLY, at(7 * DAY_MS)).await;
        assert_eq!(
            late.vouchers, 1,
            "whatever comes after the period finds it due"
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_batch_is_rewarded_as_a_whole_with_repeats_and_strangers_in_it() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "budget_centavos = 90000000").await;
        scene.promoter(1).await;
        for number in 0..20 {
            let id = format!("p{number}");
            scene.record(&purchase(&id, &id, 1), at(0)).await;
        }
        let mut messages: Vec<TripMessage> = (0..30)
            .map(|number| (number, format!("p{number}")))
            .map(|(number, order)| TripMessage {
                id: format!("m{number}"),
                leg: completed(&order, &order, Leg::ONLY),
            })
            .collect();
        messages.push(messages[3].clone());
        messages.push(TripMessage {
            id: "other".to_owned(),
            leg: completed("p3", "p3", Leg::ONLY),
        });
        let done = complete_trips(&scene.store, &messages, at(1)).await;
        assert_eq!(done.vouchers, 20, "{}", database.label());
        assert_eq!(done.results.len(), messages.len());
        assert!(done.results.iter().all(Result::is_ok));
        messages.push(TripMessage {
            id: "new".to_owned(),
            leg: completed("p31", "p31", Leg::ONLY),
        });
        let again = complete_trips(&scene.store, &messages, at(2)).await;
        assert_eq!(again.vouchers, 0);
        assert_eq!(scene.count("trip_legs").await, 31);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_message_that_breaks_a_batch_is_left_behind_alone() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        for id in ["p1", "p2", "p3"] {
            scene.record(&purchase(id, id, 1), at(0)).await;
        }
        let spoil = "UPDATE referrals SET version = 0 WHERE order_id = 'p2'";
        scene.execute(spoil, values![]).await;
        let messages = ["p1", "p2", "p3"].map(|id| TripMessage {
            id: id.to_owned(),
            leg: completed(id, id, Leg::ONLY),
        });
        let done = complete_trips(&scene.store, &messages, at(1)).await;
        let worked: Vec<bool> = done.results.iter().map(Result::is_ok).collect();
        assert_eq!(worked, [true, false, true], "{}", database.label());
        assert_eq!(done.vouchers, 2);
    }
}
