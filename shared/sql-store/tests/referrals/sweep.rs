//! The sweep's pages.

use domain::{
    identity::OrderId,
    jobs::MGM_CREATE_PROMOTER_VOUCHER,
    mgm::trip::{CompletedLeg, Leg},
    time::UtcMillis,
};
use sql_store::{
    jobs::{self, Attempt, Counts, JobError, JobRun},
    mgm::sweep::{
        AtTheirEnd, CompletedTrips, EndedTrip, NotTold, create_promoter_vouchers, due_rewards,
        ended_trips, expire_page, settle_page, waiting_completions,
    },
    values,
};
use testkit::databases;

use crate::scene::{DAY_MS, HOUR_MS, Scene, at, completed, leg, purchase};

/// Claims the job for the day of `now`, whether or not it was done.
pub async fn start(scene: &Scene, now: UtcMillis) -> JobRun {
    let job = MGM_CREATE_PROMOTER_VOUCHER;
    jobs::start(&scene.store, &job, now.day(), true, "test", now)
        .await
        .unwrap()
}

/// Every page of every step, with trips that are believed to be over at their end.
pub async fn run_all(scene: &Scene, now: UtcMillis) {
    let store = &scene.store;
    let mut run = start(scene, now).await;
    let waiting = waiting_completions(store, "").await.unwrap();
    settle_page(store, &mut run, &waiting, &[], "a", now)
        .await
        .unwrap();
    let ended = ended_trips(store, None, now).await.unwrap();
    let confirmed: Vec<CompletedLeg> = ended
        .iter()
        .map(|trip| CompletedLeg {
            order: trip.order.clone(),
            customer: trip.customer.clone(),
            leg: Leg::WHOLE,
            completed: trip.ends,
        })
        .collect();
    let orders: Vec<String> = ended.iter().map(|trip| trip.order.to_string()).collect();
    settle_page(store, &mut run, &orders, &confirmed, "b", now)
        .await
        .unwrap();
    let due = due_rewards(store, "", now).await.unwrap();
    settle_page(store, &mut run, &due, &[], "c", now)
        .await
        .unwrap();
    expire_page(store, &mut run, "d", now).await.unwrap();
    run.finish(store, now).await.unwrap();
}

#[tokio::test]
async fn trips_that_ended_are_found_page_by_page_in_the_order_of_their_end() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        for (id, ends) in [("p3", -3), ("p1", -2), ("p2", -2), ("p4", 5)] {
            let mut order = purchase(id, id, 1);
            order.ends = Some(at(ends));
            scene.record(&order, at(0)).await;
        }
        let found = ended_trips(&scene.store, None, at(0)).await.unwrap();
        let names: Vec<&str> = found.iter().map(|trip| trip.order.as_str()).collect();
        assert_eq!(names, ["p3", "p1", "p2"], "{}", database.label());
        let rest = ended_trips(&scene.store, Some((at(-2), "p1")), at(0))
            .await
            .unwrap();
        assert_eq!(rest.len(), 1);
    }
}

#[tokio::test]
async fn the_sweep_rewards_what_no_message_told_of_and_both_roads_give_one_voucher() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let mut order = purchase("p1", "friend", 1);
        order.ends = Some(at(-HOUR_MS / 2));
        scene.record(&order, at(0)).await;
        run_all(&scene, at(0)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        assert_eq!(scene.complete("p1", Leg::ONLY, at(1)).await.vouchers, 0);
        run_all(&scene, at(2)).await;
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
async fn the_sweep_finds_waiting_completions_and_rewards_that_are_due() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "pending_days = 2").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        let lost = completed("p1", "friend", Leg::ONLY);
        scene
            .execute(
                "INSERT INTO trip_legs (order_id, leg, legs, customer_id, completed_ms) \
                 VALUES ('p1', 1, 1, 'friend', ?)",
                values![lost.completed.get()],
            )
            .await;
        run_all(&scene, at(0)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("concluida"));
        run_all(&scene, at(DAY_MS)).await;
        assert_eq!(
            scene.referral_of("p1").await.as_deref(),
            Some("concluida"),
            "not due yet"
        );
        run_all(&scene, at(2 * DAY_MS)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_trip_with_a_missing_leg_is_over_when_its_end_has_passed() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let mut order = purchase("p1", "friend", 1);
        order.ends = Some(at(HOUR_MS));
        scene.record(&order, at(0)).await;
        scene.complete("p1", leg(1, 2), at(1)).await;
        run_all(&scene, at(2)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("aceita"));
        run_all(&scene, at(HOUR_MS + 1)).await;
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
    }
}

