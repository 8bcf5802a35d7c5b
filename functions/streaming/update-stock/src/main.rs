//! Wiring of update-stock.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys, stock_limits};
use lake::Lake;
use update_stock::UpdateStock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("update-stock", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        let consumer = parts.consumer().await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let usual = stock_limits(&parts.process)?;
        Ok((consumer, UpdateStock::new(parts.store, lake, usual)))
    })
    .await
}
