//! The bundle on one machine.
fn main() {}
