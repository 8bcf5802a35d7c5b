//! Wiring of authorize.

use std::process::ExitCode;

use authorize::{Settings, TokenAuthorizer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::authorizer::run("authorize", async || {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        Ok(TokenAuthorizer::new(settings)?)
    })
    .await
}
