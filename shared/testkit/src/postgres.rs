//! A PostgreSQL that stands in for Redshift's protocol.
use std::env;

use crate::parts;

const URL: &str = "FEIRA_POSTGRES_URL";

/// The URL of the PostgreSQL of the run, `postgresql://user@host:port/postgres`, or `None` (and a
/// line in the parts file) where `FEIRA_POSTGRES_URL` is unset. Tests that write make a schema of
/// their own.
#[must_use]
pub fn postgres() -> Option<String> {
    match env::var(URL) {
        Ok(url) => {
            parts::took_part("PostgreSQL");
            Some(url)
        }
        Err(_) => {
            parts::missing("PostgreSQL");
            None
        }
    }
}
