//! Wiring of check-data-quality.

use std::process::ExitCode;

use check_data_quality::{CheckDataQuality, Plan};
use cold_start::SqlParts;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("check-data-quality", async || {
        let parts = SqlParts::open(&[]).await?;
        let plan = Plan::own()?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let job = CheckDataQuality::new(parts.store, lake, plan, lambda_kit::clock::now);
        Ok(((), job))
    })
    .await
}
