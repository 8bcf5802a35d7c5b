//! The warehouse: Amazon Redshift over PostgreSQL's protocol.
//!
//! [`sync`] brings the lake's new files into its tables, [`sales`] asks them what `sales-summary`
//! would otherwise ask the lake, [`source`] reads a company's own sales from PostgreSQL. Architecture
//! invariant: this crate knows no AWS client and no file:
//! Redshift itself reads the lake, by a manifest that the caller has written.

pub mod connection;
#[cfg(test)]
mod parsed;
pub mod redshift;
pub mod sales;
pub mod schema;
pub mod source;
pub mod sync;

pub use connection::{Tls, Warehouse, WarehouseError};
