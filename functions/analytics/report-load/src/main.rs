//! Wiring of report-load.

use std::process::ExitCode;

use cold_start::SqlParts;
use report_load::ReportLoad;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("report-load", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), ReportLoad::new(parts.store)))
    })
    .await
}
