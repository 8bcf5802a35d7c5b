//! The bridge: records of Kafka topics into queues, each in an envelope that brings it back byte
//! for byte. What can't be sent is told to the mapping, so that exactly that comes again.

mod batch;
mod bridge;
mod load;
mod outside;
mod routes;

pub use bridge::{Bridge, Settings};
pub use outside::{Outside, Parts};
pub use routes::{RoutesError, TopicQueues};
