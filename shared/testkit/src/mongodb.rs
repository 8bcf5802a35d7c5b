//! A FerretDB that stands in for MongoDB.
use std::env;
use std::net::{TcpListener, TcpStream};

use crate::{parts, services::unique};

const URI: &str = "FEIRA_MONGODB_URI";

/// The URI of an empty database of this test's own on the server of `FEIRA_MONGODB_URI`, or `None`
/// (and a line in the parts file) where that is unset.
///
/// # Panics
/// Where the variable is set and nothing takes connections there.
#[must_use]
pub fn mongodb() -> Option<String> {
    let Ok(server) = env::var(URI) else {
        parts::missing("FerretDB");
        return None;
    };
    let server = server.trim_end_matches('/');
    let address = server.trim_start_matches("mongodb://");
    let answers = TcpStream::connect(address).is_ok();
    assert!(answers, "the server of {URI} takes no connections");
    parts::took_part("FerretDB");
    Some(format!("{server}/feira_{}", unique()))
}

/// A URI with this user and password at which nothing listens.
///
/// # Panics
/// Where the machine has no free port.
#[must_use]
pub fn unreachable_mongodb(user: &str, password: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    format!("mongodb://{user}:{password}@{address}/feira")
}
