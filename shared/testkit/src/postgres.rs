//! A PostgreSQL that stands in for Redshift's protocol.
use std::env;

use tokio_postgres::NoTls;

use crate::{parts, services::unique};

const URL: &str = "FEIRA_POSTGRES_URL";

/// The URL of an empty schema of this test's own in the PostgreSQL of `FEIRA_POSTGRES_URL`, or `None`
/// (and a line in the parts file) where that is unset.
///
/// # Panics
/// Where the variable is set and the server does not answer or refuses the schema.
pub async fn postgres_schema() -> Option<String> {
    let Ok(url) = env::var(URL) else {
        parts::missing("PostgreSQL");
        return None;
    };
    let name = format!("feira_{}", unique());
    let connected = tokio_postgres::connect(&url, NoTls).await;
    let (client, connection) = connected.expect("the server of FEIRA_POSTGRES_URL answers");
    tokio::spawn(connection);
    let create = format!("CREATE SCHEMA {name}");
    let created = client.batch_execute(&create).await;
    created.expect("the server of FEIRA_POSTGRES_URL makes a schema");
    parts::took_part("PostgreSQL");
    Some(format!("{url}?options=-csearch_path%3D{name}"))
}

/// Redshift's CREATE TABLE as PostgreSQL takes it: what stands after the columns, distribution and
/// sort keys, is Redshift's own.
///
/// # Panics
/// Where the columns have no end.
#[must_use]
pub fn without_redshift_keys(create_table: &str) -> String {
    let (columns, _) = create_table
        .split_once("\n)")
        .expect("the columns end with a parenthesis on a line of its own");
    format!("{columns}\n)")
}
