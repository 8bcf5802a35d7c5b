//! Member get member on the wire.

pub mod events;
pub mod purchases;
pub mod trips;
