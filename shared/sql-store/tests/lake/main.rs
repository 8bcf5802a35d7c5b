//! The catalogue of the lake and the ledger of loads, on every database.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod commits;
mod loads;
mod removal;
mod scene;
