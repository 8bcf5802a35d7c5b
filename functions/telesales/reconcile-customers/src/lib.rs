//! The job televendas_reconciliar: database 2 against the company's customers. A source that is
//! empty, unreachable or in disorder, or that would delete too much, deletes nothing and alarms.

mod snapshot;

pub use snapshot::{BadPlace, Snapshot, SnapshotFile};

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::{
    identity::CustomerId, jobs::TELESALES_RECONCILE, pseudonym::PseudonymKey, telesales::Contact,
    time::UtcMillis,
};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store,
    jobs::{Counts, RunError},
    projection::ProjectionTable,
    telesales::{
        CONSUMER,
        reconciliation::{AsOf, Limits, Source, SourceRow, reconcile},
        source::SqlView,
    },
};

/// Time kept for the page at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 30_000;
/// Of a hundred contacts a run deletes at most so many, unless the template says otherwise.
const DELETED_PERCENT: u32 = 5;
/// So many may go in any case.
const DELETED_AT_LEAST: u64 = 10;
/// The failure of a job that has nothing to compare with.
const UNSET: &str = "origem_nao_configurada";

/// Where the company's customers are.
pub enum Origin {
    /// A view of the company's database.
    View(SqlView),
    /// A file that the company writes.
    File(SnapshotFile),
    /// Nobody said where.
    Unset,
}

/// An origin that is being read.
enum Reading<'a> {
    View(&'a SqlView),
    File(Box<Snapshot<'a>>),
    Unset,
}

/// How much a run may delete, by `RECONCILE_MAX_DELETED_PERCENT`.
///
/// # Errors
/// When it is no whole number from 0 to 100.
pub fn limits(percent: Option<&str>) -> Result<Limits, &'static str> {
    let percent = match percent {
        None => DELETED_PERCENT,
        Some(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .ok_or("RECONCILE_MAX_DELETED_PERCENT must be a whole number from 0 to 100")?,
    };
    Ok(Limits {
        deleted_percent: percent,
        deleted_at_least: DELETED_AT_LEAST,
    })
}

impl Source for Reading<'_> {
    async fn as_of(&mut self, began: UtcMillis) -> Result<AsOf, &'static str> {
        match self {
            Self::View(view) => view.as_of(began).await,
            Self::File(snapshot) => snapshot.as_of(began).await,
            Self::Unset => Err(UNSET),
        }
    }

    async fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        match self {
            Self::View(view) => view.page(after, limit).await,
            Self::File(snapshot) => snapshot.page(after, limit).await,
            Self::Unset => Err(UNSET),
        }
    }
}

/// The handler of the schedule.
pub struct ReconcileCustomers {
    table: ProjectionTable<Contact>,
    pseudonyms: PseudonymKey,
    origin: Origin,
    limits: Limits,
    clock: fn() -> UtcMillis,
}

impl ReconcileCustomers {
    /// Compares database 2 in `store` with `origin`; `clock` tells how much time is left.
    #[must_use]
    pub fn new(
        store: Store,
        pseudonyms: PseudonymKey,
        origin: Origin,
        limits: Limits,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            table: ProjectionTable::new(store, pseudonyms.clone(), CONSUMER),
            pseudonyms,
            origin,
            limits,
            clock,
        }
    }
}

impl Handler for ReconcileCustomers {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let mut source = match &self.origin {
            Origin::View(view) => Reading::View(view),
            Origin::File(file) => Reading::File(Box::new(file.open(self.clock))),
            Origin::Unset => Reading::Unset,
        };
        let date = (run.date, run.again);
        let (table, pseudonyms) = (&self.table, &self.pseudonyms);
        let outcome = reconcile(table, pseudonyms, &mut source, self.limits, date, &attempt).await;
        count(&outcome);
        report(&TELESALES_RECONCILE, run, outcome)
    }
}

fn count(outcome: &Result<Counts, RunError>) {
    match outcome {
        Ok(counts) => {
            for (name, metric) in [
                ("faltando", "ContactsMissing"),
                ("desatualizados", "ContactsStale"),
                ("sobrando", "ContactsExtra"),
            ] {
                metrics::count(metric, counts.get(name).copied().unwrap_or(0));
            }
        }
        Err(RunError::Outside(code)) => {
            tracing::error!(code, "the reconciliation was aborted; nothing was deleted");
            metrics::count("ReconcileAborted", 1);
        }
        Err(_) => {}
    }
}
