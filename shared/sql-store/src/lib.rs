//! The SQL store: transactions that load facts under locks, ask the domain and write the effects.
//!
//! One set of queries serves SQLite and MySQL/MariaDB (docs/adr/0002). Architecture invariant: what
//! is deployed has no statement on database 1 outside this crate, and no rule of the shop in it.

pub mod connection;
pub mod customers;
pub mod error;
pub mod events;
pub mod handled;
pub mod housekeeping;
pub mod idempotency;
pub mod jobs;
pub mod lake;
pub mod mgm;
pub mod migrate;
pub mod observer;
pub mod outbox;
pub mod page;
pub mod products;
pub mod projection;
pub mod quality;
pub mod sales_export;
pub mod sales_loads;
pub mod sales_source;
pub mod stock;
pub mod telesales;
pub mod throttle;
pub mod transaction;

pub use connection::{Backend, Options, Store};
pub use error::StoreError;
pub use transaction::Tx;

/// The values of a statement, in the order of its `?` placeholders.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

pub use sea_orm::{FromQueryResult, Value};

/// `(?, ?), (?, ?)`: placeholders for a statement that writes `rows` rows of `columns` columns.
#[must_use]
pub fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}
