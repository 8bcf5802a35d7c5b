//! Domain events from the outbox to their queues, in order per aggregate.

mod publish;
mod routes;

pub use publish::{PublishOutbox, Published};
pub use routes::{EventRoutes, RoutesError};
