//! Anchors the day's audit heads.
fn main() {}
