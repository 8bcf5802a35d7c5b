//! Wiring of ingest-customer-events.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use ingest_customer_events::IngestCustomerEvents;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("ingest-customer-events", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        let consumer = parts.consumer().await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        Ok((consumer, IngestCustomerEvents::new(parts.store, lake)))
    })
    .await
}
