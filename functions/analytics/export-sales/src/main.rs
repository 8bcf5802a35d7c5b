//! Wiring of export-sales.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, keys};
use export_sales::{ExportSales, Origin};
use lambda_kit::StartError;
use sql_store::sales_source::SalesQuery;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("export-sales", async || {
        let parts = SqlParts::open(&[Need::Optional(keys::SALES_SOURCE_URL)]).await?;
        let bucket = parts.variable("SALES_BUCKET")?.to_owned();
        let origin = origin(&parts).await?;
        let files = parts.files()?;
        let job = ExportSales::new(parts.store, files, bucket, origin, lambda_kit::clock::now);
        Ok(((), job))
    })
    .await
}

/// The company's query where it is set, else our own orders.
async fn origin(parts: &SqlParts) -> Result<Origin, StartError> {
    let Some(query) = parts.process.get("SALES_QUERY") else {
        return Ok(Origin::Orders);
    };
    let store = parts.foreign_store(keys::SALES_SOURCE_URL).await?;
    let store = store.ok_or("SALES_QUERY needs the key SALES_SOURCE_URL")?;
    Ok(Origin::Query(SalesQuery::new(store, query)?))
}
