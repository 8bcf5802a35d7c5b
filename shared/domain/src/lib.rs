//! The rules of the shop, pure: no AWS, SQL, serde, HTTP, clock or randomness.
