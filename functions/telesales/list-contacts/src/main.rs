//! Wiring of list-contacts.

use std::process::ExitCode;

use cold_start::{DatabaseName, SqlParts};
use list_contacts::ListContacts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("list-contacts", async || {
        let parts = SqlParts::open_on(DatabaseName::Telesales, &[]).await?;
        Ok(((), ListContacts::new(parts.store)))
    })
    .await
}
