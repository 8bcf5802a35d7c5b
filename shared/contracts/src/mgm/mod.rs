//! Member get member on the wire.

pub mod campaigns;
pub mod completed_trips;
pub mod events;
pub mod funnel;
pub mod links;
pub mod purchases;
pub mod trace;
pub mod trips;
pub mod vouchers;
