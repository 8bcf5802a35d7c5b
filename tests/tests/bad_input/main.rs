//! Bad input from outside: every HTTP field, every field of a message, every setting, and what an
//! attacker would try. A refusal names what to mend, shows no value, and leaves nothing half written.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod attacks;
mod documents;
mod fields;
mod fields_of_campaigns;
mod messages;
mod questions;
mod sealed;
mod shop;
mod start;
mod telesales;
