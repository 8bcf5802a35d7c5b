//! Wiring of most-viewed.

use std::process::ExitCode;

use cold_start::SqlParts;
use most_viewed::MostViewed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("most-viewed", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), MostViewed::new(parts.store)))
    })
    .await
}
