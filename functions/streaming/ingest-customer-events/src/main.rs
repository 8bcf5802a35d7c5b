//! Wiring of ingest-customer-events.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, documents_need, keys};
use documents::Documents;
use ingest_customer_events::IngestCustomerEvents;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("ingest-customer-events", async || {
        let own = Some(Need::Required(keys::DEAD_LETTER_KEY));
        let needs: Vec<Need> = own.into_iter().chain(documents_need()).collect();
        let parts = SqlParts::open(&needs).await?;
        let consumer = parts.consumer().await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let documents = Documents::open(parts.store.clone(), &parts.secrets).await?;
        let handler = IngestCustomerEvents::new(parts.store, documents, lake);
        Ok((consumer, handler))
    })
    .await
}
