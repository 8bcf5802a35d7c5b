//! Wiring of report-stock.

use std::process::ExitCode;

use cold_start::SqlParts;
use report_stock::ReportStock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("report-stock", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), ReportStock::new(parts.store)))
    })
    .await
}
