//! The job estoque_consultar: levels of stock from a warehouse that only offers an API to ask. They go
//! on as POST /estoque's do; a level that comes twice changes nothing.

mod api;

pub use api::{BadSettings, Settings, StockApi};

use std::time::Duration;

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::{
    collect::{Collected, Judged, MOST_ITEMS, STOCK_TOPIC},
    jobs::JobReport,
};
use domain::{jobs::STOCK_POLL, time::UtcMillis};
use event_door::Door;
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store, Tx,
    jobs::{Attempt, JobError, JobRun, RunError, run},
    stock::{last_poll, note_poll},
};

/// Time kept for the page at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 30_000;
/// Pages of one poll; more is an API that never ends.
pub const MOST_PAGES: u32 = 1_000;
/// The API's clock may be behind ours by so much: what changed then is asked for twice.
const OVERLAP_MS: i64 = 300_000;
/// Refusals of a page that are logged, each by its code.
const LOGGED_REFUSALS: usize = 20;

/// The handler of the schedule.
pub struct PollStock {
    store: Store,
    api: StockApi,
    door: Door,
    clock: fn() -> UtcMillis,
}

impl PollStock {
    /// Asks `api`, whose levels go on through `door`; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, api: StockApi, door: Door, clock: fn() -> UtcMillis) -> Self {
        Self {
            store,
            api,
            door,
            clock,
        }
    }

    /// A poll that ends early is done again from its first page by the next one.
    async fn poll(
        &self,
        run: &mut JobRun,
        attempt: &UntilDeadline<'_>,
    ) -> Result<UtcMillis, RunError> {
        let begun = attempt.now().ok_or(RunError::OutOfTime)?;
        let source = self.api.source();
        let since = last_poll(&self.store, &source).await?;
        let since = since.map(|since| since.plus_millis(-OVERLAP_MS));
        let mut url = self.api.first(since);
        for _ in 0..MOST_PAGES {
            let now = attempt.now().ok_or(RunError::OutOfTime)?;
            let has_time_for = |pause: Duration| {
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                let now = attempt.now();
                now.is_some_and(|now| {
                    now.get().saturating_add(pause_ms + attempt.reserve_ms) < attempt.deadline.get()
                })
            };
            let asked = self.api.page(&url, has_time_for).await;
            let asked = asked.map_err(RunError::Outside)?;
            self.hand_on(run, &asked.page.items, now).await?;
            let progress = async |tx: &Tx| run.note_progress(tx, now).await;
            self.store
                .transact::<_, JobError, _>(progress)
                .await
                .map_err(RunError::Job)?;
            match asked.next {
                Some(next) => url = next,
                None => {
                    note_poll(&self.store, &source, begun).await?;
                    return Ok(now);
                }
            }
        }
        Err(RunError::Outside("stock_api_never_ends"))
    }

    async fn hand_on(
        &self,
        run: &mut JobRun,
        items: &[serde_json::Value],
        now: UtcMillis,
    ) -> Result<(), RunError> {
        let judged = Judged::of(items, |_, item| Collected::stock(item, now));
        for refusal in judged.refusals.iter().take(LOGGED_REFUSALS) {
            tracing::warn!(
                place = refusal.indice,
                code = refusal.codigo,
                field = refusal.campo,
                reason = refusal.regra,
                "a level of stock was refused"
            );
        }
        for taken in judged.taken.chunks(MOST_ITEMS) {
            let sent = self.door.send(STOCK_TOPIC, taken, now).await;
            if let Some(Err(reason)) = sent.iter().find(|sent| sent.is_err()) {
                tracing::error!(place = STOCK_TOPIC, %reason, "not everything was sent");
                return Err(RunError::Outside("stock_not_sent"));
            }
        }
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (taken, refused) = (whole(judged.taken.len()), whole(judged.refusals.len()));
        run.count("paginas", 1);
        run.count("aceitos", taken);
        run.count("recusados", refused);
        metrics::count("StockLevelsAccepted", taken);
        metrics::count("StockLevelsRefused", refused);
        Ok(())
    }
}

impl Handler for PollStock {
    type Answer = JobReport;

    /// A day's poll that was done is no reason not to ask again: the ledger keeps two polls apart,
    /// and shows the last one of the day.
    async fn handle(
        &self,
        scheduled: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let (store, date) = (&self.store, scheduled.date);
        let outcome = run(store, &STOCK_POLL, date, true, &attempt, async |run| {
            self.poll(run, &attempt).await
        });
        report(&STOCK_POLL, scheduled, outcome.await)
    }
}
