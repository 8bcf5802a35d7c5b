//! API Gateway authorizer: validates a bearer token against the scopes of its route.
fn main() {}
