//! The catalogue of the lake and the ledger of loads, on every database.

mod commits;
mod loads;
mod removal;
mod scene;
