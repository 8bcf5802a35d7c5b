//! Real parts and builders for tests.
//!
//! Architecture invariant: nothing here is reached by code that is deployed; crates name it under
//! `[dev-dependencies]` only. A test asks for a real part and, where there is none, goes on with
//! the embedded one alone, so that `cargo test` passes on a machine that has nothing else.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot have its part must stop with a sentence, not go on"
)]

mod aws;
mod binaries;
mod databases;
mod deployment;
mod events;
mod http_call;
mod kafka;
mod mongodb;
mod parts;
mod postgres;
mod random;
mod seeds;
mod services;
mod zip;

pub use binaries::function_binaries;
pub use databases::{TestDatabase, databases};
pub use deployment::{Packaged, Stack};
pub use events::{event, event_cases, event_text};
pub use http_call::HttpCall;
pub use kafka::{
    Kafka, OwnKafka, SecuredListener, kafka, kafka_python, own_kafka, own_secured_kafka,
};
pub use mongodb::{mongodb, unreachable_mongodb};
pub use postgres::{postgres_schema, without_redshift_keys};
pub use random::Random;
pub use seeds::each_seed;
pub use services::{MariaDb, Ministack, lake_engines, mariadb, ministack, schemathesis};
