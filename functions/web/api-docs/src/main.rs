//! Wiring of api-docs.

use std::process::ExitCode;

use api_docs::ApiDocs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("api-docs", async || Ok(((), ApiDocs))).await
}
