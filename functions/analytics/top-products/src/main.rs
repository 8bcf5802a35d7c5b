//! Wiring of top-products.

use std::process::ExitCode;

use cold_start::SqlParts;
use sales_answers::{ChosenSource, NEEDS};
use top_products::TopProducts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("top-products", async || {
        let parts = SqlParts::open(&NEEDS).await?;
        Ok(((), TopProducts::new(ChosenSource::open(&parts)?)))
    })
    .await
}
