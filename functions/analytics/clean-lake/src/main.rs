//! Wiring of clean-lake.

use std::process::ExitCode;

use clean_lake::CleanLake;
use cold_start::SqlParts;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("clean-lake", async || {
        let parts = SqlParts::open(&[]).await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let job = CleanLake::new(parts.store, lake, lambda_kit::clock::now);
        Ok(((), job))
    })
    .await
}
