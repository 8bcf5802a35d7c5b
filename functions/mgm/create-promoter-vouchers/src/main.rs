//! Sweeps for completed trips that no message announced.
fn main() {}
