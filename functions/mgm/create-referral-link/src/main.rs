//! The one link of a promoter.
fn main() {}
