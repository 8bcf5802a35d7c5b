//! The store's core on SQLite and, where there is one, on a real MariaDB.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod housekeeping;
mod idempotency;
mod jobs;
mod marks;
mod migrations;
mod outbox;
mod stock;
mod stores;
mod throttles;
mod transactions;
