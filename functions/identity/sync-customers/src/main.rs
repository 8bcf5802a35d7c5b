//! Copies the company's customers into database 1.
fn main() {}
