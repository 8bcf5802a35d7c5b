//! Wiring of compact-lake.

use std::process::ExitCode;

use cold_start::SqlParts;
use compact_lake::CompactLake;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("compact-lake", async || {
        let parts = SqlParts::open(&[]).await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let clock = lambda_kit::clock::now;
        Ok(((), CompactLake::new(parts.store, lake, clock)))
    })
    .await
}
