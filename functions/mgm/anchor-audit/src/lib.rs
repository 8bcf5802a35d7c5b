//! The job mgm_anchor_audit: the audit chains of the days that are over get their anchors.

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::jobs::MGM_ANCHOR_AUDIT;
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, ScheduledRun};
use lambda_kit::{Invocation, InvocationFailed};
use sql_store::Store;
use sql_store::mgm::audit::anchor_days;

/// Time kept for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 10_000;

/// The handler of the schedule.
pub struct AnchorAudit {
    store: Store,
    clock: fn() -> UtcMillis,
}

impl AnchorAudit {
    /// `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, clock: fn() -> UtcMillis) -> Self {
        Self { store, clock }
    }
}

impl Handler for AnchorAudit {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let clock = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let outcome = anchor_days(&self.store, run.date, run.again, &clock).await;
        report(&MGM_ANCHOR_AUDIT, run, outcome)
    }
}
