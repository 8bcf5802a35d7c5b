//! The URL of a SQL database as Python companies write it for SQLAlchemy.
//!
//! Read as SQLAlchemy's `make_url` does: user and password are percent-decoded, a `%` that starts
//! no escape stands for itself, and a password may hold any raw character. Beyond that, a raw `@`
//! in the password is understood wherever the rest leaves no doubt.

use std::path::{Path, PathBuf};

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::secret::Secret;

/// MySQL's port.
const DEFAULT_PORT: u16 = 3306;

/// What MySQL calls the ways to use TLS.
const TLS_MODES: [&str; 5] = [
    "DISABLED",
    "PREFERRED",
    "REQUIRED",
    "VERIFY_CA",
    "VERIFY_IDENTITY",
];

/// How drivers spell the parameter that chooses one of them.
const TLS_MODE_NAMES: [&str; 3] = ["ssl_mode", "ssl-mode", "sslmode"];

/// How drivers spell the parameter that names a file of certificate authorities.
const TLS_CA_NAMES: [&str; 3] = ["ssl_ca", "ssl-ca", "sslca"];

/// What a path must not hold as it is within a URL.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// Where a database is. `Debug` shows the kind only.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// MySQL or MariaDB.
    MySql(MySqlAddress),
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// A MySQL or MariaDB database. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct MySqlAddress {
    host: String,
    port: u16,
    user: String,
    password: Secret,
    database: String,
    parameters: Vec<(String, String)>,
}

/// What is wrong with a database URL; completes a sentence that begins with the key's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// There is no `://`, or the scheme is another.
    #[error("must start with mysql+aiomysql://, mysql:// or sqlite://")]
    Scheme,
    /// There is no host.
    #[error("names no host: mysql://user:password@host:3306/name")]
    Host,
    /// There is no user.
    #[error("names no user: mysql://user:password@host:3306/name")]
    User,
    /// The port is no number up to 65535.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// There is no database name.
    #[error("names no database after the host: mysql://user:password@host:3306/name")]
    Database,
    /// Escapes that are no UTF-8.
    #[error("has percent escapes that are no UTF-8")]
    Encoding,
    /// An `ssl_mode` that MySQL does not know.
    #[error(
        "has an ssl_mode that is none of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY"
    )]
    TlsMode,
    /// A SQLite URL without a file, or in memory.
    #[error("names no file: several processes share the database, so it cannot be in memory")]
    File,
    /// SQLite in prod.
    #[error("must be a MySQL database when STAGE is prod; SQLite serves one machine")]
    SqliteInProd,
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// `mysql`, `mariadb` and `sqlite` with any driver (`mysql+aiomysql`) are accepted. As in
    /// SQLAlchemy, `sqlite:///a.db` is relative to the working directory and `sqlite:////a.db`
    /// absolute; `sqlite://a.db` is relative too.
    ///
    /// # Errors
    /// [`DatabaseUrlError`] with what is wrong; it quotes nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = url
            .trim()
            .split_once("://")
            .ok_or(DatabaseUrlError::Scheme)?;
        let dialect = scheme
            .split_once('+')
            .map_or(scheme, |(dialect, _driver)| dialect);
        match dialect.to_ascii_lowercase().as_str() {
            "mysql" | "mariadb" => MySqlAddress::parse(rest).map(Self::MySql),
            "sqlite" => parse_sqlite(rest).map(Self::Sqlite),
            _ => Err(DatabaseUrlError::Scheme),
        }
    }

    /// The URL in the one form that every MySQL or SQLite driver reads: all escapes written out.
    #[must_use]
    pub fn connection_url(&self) -> Secret {
        match self {
            Self::MySql(address) => address.connection_url(),
            Self::Sqlite(path) => {
                let path = path.to_string_lossy();
                let path = utf8_percent_encode(&path, NOT_IN_A_PATH);
                Secret::new(format!("sqlite://{path}?mode=rwc"))
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::MySql(_) => "DatabaseUrl(MySql, redacted)",
            Self::Sqlite(_) => "DatabaseUrl(Sqlite, redacted)",
        })
    }
}

