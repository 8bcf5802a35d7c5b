//! Wiring of redeem-voucher.

use std::process::ExitCode;

use cold_start::SqlParts;
use redeem_voucher::RedeemVoucher;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("redeem-voucher", async || {
        let parts = SqlParts::open(&[]).await?;
        Ok((parts.announcer(), RedeemVoucher::new(parts.store)))
    })
    .await
}
