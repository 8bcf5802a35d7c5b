//! Customers, campaigns, links and promoters, on every database that there is.

mod campaigns;
mod customers;
mod job;
mod links;
mod scene;
