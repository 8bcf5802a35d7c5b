//! Wiring of sync-customers.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, documents_need, keys};
use documents::Documents;
use sync_customers::SyncCustomers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::kafka::run("sync-customers", async || {
        let own = Some(Need::Required(keys::DEAD_LETTER_KEY));
        let needs: Vec<Need> = own.into_iter().chain(documents_need()).collect();
        let parts = SqlParts::open(&needs).await?;
        let consumer = parts.consumer().await?;
        let documents = Documents::open(parts.store, &parts.secrets).await?;
        Ok((consumer, SyncCustomers::new(documents)))
    })
    .await
}