#[tokio::test]
async fn an_expired_voucher_gives_its_budget_back() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        scene.record(&purchase("p1", "friend", 1), at(0)).await;
        scene.complete("p1", Leg::ONLY, at(1)).await;
        run_all(&scene, at(29 * DAY_MS)).await;
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 5_000);
        run_all(&scene, at(31 * DAY_MS)).await;
        assert_eq!(scene.sum("reserved_centavos", "campaigns").await, 0);
        assert_eq!(scene.count("vouchers WHERE status = 'expirado'").await, 2);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_run_that_lost_its_lease_writes_nothing() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        scene.promoter(1).await;
        let mut order = purchase("p1", "friend", 1);
        order.ends = Some(at(-1));
        scene.record(&order, at(0)).await;
        let mut run = start(&scene, at(0)).await;
        scene
            .execute("UPDATE job_runs SET attempt = attempt + 1", values![])
            .await;
        let whole = completed("p1", "friend", Leg::WHOLE);
        let orders = ["p1".to_owned()];
        let lost = settle_page(&scene.store, &mut run, &orders, &[whole], "b", at(1)).await;
        assert!(
            matches!(lost, Err(JobError::LostLease)),
            "{}",
            database.label()
        );
        assert_eq!(
            scene.count("trip_legs").await
                + scene.count("vouchers WHERE kind <> 'cupom_amigo'").await,
            0
        );
        scene.assert_sound().await;
    }
}

/// Tells of the trips that it was given, and counts how often it was asked.
struct System {
    over: Vec<(&'static str, UtcMillis)>,
    works: bool,
}

impl CompletedTrips for System {
    async fn completed(&self, trips: &[EndedTrip]) -> Result<Vec<(OrderId, UtcMillis)>, NotTold> {
        if !self.works {
            return Err(NotTold {
                code: "system_down",
            });
        }
        assert!(!trips.is_empty());
        let over = self
            .over
            .iter()
            .map(|(id, completed)| (OrderId::parse(*id).unwrap(), *completed));
        Ok(over.collect())
    }
}

/// So many moments from `now` on, then no time is left.
struct Moments(std::cell::Cell<u32>, UtcMillis);

impl Attempt for Moments {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        let left = self.0.get().checked_sub(1)?;
        self.0.set(left);
        Some(self.1)
    }
}

/// Runs the job for today at a moment, with time for so many pages.
async fn run_job(
    scene: &Scene,
    trips: &impl CompletedTrips,
    again: bool,
    moments: u32,
    now: UtcMillis,
) -> Result<Counts, &'static str> {
    let clock = Moments(std::cell::Cell::new(moments), now);
    let day = at(0).day();
    let done = create_promoter_vouchers(&scene.store, trips, day, again, &clock).await;
    done.map_err(|error| error.code())
}

async fn ended_orders(scene: &Scene, ids: &[&str]) {
    scene.promoter(1).await;
    for id in ids {
        let mut order = purchase(id, id, 1);
        order.ends = Some(at(-HOUR_MS));
        scene.record(&order, at(0)).await;
    }
}

#[tokio::test]
async fn only_what_the_companys_system_confirms_is_rewarded() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        ended_orders(&scene, &["p1", "p2", "p3"]).await;
        let over = vec![("p1", at(-5)), ("p2", at(HOUR_MS)), ("stranger", at(-5))];
        let system = System { over, works: true };
        let counts = run_job(&scene, &system, false, 99, at(0)).await.unwrap();
        assert_eq!(counts["vouchers"], 1, "{}", database.label());
        assert_eq!(scene.referral_of("p1").await.as_deref(), Some("premiada"));
        assert_eq!(
            scene.referral_of("p2").await.as_deref(),
            Some("aceita"),
            "in the future"
        );
        assert_eq!(
            scene.referral_of("p3").await.as_deref(),
            Some("aceita"),
            "not told of"
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_run_that_fails_or_dies_goes_on_and_a_second_one_finds_it_done() {
    for database in databases().await {
        let scene = Scene::open(database.url(), "").await;
        ended_orders(&scene, &["p1", "p2"]).await;
        let down = System {
            over: Vec::new(),
            works: false,
        };
        assert_eq!(
            run_job(&scene, &down, false, 99, at(0)).await,
            Err("system_down")
        );
        assert_eq!(
            run_job(&scene, &AtTheirEnd, false, 2, at(1)).await,
            Err("out_of_time")
        );
        let counts = run_job(&scene, &AtTheirEnd, false, 99, at(2))
            .await
            .unwrap();
        assert_eq!(counts["vouchers"], 2, "{}", database.label());
        assert_eq!(
            run_job(&scene, &AtTheirEnd, false, 99, at(3)).await,
            Err("not_started")
        );
        run_job(&scene, &AtTheirEnd, true, 99, at(4)).await.unwrap();
        assert_eq!(
            scene
                .count("vouchers WHERE kind = 'voucher_promotor'")
                .await,
            2
        );
        scene.assert_sound().await;
    }
}
