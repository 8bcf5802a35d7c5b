//! Member get member on the wire.

pub mod purchases;
pub mod trips;
