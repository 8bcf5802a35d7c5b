//! What is measured, against what: see bench/README.md.

pub mod bridge_stub;
pub mod lambda_stub;
pub mod process_cost;
