//! `cargo local` from outside: the real program, a template and a function of the tests' own.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test needs and cannot have stops it with a sentence"
)]

mod commands;
mod http;
mod kafka;
mod queues;
mod restart;
mod stage;
mod triggers;
