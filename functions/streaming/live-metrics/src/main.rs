//! Wiring of live-metrics.

use std::process::ExitCode;

use cold_start::SqlParts;
use live_metrics::LiveMetrics;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("live-metrics", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), LiveMetrics::new(parts.store)))
    })
    .await
}
