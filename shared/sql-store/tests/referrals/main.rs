//! Purchases, referrals, completed trips and the sweep, on every database that there is.
#![cfg(test)]

mod concurrency;
mod limits;
mod model;
mod purchases;
mod scene;
mod stories;
mod sweep;
mod trips;
