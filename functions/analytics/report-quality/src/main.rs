//! Wiring of report-quality.

use std::process::ExitCode;

use cold_start::SqlParts;
use report_quality::ReportQuality;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("report-quality", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), ReportQuality::new(parts.store)))
    })
    .await
}