impl MySqlAddress {
    fn parse(rest: &str) -> Result<Self, DatabaseUrlError> {
        let (userinfo, rest) = split_userinfo(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_host(authority)?;
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        if user.is_empty() {
            return Err(DatabaseUrlError::User);
        }
        if database.is_empty() || database.contains('/') {
            return Err(DatabaseUrlError::Database);
        }
        let parameters = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            });
        let address = Self {
            host: host.to_owned(),
            port,
            user: decode(user)?,
            password: Secret::new(decode(password)?),
            database: decode(database)?,
            parameters: parameters.collect::<Result<_, DatabaseUrlError>>()?,
        };
        match address.tls_mode() {
            Some(mode) if !TLS_MODES.contains(&mode.as_str()) => Err(DatabaseUrlError::TlsMode),
            _ => Ok(address),
        }
    }

    /// The host, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 3306 when the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, decoded; empty when the URL has none.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the URL itself says how to use TLS; otherwise that is for the stage to say.
    #[must_use]
    pub fn says_how_to_use_tls(&self) -> bool {
        self.tls_mode().is_some()
    }

    /// The mode that is named; a file of authorities alone means that the server must prove itself.
    fn tls_mode(&self) -> Option<String> {
        let named = TLS_MODE_NAMES.iter().find_map(|name| self.parameter(name));
        let implied = self.tls_ca().map(|_| "VERIFY_IDENTITY");
        named.or(implied).map(str::to_ascii_uppercase)
    }

    fn tls_ca(&self) -> Option<&str> {
        TLS_CA_NAMES.iter().find_map(|name| self.parameter(name))
    }

    /// A parameter after the `?`, such as `charset`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self
            .parameters
            .iter()
            .find(|(candidate, _)| candidate == name);
        found.map(|(_, value)| value.as_str())
    }

    fn connection_url(&self) -> Secret {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let mut url = format!(
            "mysql://{}:{}@{host}:{}/{}",
            encode(&self.user),
            encode(self.password.expose()),
            self.port,
            encode(&self.database),
        );
        if let Some(mode) = self.tls_mode() {
            url.push_str("?ssl-mode=");
            url.push_str(&mode);
        }
        if let Some(authorities) = self.tls_ca() {
            url.push_str("&ssl-ca=");
            url.push_str(&encode(authorities));
        }
        Secret::new(url)
    }
}

impl std::fmt::Debug for MySqlAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MySqlAddress(redacted)")
    }
}

/// Splits `user:password@` off.
///
/// SQLAlchemy ends the password at the first `@`. Where more follow before the `?`, that reading
/// would leave an `@` in the host or the database's name, so the last of them is meant.
fn split_userinfo(rest: &str) -> (&str, &str) {
    let Some((first, tail)) = rest.split_once('@') else {
        return ("", rest);
    };
    let before_query = tail.split_once('?').map_or(tail, |(before, _query)| before);
    match before_query.rfind('@') {
        None => (first, tail),
        Some(last) => {
            let end = first.len() + 1 + last;
            (
                rest.get(..end).unwrap_or(first),
                rest.get(end + 1..).unwrap_or(tail),
            )
        }
    }
}

fn split_host(authority: &str) -> Result<(&str, u16), DatabaseUrlError> {
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(DatabaseUrlError::Host)?;
        (host, after.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(DatabaseUrlError::Host);
    }
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(text) => text.parse().map_err(|_| DatabaseUrlError::Port)?,
    };
    if port == 0 {
        Err(DatabaseUrlError::Port)
    } else {
        Ok((host, port))
    }
}

/// Decodes as Python's `unquote` does: `%` before anything but two hex digits stands for itself.
fn decode(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| DatabaseUrlError::Encoding)?;
    Ok(decoded.into_owned())
}

fn parse_sqlite(rest: &str) -> Result<PathBuf, DatabaseUrlError> {
    let path = rest.split_once('?').map_or(rest, |(path, _query)| path);
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() || path.contains(":memory:") || path.ends_with('/') {
        return Err(DatabaseUrlError::File);
    }
    Ok(Path::new(path).to_path_buf())
}
