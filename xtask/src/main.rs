//! What a developer runs: tests with real parts, checks, packaging.
fn main() {}
