//! Makes promoters of eligible customers.
fn main() {}
