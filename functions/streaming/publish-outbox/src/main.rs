//! Domain events from the outbox to queues.
fn main() {}
