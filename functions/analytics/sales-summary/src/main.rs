//! Wiring of sales-summary.

use std::process::ExitCode;

use cold_start::SqlParts;
use sales_answers::{ChosenSource, NEEDS};
use sales_summary::SalesSummary;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("sales-summary", async || {
        let parts = SqlParts::open(&NEEDS).await?;
        Ok(((), SalesSummary::new(ChosenSource::open(&parts)?)))
    })
    .await
}
