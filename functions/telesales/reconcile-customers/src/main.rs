//! Wiring of reconcile-customers.

use std::process::ExitCode;

use cold_start::{DatabaseName, Need, SqlParts, keys};
use domain::pseudonym::PseudonymKey;
use lambda_kit::StartError;
use reconcile_customers::{Origin, ReconcileCustomers, SnapshotFile, limits};
use sql_store::telesales::source::SqlView;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("reconcile-customers", async || {
        let needs = [
            Need::Required(keys::TELESALES_PSEUDONYM_KEY),
            Need::Optional(keys::TELESALES_SOURCE_URL),
        ];
        let parts = SqlParts::open_on(DatabaseName::Telesales, &needs).await?;
        let origin = origin(&parts).await?;
        let limits = limits(parts.process.get("RECONCILE_MAX_DELETED_PERCENT"))?;
        let key = parts.secrets.key_bytes(keys::TELESALES_PSEUDONYM_KEY)?;
        let pseudonyms = PseudonymKey::new(key.expose())?;
        let clock = lambda_kit::clock::now;
        let job = ReconcileCustomers::new(parts.store, pseudonyms, origin, limits, clock);
        Ok(((), job))
    })
    .await
}

/// The view where its query and its URL are set, else the file where one is named.
async fn origin(parts: &SqlParts) -> Result<Origin, StartError> {
    let query = parts.process.get("RECONCILE_QUERY");
    let view = parts.foreign_store(keys::TELESALES_SOURCE_URL).await?;
    if let (Some(query), Some(store)) = (query, view) {
        return Ok(Origin::View(SqlView::new(
            store,
            query,
            lambda_kit::clock::now,
        )?));
    }
    match parts.process.get("RECONCILE_FILE") {
        Some(place) => Ok(Origin::File(SnapshotFile::new(parts.files()?, place)?)),
        None => Ok(Origin::Unset),
    }
}
