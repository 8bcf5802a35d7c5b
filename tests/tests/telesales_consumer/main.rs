//! The telesales consumer as a process, on Apache Kafka itself and on both databases: what it
//! leaves in database 2 equals a plain model, whatever happens to it, to its group and to the
//! broker.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod bad_days;
mod latency;
mod letters;
mod member;
mod outcome;
mod poison;
mod stream;
mod topic;
