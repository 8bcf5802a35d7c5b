//! Wiring of project-customer.

use std::process::ExitCode;

use cold_start::{DatabaseName, Need, SqlParts, keys};
use contracts::{changes::Shape, telesales::Telesales};
use domain::pseudonym::PseudonymKey;
use project_customer::project_customer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::kafka::run("project-customer", async || {
        let needs = [
            Need::Required(keys::TELESALES_PSEUDONYM_KEY),
            Need::Required(keys::TELESALES_DEAD_LETTER_KEY),
        ];
        let parts = SqlParts::open_on(DatabaseName::Telesales, &needs).await?;
        let key = parts.secrets.key_bytes(keys::TELESALES_PSEUDONYM_KEY)?;
        let pseudonyms = PseudonymKey::new(key.expose())?;
        let mapping = parts.process.get("TELESALES_MAPPING").unwrap_or_default();
        let shape = Shape::parse::<Telesales>(mapping)?;
        let clock = lambda_kit::clock::now;
        let consumer = parts.consumer().await?;
        Ok((
            consumer,
            project_customer(parts.store, pseudonyms, shape, clock),
        ))
    })
    .await
}
