//! Wiring of sync-warehouse.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use sync_warehouse::{CopyByManifest, SyncWarehouse};
use warehouse::{Tls, Warehouse};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("sync-warehouse", async || {
        let parts = SqlParts::open(&[Need::Required(keys::REDSHIFT_URL)]).await?;
        let url = parts.secrets.text(keys::REDSHIFT_URL)?;
        let warehouse = Warehouse::open(url.expose(), Tls::Required)
            .map_err(|error| format!("REDSHIFT_URL {error}"))?;
        let step = CopyByManifest {
            files: parts.files()?,
            bucket: parts.variable("SALES_BUCKET")?.to_owned(),
            role: parts.variable("REDSHIFT_COPY_ROLE")?.to_owned(),
        };
        let clock = lambda_kit::clock::now;
        Ok(((), SyncWarehouse::new(parts.store, warehouse, step, clock)))
    })
    .await
}
