//! Opening MongoDB.

use std::time::Duration;

use mongodb::{
    Client, Database,
    error::ErrorKind,
    options::{ClientOptions, Tls, TlsOptions, WriteConcern},
};
use secrets::Stage;

/// The database where the URI names none.
const DATABASE: &str = "feira";
/// How long a call waits for a server that takes it, and a server for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A frozen Lambda keeps dead sockets: one that was idle for longer is not used again.
const TRUSTED_IDLE: Duration = Duration::from_secs(60);
/// A Lambda handles one event at a time; the driver's monitors have connections of their own.
const CONNECTIONS: u32 = 2;

/// What is wrong with MONGODB_URI; it quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It is none, or has an option that the driver doesn't know.
    #[error(
        "MONGODB_URI must be mongodb://user:password@host/database or mongodb+srv://…, with what is \
         special in user and password written as %XX"
    )]
    Unreadable,
    /// With `mongodb+srv://` the servers are asked of DNS, which didn't tell.
    #[error("MONGODB_URI names by mongodb+srv what DNS doesn't know, or DNS is not reachable")]
    Unresolved,
}

/// The database of the URI; nothing is connected yet.
pub(crate) async fn database(uri: &str, stage: Stage) -> Result<Database, UriError> {
    let parsed = ClientOptions::parse(uri).await;
    let mut options = parsed.map_err(|error| match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => UriError::Unresolved,
        _ => UriError::Unreadable,
    })?;
    options.server_selection_timeout = Some(CONNECT_LIMIT);
    options.connect_timeout = Some(CONNECT_LIMIT);
    options.max_idle_time = Some(TRUSTED_IDLE);
    options.max_pool_size = Some(CONNECTIONS);
    options.min_pool_size = None;
    // What was acknowledged must outlive the server that did.
    options.write_concern = Some(WriteConcern::majority());
    if stage == Stage::Prod && options.tls.is_none() {
        options.tls = Some(Tls::Enabled(TlsOptions::default()));
    }
    let name = options.default_database.clone();
    let client = Client::with_options(options).map_err(|_| UriError::Unreadable)?;
    Ok(client.database(name.as_deref().unwrap_or(DATABASE)))
}
