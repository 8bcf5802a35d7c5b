//! Customers, campaigns, links and promoters, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod campaigns;
mod customers;
mod cuts;
mod job;
mod links;
mod scene;
