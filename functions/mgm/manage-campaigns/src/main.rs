//! Wiring of manage-campaigns.

use std::process::ExitCode;

use cold_start::{SqlParts, Stage};
use domain::mgm::campaign::Loopback;
use manage_campaigns::ManageCampaigns;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("manage-campaigns", async || {
        let parts = SqlParts::open(&[]).await?;
        let loopback = match parts.secrets.stage() {
            Stage::Dev => Loopback::Allowed,
            Stage::Prod => Loopback::Refused,
        };
        Ok(((), ManageCampaigns::new(parts.store, loopback)))
    })
    .await
}
