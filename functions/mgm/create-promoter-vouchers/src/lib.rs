//! The job mgm_create_promoter_voucher: vouchers for completed trips that no message announced.

mod company_system;

pub use company_system::{BadSettings, CompanySystem};

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::{identity::OrderId, jobs::MGM_CREATE_PROMOTER_VOUCHER, time::UtcMillis};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store,
    mgm::sweep::{AtTheirEnd, CompletedTrips, EndedTrip, NotTold, create_promoter_vouchers},
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
        let clock = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let (store, trips) = (&self.store, &self.confirmation);
        let outcome = create_promoter_vouchers(store, trips, run.date, run.again, &clock).await;
        let issued = outcome
            .as_ref()
            .ok()
            .and_then(|counts| counts.get("vouchers"));
        metrics::count("VouchersIssued", issued.copied().unwrap_or(0));
        report(&MGM_CREATE_PROMOTER_VOUCHER, run, outcome)
    }
}
