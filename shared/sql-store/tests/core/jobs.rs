//! The ledger of scheduled jobs: one run a job and date, leased, fenced and resumable.

use std::sync::atomic::{AtomicU32, Ordering};

use domain::{
    jobs::{Job, NotStarted},
    time::{Day, UtcMillis},
};
use sql_store::{
    Store, Tx,
    jobs::{self, JobError, JobRun, history, pause, resume},
};

use crate::stores::{NOON, fresh, rows};

const FIRST: Job = Job {
    name: "first",
    after: &[],
};
const SECOND: Job = Job {
    name: "second",
    after: &["first"],
};
/// Longer than the longest Lambda.
const DEAD: i64 = 16 * 60 * 1000;

fn today() -> Day {
    NOON.day()
}

fn later(millis: i64) -> UtcMillis {
    NOON.plus_millis(millis)
}

/// An invocation of its own each time.
async fn start(
    store: &Store,
    job: &Job,
    date: Day,
    again: bool,
    now: UtcMillis,
) -> Result<JobRun, JobError> {
    static INVOCATIONS: AtomicU32 = AtomicU32::new(0);
    let holder = format!("i-{}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
    jobs::start(store, job, date, again, &holder, now).await
}

async fn refusal(store: &Store, job: &Job, again: bool, now: UtcMillis) -> NotStarted {
    match start(store, job, today(), again, now).await {
        Err(JobError::NotStarted(why)) => why,
        other => panic!("it should not have started: {other:?}"),
    }
}

async fn note(store: &Store, run: &JobRun, now: UtcMillis) -> Result<(), JobError> {
    store
        .transact(async |tx: &Tx| {
            tx.mark_handled("batch", &tx.new_id(now)?, now).await?;
            run.note_progress(tx, now).await
        })
        .await
}

#[tokio::test]
async fn a_job_waits_for_the_jobs_before_it_on_the_same_date() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let yesterday = today().previous();
        let run = start(store, &FIRST, yesterday, false, NOON).await.unwrap();
        run.finish(store, NOON).await.unwrap();
        assert_eq!(
            refusal(store, &SECOND, false, NOON).await,
            NotStarted::Waiting("first")
        );
        let run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        assert_eq!(
            refusal(store, &SECOND, false, NOON).await,
            NotStarted::Waiting("first")
        );
        run.fail(store, "x", NOON).await.unwrap();
        assert_eq!(
            refusal(store, &SECOND, false, NOON).await,
            NotStarted::Waiting("first")
        );
        let run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        run.finish(store, NOON).await.unwrap();
        let second = start(store, &SECOND, today(), false, NOON).await.unwrap();
        assert_eq!((second.job, second.attempt), ("second", 1));
    }
}

#[tokio::test]
async fn a_running_job_is_not_started_twice() {
    for fresh in fresh().await {
        let other = fresh.beside(Default::default()).await;
        let (one, two) = tokio::join!(
            start(&fresh.store, &FIRST, today(), false, NOON),
            start(&other, &FIRST, today(), false, NOON),
        );
        let started = [&one, &two].into_iter().filter(|run| run.is_ok()).count();
        assert_eq!(started, 1, "{}: {one:?} {two:?}", fresh.label());
        assert_eq!(
            refusal(&fresh.store, &FIRST, true, later(60_000)).await,
            NotStarted::Running
        );
        assert!(
            start(&fresh.store, &FIRST, today().next(), false, NOON)
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn an_invocation_takes_over_at_once_from_its_own_attempt_that_died() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let dead = jobs::start(store, &FIRST, today(), false, "i", NOON).await;
        let soon = later(60_000);
        assert_eq!(
            refusal(store, &FIRST, false, soon).await,
            NotStarted::Running
        );
        let retried = jobs::start(store, &FIRST, today(), false, "i", soon).await;
        assert_eq!(retried.unwrap().attempt, 2, "{}", fresh.label());
        let lost = dead.unwrap().finish(store, soon).await;
        assert!(matches!(lost, Err(JobError::LostLease)));
    }
}

#[tokio::test]
async fn a_dead_run_is_taken_over_where_it_stopped_and_can_write_no_more() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let mut dead = start(store, &FIRST, today(), false, NOON).await.unwrap();
        dead.count("made", 7);
        dead.resume_after = Some("c-100".to_owned());
        note(store, &dead, NOON).await.unwrap();

        let taker = start(store, &FIRST, today(), false, later(DEAD))
            .await
            .unwrap();
        assert_eq!(taker.attempt, 2);
        assert_eq!(taker.resume_after.as_deref(), Some("c-100"));
        assert_eq!(taker.counts.get("made"), Some(&7));

        dead.count("made", 1);
        let marks = rows(store, "handled_messages").await;
        for lost in [
            note(store, &dead, later(DEAD)).await,
            dead.finish(store, later(DEAD)).await,
            dead.fail(store, "x", later(DEAD)).await,
        ] {
            assert!(matches!(lost, Err(JobError::LostLease)), "{lost:?}");
        }
        assert_eq!(rows(store, "handled_messages").await, marks, "rolled back");
        taker.finish(store, later(DEAD)).await.unwrap();
    }
}

