//! Wiring of issue-trip-voucher.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use issue_trip_voucher::IssueTripVoucher;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("issue-trip-voucher", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        let consumer = parts.consumer().await?;
        Ok((consumer, IssueTripVoucher::new(parts.store)))
    })
    .await
}
