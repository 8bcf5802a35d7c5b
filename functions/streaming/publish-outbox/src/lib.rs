//! Domain events from the outbox to their queues and topics, in order per aggregate.

mod outlets;
mod publish;
mod routes;

pub use publish::{PublishOutbox, Published};
pub use routes::{EventRoutes, RoutesError, Target};
