//! What an operator runs: migrate, backfill, rerun, verify, replay.
fn main() {}
