//! Every key that is read anywhere, listed once; the names are the same in `.env` and in
//! Secrets Manager.

/// The secrets of Secrets Manager, by need: a role may read only those of its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretName {
    /// Database and keys that every part of the shop shares.
    App,
    /// Keys that sign tokens.
    Identity,
    /// Access to the payment provider.
    Payments,
    /// Database 2.
    Telesales,
    /// Who writes to Kafka.
    Kafka,
    /// The database of documents.
    Documents,
}

impl SecretName {
    /// The secret's name in sentences.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Identity => "identity",
            Self::Payments => "payments",
            Self::Telesales => "telesales",
            Self::Kafka => "kafka",
            Self::Documents => "documents",
        }
    }

    /// The environment variable that holds the secret's id or ARN.
    #[must_use]
    pub fn id_variable(self) -> &'static str {
        match self {
            Self::App => "APP_SECRET_ID",
            Self::Identity => "IDENTITY_SECRET_ID",
            Self::Payments => "PAYMENTS_SECRET_ID",
            Self::Telesales => "TELESALES_SECRET_ID",
            Self::Kafka => "KAFKA_SECRET_ID",
            Self::Documents => "DOCUMENTS_SECRET_ID",
        }
    }
}

/// The SQL databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseName {
    /// Database 1: the shop.
    Shop,
    /// Database 2: what telesales may know, with credentials of its own.
    Telesales,
}

impl DatabaseName {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Shop, Self::Telesales];

    /// The key of its URL in dev; without it the embedded SQLite file.
    #[must_use]
    pub const fn local_key(self) -> Key {
        match self {
            Self::Shop => keys::DATABASE_URL_LOCAL,
            Self::Telesales => keys::TELESALES_DATABASE_URL_LOCAL,
        }
    }

    /// The key of its URL in prod with ENVIRONMENT=development.
    #[must_use]
    pub const fn development_key(self) -> Key {
        match self {
            Self::Shop => keys::DATABASE_URL_DEV,
            Self::Telesales => keys::TELESALES_DATABASE_URL_DEV,
        }
    }

    /// The key of its URL in prod with ENVIRONMENT=production.
    #[must_use]
    pub const fn production_key(self) -> Key {
        match self {
            Self::Shop => keys::DATABASE_URL_LIVE,
            Self::Telesales => keys::TELESALES_DATABASE_URL_LIVE,
        }
    }

    /// The embedded file in the state folder.
    #[must_use]
    pub const fn embedded_file(self) -> &'static str {
        match self {
            Self::Shop => "banco1.sqlite",
            Self::Telesales => "banco2.sqlite",
        }
    }

    /// The database whose URL this key holds.
    pub(crate) fn of_key(key: Key) -> Option<Self> {
        Self::ALL.into_iter().find(|name| {
            [
                name.local_key(),
                name.development_key(),
                name.production_key(),
            ]
            .contains(&key)
        })
    }
}

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text that is not empty.
    Text,
    /// At least 32 bytes in base64.
    KeyBytes,
    /// The URL of a SQL database.
    DatabaseUrl,
}

/// A key: its name, the secret that holds it in prod, and its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name in `.env` and in the secret's JSON object.
    pub name: &'static str,
    /// The secret that holds it.
    pub secret: SecretName,
    /// What its value must look like.
    pub shape: Shape,
}

impl Key {
    const fn new(name: &'static str, secret: SecretName, shape: Shape) -> Self {
        Self {
            name,
            secret,
            shape,
        }
    }
}

/// The keys by name.
pub mod keys {
    use super::{Key, SecretName, Shape};

