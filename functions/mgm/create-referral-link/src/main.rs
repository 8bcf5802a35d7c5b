//! Wiring of create-referral-link.

use std::process::ExitCode;

use cold_start::SqlParts;
use create_referral_link::CreateReferralLink;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("create-referral-link", async || {
        let parts = SqlParts::open(&[]).await?;
        let base = parts.process.get("PUBLIC_BASE_URL").map(str::to_owned);
        Ok(((), CreateReferralLink::new(parts.store, base)))
    })
    .await
}
