//! Wiring of create-promoter-vouchers.

use std::process::ExitCode;

use cold_start::{Need, ProcessEnvironment, SqlParts, keys};
use create_promoter_vouchers::{CompanySystem, Confirmation, CreatePromoterVouchers};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("create-promoter-vouchers", async || {
        let process = ProcessEnvironment::current();
        let url = process.get("COMPLETED_TRIPS_URL");
        let token = url.map(|_| Need::Required(keys::COMPLETED_TRIPS_TOKEN));
        let parts = SqlParts::open(token.as_slice()).await?;
        let confirmation = match url {
            Some(url) => {
                let token = parts.secrets.text(keys::COMPLETED_TRIPS_TOKEN)?;
                Confirmation::Asked(CompanySystem::new(url, token.expose())?)
            }
            None => Confirmation::Trusted,
        };
        let announcer = parts.announcer();
        let clock = lambda_kit::clock::now;
        Ok((
            announcer,
            CreatePromoterVouchers::new(parts.store, confirmation, clock),
        ))
    })
    .await
}
