//! The rules of the shop, pure.
//!
//! Architecture invariant: nothing here knows AWS, SQL, serde, HTTP, the clock, the environment or
//! randomness. Time, ids and random bytes come in as arguments.

pub mod calendar;
pub mod changes;
pub mod code;
pub mod customers;
pub mod events;
pub mod identity;
pub mod jobs;
pub mod lake;
pub mod live;
pub mod mgm;
pub mod money;
pub mod orders;
pub mod personal;
pub mod profiles;
pub mod pseudonym;
pub mod sales;
pub mod stock;
pub mod telesales;
pub mod time;

/// A text that no domain type accepts: which rule it broke, never the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Invalid {
    /// The rule, as a clause that follows the field's name ("must be …").
    pub rule: &'static str,
}

impl Invalid {
    /// An error that names the broken rule.
    #[must_use]
    pub const fn new(rule: &'static str) -> Self {
        Self { rule }
    }
}
