//! My vouchers: reserve, commit, release.
fn main() {}
