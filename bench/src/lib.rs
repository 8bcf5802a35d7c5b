//! What is measured, against what: see bench/README.md.

pub mod lambda_stub;
pub mod process_cost;
