//! Wiring of open-referral-link.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, Stage, keys};
use domain::mgm::attribution::SigningKey;
use domain::mgm::campaign::{Loopback, ShopUrl};
use open_referral_link::{ADDRESS_RATE, OpenReferralLink};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("open-referral-link", async || {
        let needs = [
            Need::Required(keys::REF_SIGNING_KEY),
            Need::Required(keys::PSEUDONYM_KEY),
        ];
        let parts = SqlParts::open(&needs).await?;
        let loopback = match parts.secrets.stage() {
            Stage::Dev => Loopback::Allowed,
            Stage::Prod => Loopback::Refused,
        };
        let default_shop = ShopUrl::parse(parts.variable("DEFAULT_SHOP_URL")?, loopback)
            .map_err(|invalid| format!("DEFAULT_SHOP_URL {invalid}"))?;
        let key = |key| -> Result<SigningKey, lambda_kit::StartError> {
            Ok(SigningKey::new(parts.secrets.key_bytes(key)?.expose())?)
        };
        let handler = OpenReferralLink {
            signing_key: key(keys::REF_SIGNING_KEY)?,
            pseudonym_key: key(keys::PSEUDONYM_KEY)?,
            store: parts.store,
            default_shop,
            address_rate: ADDRESS_RATE,
        };
        Ok(((), handler))
    })
    .await
}
