//! Sales files into the lake: one object, one load.
//!
//! A load reads the file once, sorts it, decides by rank which orders are its own, writes new files
//! and those that lose lines anew, and makes them visible in the transaction that ends it. Cut off
//! anywhere it left the old state or the new one, and the next event for the same file version goes
//! on or finds it done.

mod commit;
mod fill;
mod intake;
mod limits;
mod load;
mod owners;
mod place;
mod report;
mod settings;

use domain::time::UtcMillis;
use files::Files;
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    s3::{Handler, ObjectCreated},
};
use sql_store::{Store, sales_loads::LoadStatus};

pub use limits::{BadLines, Bounds, MOST_PARQUET_ROWS, MOST_TEXT_BYTES};
pub use load::{LoadError, load};
pub use settings::{BadSetting, Settings};

/// Takes files that were put below `vendas/`.
pub struct LoadSales {
    store: Store,
    files: Files,
    settings: Settings,
    clock: fn() -> UtcMillis,
}

/// What a load works with.
#[derive(Clone)]
pub struct Parts {
    /// Database 1.
    pub store: Store,
    /// Where the sales files and the lake are.
    pub files: Files,
    /// What may be set.
    pub settings: Settings,
    /// Tells how much time is left.
    pub clock: fn() -> UtcMillis,
    /// When Lambda ends the process.
    pub deadline: UtcMillis,
}

impl LoadSales {
    /// Over database 1 and the files.
    #[must_use]
    pub const fn new(
        store: Store,
        files: Files,
        settings: Settings,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            store,
            files,
            settings,
            clock,
        }
    }
}

impl Handler for LoadSales {
    async fn handle(
        &self,
        object: &ObjectCreated,
        invocation: &Invocation,
    ) -> Result<(), InvocationFailed> {
        let parts = Parts {
            store: self.store.clone(),
            files: self.files.clone(),
            settings: self.settings.clone(),
            clock: self.clock,
            deadline: invocation.deadline,
        };
        match load(&parts, &object.bucket, &object.key).await {
            Ok(None) => {
                tracing::info!("there is no file of sales");
                Ok(())
            }
            Ok(Some(load)) => {
                let status = load.status.as_str();
                tracing::info!(load = load.id, status, "sales file taken");
                if load.status == LoadStatus::Refused {
                    metrics::count("SalesFilesRefused", 1);
                }
                metrics::count("SalesLinesQuarantined", load.counts.quarantined);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "sales file not loaded");
                Err(InvocationFailed::new(error.code()))
            }
        }
    }
}
