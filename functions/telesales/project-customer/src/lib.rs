//! Customers from `clientes` into database 2: name, phone and region of those who agreed, and nothing
//! more.

use consumer::Consumer;
use contracts::{changes::Shape, telesales::Telesales};
use domain::{pseudonym::PseudonymKey, telesales::Contact, time::UtcMillis};
use sql_store::{Store, projection::ProjectionTable, telesales::CONSUMER};

/// The handler of the topic.
pub type ProjectCustomer = Consumer<Telesales, ProjectionTable<Contact>>;

/// Keeps contacts in `store`, whose ids are made by `pseudonyms`; `shape` says where the fields of a
/// record stand.
#[must_use]
pub fn project_customer(
    store: Store,
    pseudonyms: PseudonymKey,
    shape: Shape,
    clock: fn() -> UtcMillis,
) -> ProjectCustomer {
    let table = ProjectionTable::new(store, pseudonyms, CONSUMER);
    Consumer::new(shape, table, clock)
}
