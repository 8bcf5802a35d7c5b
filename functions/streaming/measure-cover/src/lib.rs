//! Each night: units of each product sold in the 28 days before, from the sales, into database 1.
//! A stock that lasts too few days by them alerts. Doing a date again changes nothing.

use domain::{
    sales::{Grouping, Question},
    stock::{Change, Limits, SALES_DAYS},
    time::{Day, UtcMillis},
};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sales_answers::SalesSource;
use serde::Serialize;
use sql_store::{
    Store, StoreError,
    stock::{note_sales, sold_before},
};

/// Left of Lambda's time when no further product is begun, in milliseconds.
const RESERVE_MS: i64 = 15_000;
/// Products without sales that are asked for at once.
const BATCH: u32 = 500;

/// The handler of the schedule.
pub struct MeasureCover<S> {
    store: Store,
    source: S,
    usual: Limits,
    clock: fn() -> UtcMillis,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Products that sold something.
    pub vendidos: u64,
    /// Products that had sold something before, and nothing any more.
    pub parados: u64,
    /// Alerts that began.
    pub alertas: u64,
}

impl<S: SalesSource> MeasureCover<S> {
    /// Asks `source`; `usual` says what is low, `clock` how much time is left.
    #[must_use]
    pub const fn new(store: Store, source: S, usual: Limits, clock: fn() -> UtcMillis) -> Self {
        Self {
            store,
            source,
            usual,
            clock,
        }
    }

    /// Sales of the days before `date`; none before any sale was loaded.
    async fn sold(&self, date: Day) -> Result<Vec<(String, i64)>, InvocationFailed> {
        let failed = |_| InvocationFailed::new("sales_unreachable");
        let Some(newest) = self.source.newest().await.map_err(failed)? else {
            return Ok(Vec::new());
        };
        let first = (0..SALES_DAYS).fold(date, |day, _| day.previous());
        let question = Question {
            grouping: Grouping::Product,
            from: Some(first),
            to: Some(date.previous()),
            region: None,
            category: None,
            product: None,
        };
        let groups = self.source.answer(newest.id, &question).await;
        let groups = groups.map_err(failed)?.into_iter();
        Ok(groups
            .filter_map(|group| Some((group.key?, group.sums.quantity.max(0))))
            .collect())
    }

    async fn note(
        &self,
        product: &str,
        sold: i64,
        date: Day,
        deadline: UtcMillis,
    ) -> Result<bool, InvocationFailed> {
        let now = (self.clock)();
        if now.plus_millis(RESERVE_MS) >= deadline {
            return Err(InvocationFailed::new("out_of_time"));
        }
        let change = note_sales(&self.store, product, sold, date, self.usual, now).await;
        Ok(matches!(change.map_err(failure)?, Change::BecameLow(_)))
    }
}

impl<S: SalesSource> Handler for MeasureCover<S> {
    type Answer = Measured;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<Measured, InvocationFailed> {
        let mut measured = Measured::default();
        let (date, deadline) = (run.date, invocation.deadline);
        for (product, sold) in self.sold(date).await? {
            let alerts = self.note(&product, sold, date, deadline).await?;
            measured.vendidos += 1;
            measured.alertas += u64::from(alerts);
        }
        loop {
            let idle = sold_before(&self.store, date, BATCH).await;
            let idle = idle.map_err(failure)?;
            if idle.is_empty() {
                break;
            }
            for product in idle {
                let alerts = self.note(&product, 0, date, deadline).await?;
                measured.parados += 1;
                measured.alertas += u64::from(alerts);
            }
        }
        metrics::count(
            "StockAlerts",
            i64::try_from(measured.alertas).unwrap_or(i64::MAX),
        );
        Ok(measured)
    }
}

fn failure(error: StoreError) -> InvocationFailed {
    InvocationFailed::new(error.to_string())
}
