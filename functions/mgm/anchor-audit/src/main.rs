//! Wiring of anchor-audit.

use std::process::ExitCode;

use anchor_audit::AnchorAudit;
use cold_start::SqlParts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("anchor-audit", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok(((), AnchorAudit::new(parts.store, lambda_kit::clock::now)))
    })
    .await
}
