//! Scheduled functions over the job ledger: the one place where a run becomes its report, or the
//! failure that Lambda retries.

use contracts::jobs::{JobReport, not_started};
use domain::{jobs::Job, time::UtcMillis};
use lambda_kit::{Invocation, InvocationFailed, metrics, schedule::ScheduledRun};
use sql_store::jobs::{Attempt, Counts, JobError, RunError};

/// One attempt of an invocation. No batch begins shortly before Lambda ends the process.
#[derive(Debug, Clone, Copy)]
pub struct UntilDeadline<'a> {
    /// Lambda's id, the same for each attempt of an invocation.
    pub request_id: &'a str,
    /// Where the time comes from.
    pub clock: fn() -> UtcMillis,
    /// When Lambda ends the process.
    pub deadline: UtcMillis,
    /// Time kept for the batch at hand and for ending the attempt, in milliseconds.
    pub reserve_ms: i64,
}

impl<'a> UntilDeadline<'a> {
    /// Until the invocation's deadline.
    #[must_use]
    pub fn of(invocation: &'a Invocation, clock: fn() -> UtcMillis, reserve_ms: i64) -> Self {
        Self {
            request_id: &invocation.request_id,
            clock,
            deadline: invocation.deadline,
            reserve_ms,
        }
    }
}

impl Attempt for UntilDeadline<'_> {
    fn holder(&self) -> &str {
        self.request_id
    }

    fn now(&self) -> Option<UtcMillis> {
        let now = (self.clock)();
        (now.plus_millis(self.reserve_ms) < self.deadline).then_some(now)
    }
}

/// What a run tells the operator. A run that another one or an operator holds back is no failure;
/// one that waits for another job is, so that the schedule tries again.
///
/// # Errors
/// With the ledger's code.
pub fn report(
    job: &Job,
    run: ScheduledRun,
    outcome: Result<Counts, RunError>,
) -> Result<JobReport, InvocationFailed> {
    let report = |situacao, contagens| JobReport {
        job: job.name,
        data: run.date.to_string(),
        situacao,
        contagens,
    };
    match outcome {
        Ok(counts) => {
            tracing::info!(job = job.name, date = %run.date, ?counts, "job done");
            Ok(report("feito", counts))
        }
        Err(error) => {
            if let RunError::Job(JobError::NotStarted(reason)) = &error
                && let Some(word) = not_started(*reason)
            {
                tracing::info!(job = job.name, date = %run.date, %reason, "job not started");
                return Ok(report(word, Counts::new()));
            }
            metrics::count("JobFailed", 1);
            Err(InvocationFailed::new(error.code()))
        }
    }
}
