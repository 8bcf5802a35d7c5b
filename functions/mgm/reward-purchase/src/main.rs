//! Wiring of reward-purchase.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use domain::mgm::attribution::SigningKey;
use reward_purchase::RewardPurchase;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::sqs::run("reward-purchase", async || {
        let needs = [
            Need::Required(keys::REF_SIGNING_KEY),
            Need::Required(keys::DEAD_LETTER_KEY),
        ];
        let parts = SqlParts::open(&needs).await?;
        let consumer = parts.consumer().await?;
        let key = parts.secrets.key_bytes(keys::REF_SIGNING_KEY)?;
        let signing_key = SigningKey::new(key.expose())?;
        Ok((consumer, RewardPurchase::new(parts.store, signing_key)))
    })
    .await
}
