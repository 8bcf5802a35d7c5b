//! The store's core on SQLite and, where there is one, on a real MariaDB.

mod housekeeping;
mod idempotency;
mod jobs;
mod marks;
mod migrations;
mod outbox;
mod stores;
mod throttles;
mod transactions;
