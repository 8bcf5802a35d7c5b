//! The lake: sales read from files, sorted into Parquet with their totals, and asked.
//!
//! Architecture invariant: this crate knows Parquet and files, no SQL and no AWS. Which files a
//! snapshot has is the catalogue's, in `sql_store::lake`.

pub mod input;
