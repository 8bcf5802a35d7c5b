//! Database 2 on every database that there is: the newest version wins, what is erased is gone, and
//! nobody is called twice or against their will.
#![cfg(test)]

use std::cell::Cell;

use contracts::changes::Change;
use domain::{
    changes::{Place, Stamp},
    identity::{AgentId, ContactId, CustomerId},
    personal::{PersonName, Phone, Region},
    pseudonym::PseudonymKey,
    telesales::Contact,
    time::UtcMillis,
};
use sql_store::{
    FromQueryResult, Store, Tx, Value, jobs::Attempt, migrate, projection::ProjectionTable, values,
};
use testkit::databases;

mod agents;
mod erasure;
mod not_to_be_called;
mod racing;
mod reconciling;
mod reviving;
mod schedules;

const NOW_MS: i64 = 1_795_132_800_000;
const DAY_MS: i64 = 86_400_000;

fn at(later_ms: i64) -> UtcMillis {
    UtcMillis::new(NOW_MS + later_ms).unwrap()
}

fn customer(id: &str) -> CustomerId {
    CustomerId::parse(id).unwrap()
}

fn agent(id: &str) -> AgentId {
    AgentId::parse(id).unwrap()
}

fn pseudonyms() -> PseudonymKey {
    PseudonymKey::new(&[7; 32]).unwrap()
}

fn contact_id(id: &str) -> ContactId {
    pseudonyms().of_customer(&customer(id)).unwrap()
}

fn contact(name: &str, phone: &str) -> Contact {
    let phone = Phone::parse(phone).unwrap();
    Contact {
        name: PersonName::parse(name).unwrap(),
        region: phone.region().unwrap(),
        phone,
    }
}

fn change(id: &str, version: i64, offset: i64, row: Option<Contact>) -> Change<Contact> {
    Change {
        customer: customer(id),
        stamp: Stamp {
            version: row.as_ref().map(|_| version),
            place: Place {
                partition: 0,
                offset,
                recorded: at(offset),
            },
        },
        row,
    }
}

struct Scene {
    store: Store,
    table: ProjectionTable<Contact>,
}

impl Scene {
    async fn open(url: &str) -> Self {
        let store = Store::open(url).await.unwrap();
        migrate::migrate_by(&store, &migrate::TELESALES, at(0))
            .await
            .unwrap();
        let table = ProjectionTable::new(store.clone(), pseudonyms(), "televendas");
        Self { store, table }
    }

    async fn apply(&self, changes: &[Change<Contact>], now: UtcMillis) {
        self.table.apply(changes, now).await.unwrap();
        self.table.forget().await;
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) {
        self.store
            .transact(async |tx: &Tx| tx.execute(sql, values.clone()).await)
            .await
            .unwrap();
    }

    async fn count(&self, from: &str) -> i64 {
        #[derive(FromQueryResult)]
        struct Row {
            number: i64,
        }
        let sql = format!("SELECT COUNT(*) AS number FROM {from}");
        let work = async |tx: &Tx| tx.one::<Row>(&sql, values![]).await;
        self.store.transact(work).await.unwrap().unwrap().number
    }

    async fn name_of(&self, id: &str) -> Option<String> {
        #[derive(FromQueryResult)]
        struct Row {
            name: Option<String>,
        }
        let sql = "SELECT name FROM contacts WHERE subject = ?";
        let subject = contact_id(id);
        let work = async |tx: &Tx| tx.one::<Row>(sql, values![subject.as_str()]).await;
        self.store.transact(work).await.unwrap()?.name
    }
}

struct Clock(UtcMillis);

impl Attempt for Clock {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        Some(self.0)
    }
}

/// An attempt that is asked for the time so often, and then has none left.
struct Hurried {
    now: UtcMillis,
    batches_left: Cell<u32>,
}

impl Hurried {
    fn new(now: UtcMillis, batches: u32) -> Self {
        Self {
            now,
            batches_left: Cell::new(batches),
        }
    }
}

impl Attempt for Hurried {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        let left = self.batches_left.get().checked_sub(1)?;
        self.batches_left.set(left);
        Some(self.now)
    }
}

fn region(state: &str) -> Region {
    Region::parse(state).unwrap()
}