#[tokio::test]
async fn progress_renews_the_lease() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        note(store, &run, later(DEAD - 60_000)).await.unwrap();
        assert_eq!(
            refusal(store, &FIRST, false, later(DEAD)).await,
            NotStarted::Running
        );
    }
}

#[tokio::test]
async fn a_failed_run_resumes_and_a_done_one_is_done_again_from_the_start_only_when_asked() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let mut run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        run.count("made", 3);
        run.resume_after = Some("c-3".to_owned());
        run.fail(store, "database_busy", NOON).await.unwrap();

        let retried = start(store, &FIRST, today(), false, NOON).await.unwrap();
        assert_eq!((retried.attempt, retried.counts["made"]), (2, 3));
        assert_eq!(retried.resume_after.as_deref(), Some("c-3"));
        retried.finish(store, NOON).await.unwrap();

        assert_eq!(
            refusal(store, &FIRST, false, NOON).await,
            NotStarted::AlreadyDone
        );
        let again = start(store, &FIRST, today(), true, NOON).await.unwrap();
        assert_eq!((again.attempt, again.resume_after.as_deref()), (3, None));
        assert!(again.counts.is_empty());
    }
}

#[tokio::test]
async fn a_paused_job_does_not_start_and_a_running_one_goes_on() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        assert!(pause(store, "first", NOON).await.unwrap());
        assert!(!pause(store, "first", NOON).await.unwrap());
        run.finish(store, NOON).await.unwrap();
        assert_eq!(refusal(store, &FIRST, true, NOON).await, NotStarted::Paused);
        assert!(resume(store, "first").await.unwrap());
        assert!(!resume(store, "first").await.unwrap());
        assert!(start(store, &FIRST, today(), true, NOON).await.is_ok());
    }
}

#[tokio::test]
async fn the_history_tells_how_each_date_went_newest_first() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let days = [today().previous(), today(), today().next()];
        for (day, code) in days.into_iter().zip([None, Some("boom"), None]) {
            let mut run = start(store, &FIRST, day, false, NOON).await.unwrap();
            run.count("made", 2);
            match code {
                Some(code) => run.fail(store, code, later(5)).await.unwrap(),
                None => run.finish(store, later(5)).await.unwrap(),
            }
        }
        let told = history(store, "first", days[0], days[2], 2).await.unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|row| {
                (
                    row.logical_date.clone(),
                    row.status.as_str(),
                    row.error.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (days[2].to_string(), "done", None),
                (days[1].to_string(), "failed", Some("boom")),
            ]
        );
        let one = history(store, "first", days[0], days[0], 9).await.unwrap();
        assert_eq!(one[0].counts, r#"{"made":2}"#);
        assert_eq!(one[0].finished_ms, Some(later(5).get()));
        assert!(
            history(store, "second", days[0], days[2], 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_run_that_fails_with_a_long_text_is_noted_all_the_same() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let run = start(store, &FIRST, today(), false, NOON).await.unwrap();
        let long = "não ".repeat(200);
        run.fail(store, &long, NOON).await.unwrap();
        let told = history(store, "first", today(), today(), 1).await.unwrap();
        assert_eq!(told[0].status, "failed", "{}", fresh.label());
        assert!(long.starts_with(told[0].error.as_deref().unwrap()));
    }
}
