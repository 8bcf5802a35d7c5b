//! Wiring of set-promoters.

use std::process::ExitCode;

use cold_start::SqlParts;
use set_promoters::SetPromoters;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("set-promoters", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok((
            parts.announcer(),
            SetPromoters::new(parts.store, lambda_kit::clock::now),
        ))
    })
    .await
}
