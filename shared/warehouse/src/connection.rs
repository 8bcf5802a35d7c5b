//! The connection. Redshift speaks PostgreSQL's protocol 3.0; what it lacks (ON CONFLICT, unique
//! keys) is not used.

use std::{str::FromStr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, Config, NoTls, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A frozen Lambda keeps dead sockets: they are noticed within this time.
const DEAD_AFTER: Duration = Duration::from_secs(15);

/// Whether the server must prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS with a certificate of a public authority, as Redshift has it.
    Required,
    /// TLS with a certificate of a public authority or of one of these (PEM).
    RequiredBy(&'static [u8]),
    /// What the URL says, without TLS; for a database on this machine.
    Never,
}

/// A failure of the warehouse. It holds a code and never a text of the server, which may quote data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarehouseError {
    /// The URL can't be read; it is not quoted.
    #[error("must be redshift://user:password@host:5439/database")]
    Url,
    /// The certificates of the public authorities can't be used.
    #[error("TLS can't be set up")]
    Tls,
    /// No connection, or it broke.
    #[error("the warehouse does not answer")]
    Unreachable,
    /// The server refused a statement, with this SQLSTATE.
    #[error("the warehouse refused a statement: SQLSTATE {0}")]
    Refused(String),
    /// A sum beyond what an i64 holds, or a column of another type.
    #[error("the warehouse answered what is no {0}")]
    Answer(&'static str),
    /// The load step failed, for a reason of its own.
    #[error("the load step failed: {0}")]
    Load(&'static str),
}

impl From<tokio_postgres::Error> for WarehouseError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if *code != SqlState::ADMIN_SHUTDOWN => {
                Self::Refused(code.code().to_owned())
            }
            _ => Self::Unreachable,
        }
    }
}

/// The warehouse, connected when it is first asked and again after a connection broke.
pub struct Warehouse {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    client: Mutex<Option<Client>>,
}

impl Warehouse {
    /// From a URL such as `redshift://user:password@host:5439/database`; nothing is connected yet.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn open(url: &str, tls: Tls) -> Result<Self, WarehouseError> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(WarehouseError::Url)?;
        if !["redshift", "postgresql", "postgres"].contains(&scheme) {
            return Err(WarehouseError::Url);
        }
        let mut config =
            Config::from_str(&format!("postgresql://{rest}")).map_err(|_| WarehouseError::Url)?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(WarehouseError::Url);
        }
        config
            .application_name("feira")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(DEAD_AFTER);
        let tls = match tls {
            Tls::Required => Some(&[][..]),
            Tls::RequiredBy(authorities) => Some(authorities),
            Tls::Never => None,
        };
        let tls = match tls {
            Some(authorities) => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(trusted(authorities)?))
            }
            None => None,
        };
        Ok(Self {
            config,
            tls,
            client: Mutex::new(None),
        })
    }

    /// The connection, for as long as the guard is held.
    pub(crate) async fn client(&self) -> Result<ClientGuard<'_>, WarehouseError> {
        let mut client = self.client.lock().await;
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = Some(self.connect().await?);
        }
        Ok(ClientGuard(client))
    }

    async fn connect(&self) -> Result<Client, WarehouseError> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                tokio::spawn(connection);
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// A connected client.
pub(crate) struct ClientGuard<'a>(MutexGuard<'a, Option<Client>>);

impl ClientGuard<'_> {
    pub(crate) fn get(&mut self) -> Result<&mut Client, WarehouseError> {
        self.0.as_mut().ok_or(WarehouseError::Unreachable)
    }
}

/// The public authorities, and those of a PEM text.
fn trusted(authorities: &[u8]) -> Result<ClientConfig, WarehouseError> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        let authority = authority.map_err(|_| WarehouseError::Tls)?;
        roots.add(authority).map_err(|_| WarehouseError::Tls)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| WarehouseError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_database_and_is_never_quoted() {
        for url in [
            "redshift://ana:s3nha@example.com:5439/vendas",
            "postgresql://ana:s3nha@127.0.0.1/vendas",
        ] {
            for tls in [Tls::Required, Tls::Never] {
                assert!(Warehouse::open(url, tls).is_ok());
            }
        }
        for url in [
            "",
            "mysql://ana:s3nha@example.com/vendas",
            "redshift://ana:s3nha@example.com",
            "redshift://ana:s3nha@example.com:porta/vendas",
        ] {
            let refused = Warehouse::open(url, Tls::Required).err().unwrap();
            assert!(!refused.to_string().contains("s3nha"), "{url}");
        }
    }
}
