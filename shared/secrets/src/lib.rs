//! Secrets and settings: `.env` in dev, Secrets Manager in prod.
//!
//! A function declares what it [`Need`]s; [`Secrets::load`] reads that and nothing else. What is
//! missing or wrong stops the cold start with one error that names everything at once and quotes
//! no value.
//!
//! Architecture invariant: nothing here writes to the process environment, and nothing that holds
//! a value can be displayed.

mod database_url;
mod dotenv;
mod error;
mod key;
mod load;
mod process;
mod secret;
mod secrets_manager;

pub use database_url::{DatabaseUrl, DatabaseUrlError, MySqlAddress};
pub use error::{Problem, SettingsError};
pub use key::{ALL_KEYS, DatabaseName, Key, Need, SecretName, Shape, keys};
pub use load::{Secrets, Source};
pub use process::{Environment, ProcessEnvironment, Stage, variables};
pub use secret::{KeyBytes, MIN_KEY_BYTES, Secret};
