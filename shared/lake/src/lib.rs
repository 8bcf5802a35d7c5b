//! The lake: sales read from files, sorted into Parquet with their totals, and asked.
//!
//! Architecture invariant: this crate knows Parquet and files, no SQL and no AWS. Which files a
//! snapshot has is the catalogue's, in `sql_store::lake`.
//!
//! A load in short: push the checked lines into [`SortedSales`] (`cancel` for quantity 0), `finish`
//! it; ask [`orders_of`] what the live files know of [`Sorted::order_set`]; [`rewrite`] those that
//! lose rows; [`write`] the new ones with the [`OrderFate`] of each order; commit; and [`discard`]
//! what was written when the commit failed. Old files are never touched. [`SalesReader`] answers.

mod error;
pub mod input;
mod manifest;
mod orders;
mod place;
mod query;
mod read;
pub mod rows;
mod schema;
mod sort;
mod summary;
mod texts;
mod totals;
mod write;

pub use error::{LakeError, SortError};
pub use orders::OrderSet;
pub use place::Lake;
pub use query::SalesReader;
pub use read::{Drops, Rewritten, StoredLine, merge, orders_of, rewrite};
pub use schema::{FILE_ROWS, LARGE_FILE_ROWS};
pub use sort::{LONGEST_ORDER_BYTES, SORT_BUDGET_BYTES, Sorted, SortedOrders, SortedSales};
pub use texts::{MOST_TEXT_BYTES, MOST_TEXTS, TooManyTexts};
pub use write::{OrderFate, Repeated, RepeatedLines, Written, discard, write};
