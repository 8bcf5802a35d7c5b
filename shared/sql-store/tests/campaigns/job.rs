//! The job that makes promoters of eligible customers.

use std::cell::Cell;

use domain::jobs::NotStarted;
use domain::mgm::campaign::{Amendment, CampaignStatus, Proposal};
use domain::time::UtcMillis;
use sql_store::jobs::{Attempt, JobError, RunError};
use sql_store::mgm::campaigns::change_campaign;
use sql_store::mgm::links::{create_link, my_links};
use sql_store::mgm::promoters::set_promoters;

use crate::scene::{NOW, Scene, customer, proposal, time};

/// A clock that stands still and stops the job after some batches.
struct Batches(Cell<u32>);

impl Attempt for Batches {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        let left = self.0.get().checked_sub(1)?;
        self.0.set(left);
        Some(time(NOW))
    }
}

fn day(text: &str) -> domain::time::Day {
    domain::time::Day::parse(text).unwrap()
}

#[tokio::test]
async fn the_job_resumes_where_it_stopped_and_finds_nothing_the_second_time() {
    for scene in Scene::everywhere().await {
        let first = scene.campaign(proposal()).await;
        let second = scene
            .campaign_at(proposal(), time(NOW).plus_millis(60_000))
            .await;
        let paused = scene.campaign(proposal()).await;
        let pause = Amendment {
            status: Some(CampaignStatus::Paused),
            ..Amendment::default()
        };
        change_campaign(&scene.store, &paused, &pause, time(NOW))
            .await
            .unwrap();
        scene.many_customers(1_200).await;
        let run = async |again, batches| {
            let clock = Batches(Cell::new(batches));
            set_promoters(&scene.store, day("2026-11-20"), again, &clock).await
        };
        // Start, work and two batches: then the time is over.
        let stopped = run(false, 3).await.unwrap_err();
        assert!(matches!(stopped, RunError::OutOfTime), "{stopped}");
        assert_eq!(scene.promoters(&first).await, 1_000, "{}", scene.label());
        let counts = run(false, 100).await.unwrap();
        assert_eq!(counts.get("promotores"), Some(&2_400));
        assert_eq!(
            scene.promoters(&first).await + scene.promoters(&second).await,
            2_400
        );
        assert_eq!(scene.promoters(&paused).await, 0);
        let refused = run(false, 100).await.unwrap_err();
        let done = RunError::Job(JobError::NotStarted(NotStarted::AlreadyDone));
        assert_eq!(refused.to_string(), done.to_string());
        let again = run(true, 100).await.unwrap();
        assert_eq!(again.get("promotores"), None);
    }
}

#[tokio::test]
async fn a_date_does_not_see_who_came_after_it() {
    for scene in Scene::everywhere().await {
        let campaign = scene.campaign(proposal()).await;
        scene.customers(&[("ana", true), ("rui", false)]).await;
        let clock = Batches(Cell::new(100));
        set_promoters(&scene.store, day("2026-11-19"), false, &clock)
            .await
            .unwrap();
        assert_eq!(scene.promoters(&campaign).await, 0, "{}", scene.label());
        set_promoters(&scene.store, day("2026-11-20"), false, &clock)
            .await
            .unwrap();
        assert_eq!(scene.promoters(&campaign).await, 1);
        let link = create_link(&scene.store, &campaign, &customer("ana"), time(NOW))
            .await
            .unwrap();
        assert_eq!(link.since, day("2026-11-20").start());
        let next_day = time("2026-11-21T12:00:00Z");
        scene.customers_at(2, &[("rui", true)], next_day).await;
        for (date, promoters) in [("2026-11-20", 1), ("2026-11-21", 2)] {
            set_promoters(&scene.store, day(date), true, &clock)
                .await
                .unwrap();
            assert_eq!(scene.promoters(&campaign).await, promoters, "{date}");
        }
    }
}

#[tokio::test]
async fn the_job_counts_completed_orders_until_the_end_of_its_date() {
    for scene in Scene::everywhere().await {
        let asked = Proposal {
            minimum_completed_orders: Some(1),
            ..proposal()
        };
        let campaign = scene.campaign(asked).await;
        scene.customers(&[("ana", true), ("bia", true)]).await;
        scene
            .purchase("o1", "ana", "concluido", Some(time(NOW)))
            .await;
        scene
            .purchase("o2", "bia", "concluido", Some(time("2026-11-21T12:00:00Z")))
            .await;
        let clock = Batches(Cell::new(100));
        set_promoters(&scene.store, day("2026-11-20"), false, &clock)
            .await
            .unwrap();
        assert_eq!(scene.promoters(&campaign).await, 1, "{}", scene.label());
        let links = my_links(&scene.store, &customer("ana"), None, 10)
            .await
            .unwrap();
        assert_eq!(links.rows.len(), 1);
    }
}
