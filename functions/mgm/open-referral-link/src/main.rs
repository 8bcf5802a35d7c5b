//! Counts the click, remembers the attribution, redirects to the shop.
fn main() {}
