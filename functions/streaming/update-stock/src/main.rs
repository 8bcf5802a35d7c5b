//! Wiring of update-stock.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys, stock_limits};
use update_stock::UpdateStock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("update-stock", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        let consumer = parts.consumer().await?;
        let usual = stock_limits(&parts.process)?;
        Ok((consumer, UpdateStock::new(parts.store, usual)))
    })
    .await
}
