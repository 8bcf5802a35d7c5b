//! The job mgm_set_promoters: promoters of all eligible customers, by logical date.

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::jobs::MGM_SET_PROMOTERS;
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, ScheduledRun};
use lambda_kit::{Invocation, InvocationFailed};
use sql_store::Store;
use sql_store::mgm::promoters::set_promoters;

/// Time kept for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 5_000;

/// The handler of the schedule.
pub struct SetPromoters {
    store: Store,
    clock: fn() -> UtcMillis,
}

impl SetPromoters {
    /// `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, clock: fn() -> UtcMillis) -> Self {
        Self { store, clock }
    }
}

impl Handler for SetPromoters {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let clock = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let outcome = set_promoters(&self.store, run.date, run.again, &clock).await;
        report(&MGM_SET_PROMOTERS, run, outcome)
    }
}
