//! Wiring of load-sales.

use std::process::ExitCode;

use cold_start::SqlParts;
use load_sales::{LoadSales, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::s3::run("load-sales", async || {
        let parts = SqlParts::open(&[]).await?;
        let settings = Settings::read(|name| parts.process.get(name))?;
        let files = parts.files()?;
        let clock = lambda_kit::clock::now;
        Ok(((), LoadSales::new(parts.store, files, settings, clock)))
    })
    .await
}
