//! The job televendas_expirar_contatos: what telesales has kept for long enough is deleted.

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::jobs::TELESALES_EXPIRE_CONTACTS;
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, ScheduledRun};
use lambda_kit::{Invocation, InvocationFailed, metrics};
use sql_store::Store;
use sql_store::telesales::retention::expire_contacts;

/// Time kept for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 10_000;

/// The handler of the schedule.
pub struct ExpireContacts {
    store: Store,
    clock: fn() -> UtcMillis,
}

impl ExpireContacts {
    /// Over database 2; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, clock: fn() -> UtcMillis) -> Self {
        Self { store, clock }
    }
}

impl Handler for ExpireContacts {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let clock = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let outcome = expire_contacts(&self.store, run.date, run.again, &clock).await;
        let expired = outcome
            .as_ref()
            .ok()
            .and_then(|counts| counts.get("contatos"));
        metrics::count("ContactsExpired", expired.copied().unwrap_or(0));
        report(&TELESALES_EXPIRE_CONTACTS, run, outcome)
    }
}
