//! Database 2: whom telesales may call, who calls whom, and what is past its time.

pub mod contacts;
mod phones;
pub mod reconciliation;
pub mod retention;
pub mod source;

use contracts::{changes::Projection, telesales::Telesales};
use domain::{personal::PersonName, pseudonym::PseudonymKey, telesales::Contact};

use crate::{Value, projection::Columns, values};

/// Under this name receipts of telesales stand.
pub const CONSUMER: &str = Telesales::NAME;

impl Columns for Contact {
    const TABLE: &'static str = "contacts";
    const COLUMNS: &'static [&'static str] = &["name", "phone", "region", "phone_mark"];
    const ABOUT: &'static [&'static str] = &["calls"];

    fn values(&self, pseudonyms: &PseudonymKey) -> Vec<Value> {
        values![
            PersonName::expose(&self.name),
            self.phone.expose(),
            self.region.as_str(),
            pseudonyms.of_phone(&self.phone),
        ]
    }
}
