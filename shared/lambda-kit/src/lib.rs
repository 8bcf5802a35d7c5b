//! How a handler meets Lambda: one way to be an HTTP, SQS, Kafka, S3, scheduled or direct function.
//!
//! A function's `main.rs` builds its parts and hands them to `<trigger>::run`; its `lib.rs` holds
//! the handler. Architecture invariant: nothing here knows an AWS client or SQL; what a function
//! needs from outside after an invocation comes in as [`Aftercare`] and [`DeadLetters`].

pub mod authorizer;
pub mod batch;
pub mod claims;
pub mod clock;
pub mod dead_letter;
pub mod direct;
pub mod http;
pub mod kafka;
pub mod logging;
pub mod metrics;
pub mod problem;
mod runtime;
pub mod s3;
pub mod schedule;
pub mod sqs;

pub use batch::{Outcome, Received};
pub use claims::FetchFailed;
pub use dead_letter::{DeadLetters, SealKey};
pub use problem::{FieldError, Problem};
pub use runtime::{Aftercare, Invocation, InvocationFailed, StartError};
