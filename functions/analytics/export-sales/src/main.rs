//! Wiring of export-sales.

use std::process::ExitCode;

use cold_start::{Need, RDS_ROOTS, SqlParts, Stage, keys};
use export_sales::{ExportSales, Origin, PostgresQuery};
use lambda_kit::StartError;
use sql_store::sales_source::SalesQuery;
use warehouse::Tls;

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
    let url = parts.secrets.optional_text(keys::SALES_SOURCE_URL);
    if let Some(url) = url.filter(|url| is_postgres(url.expose())) {
        let tls = match parts.secrets.stage() {
            Stage::Prod => Tls::RequiredBy(RDS_ROOTS),
            Stage::Dev => Tls::Never,
        };
        let query = PostgresQuery::open(url.expose(), tls, query)?;
        return Ok(Origin::Postgres(Box::new(query)));
    }
    let store = parts.foreign_store(keys::SALES_SOURCE_URL).await?;
    let store = store.ok_or("SALES_QUERY needs the key SALES_SOURCE_URL")?;
    Ok(Origin::Query(SalesQuery::new(store, query)?))
}

fn is_postgres(url: &str) -> bool {
    ["postgresql://", "postgres://", "redshift://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}
