//! Wiring of set-promoters.

use std::process::ExitCode;

use cold_start::SqlParts;
use set_promoters::SetPromoters;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("set-promoters", async || {
        let parts = SqlParts::open(&[]).await?;
        let clock = lambda_kit::clock::now;
        Ok(((), SetPromoters::new(parts.store, clock)))
    })
    .await
}
