//! The job mgm_create_promoter_voucher: vouchers for completed trips that no message announced.

mod company_system;

pub use company_system::{BadSettings, CompanySystem};

use contracts::jobs::{JobReport, not_started};
use domain::{
    identity::OrderId,
    jobs::{MGM_CREATE_PROMOTER_VOUCHER, NotStarted},
    time::UtcMillis,
};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store,
    jobs::{Counts, JobError},
    mgm::sweep::{
        AtTheirEnd, CompletedTrips, EndedTrip, NotTold, SweepError, TimeLeft,
        create_promoter_vouchers,
    },
};

/// Time kept for the page at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 30_000;

/// Who tells which trips are completed.
pub enum Confirmation {
    /// The company's system.
    Asked(CompanySystem),
    /// Nobody: a trip is over when its end has passed.
    Trusted,
}

impl CompletedTrips for Confirmation {
    async fn completed(&self, trips: &[EndedTrip]) -> Result<Vec<(OrderId, UtcMillis)>, NotTold> {
        match self {
            Self::Asked(system) => system.completed(trips).await,
            Self::Trusted => AtTheirEnd.completed(trips).await,
        }
    }
}

/// The handler of the schedule.
pub struct CreatePromoterVouchers {
    store: Store,
    confirmation: Confirmation,
    clock: fn() -> UtcMillis,
}

/// No page begins shortly before Lambda ends the process.
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

impl CreatePromoterVouchers {
    /// `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, confirmation: Confirmation, clock: fn() -> UtcMillis) -> Self {
        Self {
            store,
            confirmation,
            clock,
        }
    }
}

impl Handler for CreatePromoterVouchers {
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
            job: MGM_CREATE_PROMOTER_VOUCHER.name,
            data: run.date.to_string(),
            situacao,
            contagens,
        };
        let (store, trips) = (&self.store, &self.confirmation);
        match create_promoter_vouchers(store, trips, run.date, run.again, &clock).await {
            Ok(counts) => {
                metrics::count(
                    "VouchersIssued",
                    counts.get("vouchers").copied().unwrap_or(0),
                );
                tracing::info!(date = %run.date, ?counts, "job done");
                Ok(report("feito", counts))
            }
            Err(SweepError::Job(JobError::NotStarted(
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
