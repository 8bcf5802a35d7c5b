//! The job mgm_anchor_audit: the audit chains of the days that are over get their anchors.

use contracts::jobs::{JobReport, not_started};
use domain::jobs::{MGM_ANCHOR_AUDIT, NotStarted};
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, ScheduledRun};
use lambda_kit::{Invocation, InvocationFailed, metrics};
use sql_store::Store;
use sql_store::jobs::{Counts, JobError};
use sql_store::mgm::audit::{AnchorError, anchor_days};
use sql_store::mgm::promoters::TimeLeft;

/// Time kept for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 10_000;

/// The handler of the schedule.
pub struct AnchorAudit {
    store: Store,
    clock: fn() -> UtcMillis,
}

/// No batch begins shortly before Lambda ends the process.
struct UntilDeadline {
    clock: fn() -> UtcMillis,
    deadline: UtcMillis,
}

impl TimeLeft for UntilDeadline {
    fn now(&self) -> Option<UtcMillis> {
        let now = (self.clock)();
        (now.plus_millis(RESERVE_MS) < self.deadline).then_some(now)
    }
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
        let clock = UntilDeadline {
            clock: self.clock,
            deadline: invocation.deadline,
        };
        let report = |situacao, contagens| JobReport {
            job: MGM_ANCHOR_AUDIT.name,
            data: run.date.to_string(),
            situacao,
            contagens,
        };
        match anchor_days(&self.store, run.date, run.again, &clock).await {
            Ok(counts) => {
                tracing::info!(date = %run.date, ?counts, "job done");
                Ok(report("feito", counts))
            }
            Err(AnchorError::Job(JobError::NotStarted(
                reason @ (NotStarted::AlreadyDone | NotStarted::Running | NotStarted::Paused),
            ))) => {
                tracing::info!(date = %run.date, %reason, "job not started");
                Ok(report(not_started(reason), Counts::new()))
            }
            Err(error) => {
                metrics::count("JobFailed", 1);
                Err(InvocationFailed::new(error.code()))
            }
        }
    }
}
