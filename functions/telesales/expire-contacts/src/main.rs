//! Wiring of expire-contacts.

use std::process::ExitCode;

use cold_start::{DatabaseName, SqlParts};
use expire_contacts::ExpireContacts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("expire-contacts", async || {
        let parts = SqlParts::open_on(DatabaseName::Telesales, &[]).await?;
        let clock = lambda_kit::clock::now;
        Ok(((), ExpireContacts::new(parts.store, clock)))
    })
    .await
}
