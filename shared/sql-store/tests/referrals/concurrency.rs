//! Instances side by side: whoever comes first wins, and exactly one does.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use domain::mgm::{referral::Refusal, trip::Leg};
use futures::future::join_all;
use sql_store::{
    Options, Store,
    mgm::{
        purchases::{Recorded, record_order},
        trips::{TripMessage, complete_trips},
    },
    observer::{Point, StatementObserver},
};
use testkit::databases;

use crate::scene::{Scene, at, completed, leg, purchase};

const RIVALS: usize = 8;

/// A connection of its own for each of so many instances.
async fn instances(url: &str) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..RIVALS {
        stores.push(Store::open_with(url, Options::default()).await.unwrap());
    }
    stores
}

/// Records purchases at the same time; each is (order, friend, promoter).
async fn race(url: &str, purchases: &[(String, String, u8)]) -> Vec<Recorded> {
    let instances = instances(url).await.into_iter();
    let running = instances
        .zip(purchases)
        .map(async |(store, (order, friend, promoter))| {
            let news = purchase(order, friend, *promoter);
            record_order(&store, order, &news, at(0)).await.unwrap()
        });
    join_all(running).await
}

fn accepted(outcomes: &[Recorded]) -> usize {
    outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Recorded::Accepted(_)))
        .count()
}

async fn assert_refused(scene: &Scene, outcomes: &[Recorded], reason: Refusal, expected: usize) {
    let told = outcomes
        .iter()
        .filter(|one| **one == Recorded::Refused(reason))
        .count();
    assert_eq!(told, expected, "{outcomes:?}");
    let kept = format!("refusals WHERE reason = '{}'", reason.as_str());
    assert_eq!(scene.count(&kept).await, i64::try_from(expected).unwrap());
    scene.assert_sound().await;
}

#[tokio::test]
async fn of_two_purchases_of_a_friend_at_the_same_time_one_is_the_referral() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        for promoter in 0..8 {
            scene.promoter(promoter).await;
        }
        let purchases: Vec<_> = (0..8_u8)
            .map(|n| (format!("p{n}"), "friend".to_owned(), n))
            .collect();
        let outcomes = race(database.url(), &purchases).await;
        assert_eq!(accepted(&outcomes), 1, "{}: {outcomes:?}", database.label());
        assert_refused(&scene, &outcomes, Refusal::AlreadyReferred, RIVALS - 1).await;
    }
}

#[tokio::test]
async fn a_promoter_at_the_limit_gets_the_last_referral_once() {
    for (changes, reason) in [
        ("promoter_total_limit = 3", Refusal::PromoterLimit),
        ("promoter_monthly_limit = 3", Refusal::MonthlyLimit),
        ("hourly_velocity_limit = 3", Refusal::Velocity),
    ] {
        for database in databases().await {
            let scene = Scene::open(database.url(), changes).await;
            scene.promoter(1).await;
            let purchases: Vec<_> = (0..8)
                .map(|n| (format!("p{n}"), format!("f{n}"), 1))
                .collect();
            let outcomes = race(database.url(), &purchases).await;
            assert_eq!(accepted(&outcomes), 3, "{}: {outcomes:?}", database.label());
            assert_refused(&scene, &outcomes, reason, RIVALS - 3).await;
        }
    }
}

#[tokio::test]
async fn the_end_of_the_budget_is_given_once() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "budget_centavos = 15000").await;
        for promoter in 0..8 {
            scene.promoter(promoter).await;
        }
        let purchases: Vec<_> = (0..8_u8)
            .map(|n| (format!("p{n}"), format!("f{n}"), n))
            .collect();
        let outcomes = race(database.url(), &purchases).await;
        assert_eq!(accepted(&outcomes), 3, "{}: {outcomes:?}", database.label());
        assert_refused(&scene, &outcomes, Refusal::BudgetSpent, RIVALS - 3).await;
    }
}

#[tokio::test]
async fn a_purchase_and_its_completion_at_the_same_time_meet() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        for round in 0..6 {
            let id = format!("p{round}");
            let stores = instances(database.url()).await;
            let running = stores
                .iter()
                .take(3)
                .enumerate()
                .map(async |(place, store)| {
                    if place == 0 {
                        let news = purchase(&id, &id, 1);
                        record_order(store, &id, &news, at(0)).await.unwrap();
                    } else {
                        let leg = leg(i64::try_from(place).unwrap(), 2);
                        let message = TripMessage {
                            id: format!("{id}/{place}"),
                            leg: completed(&id, &id, leg),
                        };
                        let done = complete_trips(store, &[message], at(0)).await;
                        assert!(done.results.iter().all(Result::is_ok), "{:?}", done.results);
                    }
                });
            join_all(running).await;
            let status = scene.referral_of(&id).await;
            assert_eq!(
                status.as_deref(),
                Some("premiada"),
                "{} {id}",
                database.label()
            );
        }
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn the_same_batch_at_the_same_time_gives_each_voucher_once() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        for number in 0..10 {
            let id = format!("p{number}");
            scene.record(&purchase(&id, &id, 1), at(0)).await;
        }
        let stores = instances(database.url()).await;
        let running = stores.iter().enumerate().map(async |(place, store)| {
            let mut messages: Vec<TripMessage> = (0..10)
                .map(|number| (number, format!("p{number}")))
                .map(|(number, order)| TripMessage {
                    id: format!("m{number}/{}", place % 2),
                    leg: completed(&order, &order, Leg::ONLY),
                })
                .collect();
            messages.rotate_left(place);
            let done = complete_trips(store, &messages, at(1)).await;
            assert!(done.results.iter().all(Result::is_ok), "{:?}", done.results);
            done.vouchers
        });
        let issued: usize = join_all(running).await.into_iter().sum();
        assert_eq!(issued, 10, "{}", database.label());
        scene.assert_sound().await;
    }
}

/// Holds a transaction before its commit until the other side is done, or for half a second.
struct Gate {
    reached: mpsc::Sender<()>,
    other_is_done: Mutex<mpsc::Receiver<()>>,
}

impl StatementObserver for Gate {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        if point == Point::Before("COMMIT") {
            self.reached.send(()).unwrap();
            let done = self.other_is_done.lock().unwrap();
            let _ = done.recv_timeout(Duration::from_millis(500));
        }
        false
    }
}

#[tokio::test]
async fn a_purchase_waits_for_a_completion_that_is_about_to_be_stored() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let (reached, is_reached) = mpsc::channel();
        let (done, other_is_done) = mpsc::channel();
        let gate = Gate {
            reached,
            other_is_done: Mutex::new(other_is_done),
        };
        let (url, observer) = (database.url().to_owned(), Arc::new(gate));
        let trip = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let options = Options {
                    observer: Some(observer),
                    ..Options::default()
                };
                let store = Store::open_with(&url, options).await.unwrap();
                let leg = completed("p1", "friend", Leg::ONLY);
                let message = TripMessage {
                    id: "m1".to_owned(),
                    leg,
                };
                complete_trips(&store, &[message], at(0)).await
            })
        });
        is_reached.recv().unwrap();
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let _ = done.send(());
        assert!(trip.join().unwrap().results.iter().all(Result::is_ok));
        let status = scene.referral_of("p1").await;
        assert_eq!(status.as_deref(), Some("premiada"), "{}", database.label());
        scene.assert_sound().await;
    }
}
