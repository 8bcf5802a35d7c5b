//! Member get member on the wire.

pub mod campaigns;
pub mod events;
pub mod links;
pub mod purchases;
pub mod trips;
pub mod vouchers;
