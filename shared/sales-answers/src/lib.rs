//! Questions about sales over HTTP: ranked, paged, and kept in memory by the version of the data.
//!
//! [`SalesSource`] is where the sums come from; this crate makes of them what `sales-summary` and
//! `top-products` answer. Architecture invariant: only [`LakeSource`] knows the lake, only
//! [`WarehouseSource`] the warehouse.

mod answers;
mod chosen_source;
mod cursor;
mod kept;
mod lake_source;
mod packing;
mod parameters;
mod source;
mod warehouse_source;

pub use answers::Answers;
pub use chosen_source::{ChosenSource, NEEDS};
pub use lake_source::LakeSource;
pub use parameters::{Asked, Page, Ranking};
pub use source::{SalesSource, SourceError};
pub use warehouse_source::WarehouseSource;
