//! Wiring of sync-customers.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use sync_customers::SyncCustomers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::kafka::run("sync-customers", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        Ok((parts.consumer().await?, SyncCustomers::new(parts.store)))
    })
    .await
}
