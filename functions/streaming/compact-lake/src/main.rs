//! Wiring of compact-lake.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, documents_need};
use compact_lake::CompactLake;
use documents::Documents;
use lake::Lake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("compact-lake", async || {
        let needs: Vec<Need> = documents_need().into_iter().collect();
        let parts = SqlParts::open(&needs).await?;
        let lake = Lake::new(parts.files()?, parts.variable("SALES_BUCKET")?);
        let clock = lambda_kit::clock::now;
        let documents = Documents::open(parts.store.clone(), &parts.secrets).await?;
        let handler = CompactLake::new(parts.store, documents, lake, clock);
        Ok(((), handler))
    })
    .await
}
