//! The OpenAPI document and its page.
fn main() {}