    /// Database 1 in dev; without it the embedded SQLite file.
    pub const DATABASE_URL_LOCAL: Key =
        Key::new("DATABASE_URL_LOCAL", SecretName::App, Shape::DatabaseUrl);
    /// Database 1 in prod with ENVIRONMENT=development.
    pub const DATABASE_URL_DEV: Key =
        Key::new("DATABASE_URL_DEV", SecretName::App, Shape::DatabaseUrl);
    /// Database 1 in prod with ENVIRONMENT=production.
    pub const DATABASE_URL_LIVE: Key =
        Key::new("DATABASE_URL_LIVE", SecretName::App, Shape::DatabaseUrl);
    /// Signs the click cookie and the `ref` parameter.
    pub const REF_SIGNING_KEY: Key = Key::new("REF_SIGNING_KEY", SecretName::App, Shape::KeyBytes);
    /// HMAC key of visitor ids.
    pub const PSEUDONYM_KEY: Key = Key::new("PSEUDONYM_KEY", SecretName::App, Shape::KeyBytes);
    /// Seals messages that cannot be read, so that dead letters show no value.
    pub const DEAD_LETTER_KEY: Key = Key::new("DEAD_LETTER_KEY", SecretName::App, Shape::KeyBytes);
    /// Bearer token of the company's own system of completed trips, where there is one.
    pub const COMPLETED_TRIPS_TOKEN: Key =
        Key::new("COMPLETED_TRIPS_TOKEN", SecretName::App, Shape::Text);
    /// Bearer token of the warehouse's API that is asked for levels of stock, where there is one.
    pub const STOCK_API_TOKEN: Key = Key::new("STOCK_API_TOKEN", SecretName::App, Shape::Text);
    /// With SASL, who writes to Kafka.
    pub const KAFKA_USER: Key = Key::new("KAFKA_USER", SecretName::Kafka, Shape::Text);
    /// With SASL, that user's password.
    pub const KAFKA_PASSWORD: Key = Key::new("KAFKA_PASSWORD", SecretName::Kafka, Shape::Text);
    /// Where documents are in MongoDB, its URI: `mongodb://` or `mongodb+srv://`.
    pub const MONGODB_URI: Key = Key::new("MONGODB_URI", SecretName::Documents, Shape::Text);
    /// The warehouse, where there is one: `redshift://user:password@host:5439/database`.
    pub const REDSHIFT_URL: Key = Key::new("REDSHIFT_URL", SecretName::App, Shape::Text);
    /// The company's own database of sales, by a read-only role, where sales are exported from a
    /// query on it: `mysql://`, `postgresql://` or, in dev, `sqlite://`.
    pub const SALES_SOURCE_URL: Key = Key::new("SALES_SOURCE_URL", SecretName::App, Shape::Text);
    /// Database 2 in dev; without it the embedded SQLite file.
    pub const TELESALES_DATABASE_URL_LOCAL: Key = Key::new(
        "TELESALES_DATABASE_URL_LOCAL",
        SecretName::Telesales,
        Shape::DatabaseUrl,
    );
    /// Database 2 in prod with ENVIRONMENT=development.
    pub const TELESALES_DATABASE_URL_DEV: Key = Key::new(
        "TELESALES_DATABASE_URL_DEV",
        SecretName::Telesales,
        Shape::DatabaseUrl,
    );
    /// Database 2 in prod with ENVIRONMENT=production.
    pub const TELESALES_DATABASE_URL_LIVE: Key = Key::new(
        "TELESALES_DATABASE_URL_LIVE",
        SecretName::Telesales,
        Shape::DatabaseUrl,
    );
    /// HMAC key of the pseudonyms in database 2: with another key nobody is found again.
    pub const TELESALES_PSEUDONYM_KEY: Key = Key::new(
        "TELESALES_PSEUDONYM_KEY",
        SecretName::Telesales,
        Shape::KeyBytes,
    );
    /// Seals records that telesales cannot read.
    pub const TELESALES_DEAD_LETTER_KEY: Key = Key::new(
        "TELESALES_DEAD_LETTER_KEY",
        SecretName::Telesales,
        Shape::KeyBytes,
    );
    /// The company's own database of customers, by a read-only role, where database 2 is compared
    /// with a view of it: `mysql://` or, in dev, `sqlite://`.
    pub const TELESALES_SOURCE_URL: Key =
        Key::new("TELESALES_SOURCE_URL", SecretName::Telesales, Shape::Text);
}

/// Every key there is.
pub const ALL_KEYS: [Key; 19] = [
    keys::DATABASE_URL_LOCAL,
    keys::DATABASE_URL_DEV,
    keys::DATABASE_URL_LIVE,
    keys::REF_SIGNING_KEY,
    keys::PSEUDONYM_KEY,
    keys::DEAD_LETTER_KEY,
    keys::COMPLETED_TRIPS_TOKEN,
    keys::STOCK_API_TOKEN,
    keys::KAFKA_USER,
    keys::KAFKA_PASSWORD,
    keys::MONGODB_URI,
    keys::REDSHIFT_URL,
    keys::SALES_SOURCE_URL,
    keys::TELESALES_DATABASE_URL_LOCAL,
    keys::TELESALES_DATABASE_URL_DEV,
    keys::TELESALES_DATABASE_URL_LIVE,
    keys::TELESALES_PSEUDONYM_KEY,
    keys::TELESALES_DEAD_LETTER_KEY,
    keys::TELESALES_SOURCE_URL,
];

/// What a function declares that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The URL of a database: which key holds it depends on STAGE and ENVIRONMENT.
    Database(DatabaseName),
    /// A key without which the function cannot work.
    Required(Key),
    /// A key that may be absent; one that is there must have its shape.
    Optional(Key),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_listed_twice() {
        let names: std::collections::BTreeSet<&str> = ALL_KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), ALL_KEYS.len());
    }

    #[test]
    fn a_databases_keys_lie_in_its_own_secret() {
        for (name, secret) in [
            (DatabaseName::Shop, SecretName::App),
            (DatabaseName::Telesales, SecretName::Telesales),
        ] {
            for key in [
                name.local_key(),
                name.development_key(),
                name.production_key(),
            ] {
                assert_eq!((key.secret, key.shape), (secret, Shape::DatabaseUrl));
                assert_eq!(DatabaseName::of_key(key), Some(name));
            }
        }
        assert_eq!(DatabaseName::of_key(keys::PSEUDONYM_KEY), None);
    }
}
