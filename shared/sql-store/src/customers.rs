//! Customers whose master is the company's system: a batch of news in one transaction.

mod master;

use std::collections::BTreeMap;

use domain::customers::{Customer, News, Place, Profile};
use domain::identity::CustomerId;
use domain::personal::{Cpf, Email, PersonName, Phone, Region};
use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, Value, events::profiles, placeholders, values};

pub use master::{announce, change};

/// Rows that one statement reads or writes: well below the 32,766 values of SQLite's.
const ROWS_PER_STATEMENT: usize = 500;
/// How often a batch is done again when another batch inserted one of its customers meanwhile.
const MOST_ATTEMPTS: u32 = 5;
/// Stored for a customer whose source has no versions: below every version.
const NO_VERSION: i64 = -1;
const COLUMNS: &str = "customer_id, version, source_partition, source_offset, deleted, name, cpf, \
    email, phone, region, consented_ms, telesales_consent, registered_ms, updated_ms";
const COLUMN_COUNT: usize = 14;

/// What a batch of news changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Customers who are new, changed or revived.
    pub kept: usize,
    /// Customers who were deleted.
    pub deleted: usize,
}

#[derive(FromQueryResult)]
struct Row {
    customer_id: String,
    version: i64,
    source_partition: Option<i32>,
    source_offset: Option<i64>,
    deleted: i32,
    name: Option<String>,
    cpf: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    region: Option<String>,
    consented_ms: Option<i64>,
    telesales_consent: Option<i32>,
    registered_ms: i64,
    updated_ms: i64,
}

impl Row {
    fn customer(self) -> Result<Customer, StoreError> {
        let place = match (self.source_partition, self.source_offset) {
            (Some(partition), Some(offset)) => Some(Place {
                partition,
                offset,
                recorded: UtcMillis::new(self.updated_ms)?,
            }),
            _ => None,
        };
        let text = Option::as_deref;
        let profile = Profile {
            name: text(&self.name).map(PersonName::parse).transpose()?,
            cpf: text(&self.cpf).map(Cpf::parse).transpose()?,
            email: text(&self.email).map(Email::parse).transpose()?,
            phone: text(&self.phone).map(Phone::parse).transpose()?,
            region: text(&self.region).map(Region::parse).transpose()?,
            referral_consent: self.consented_ms.is_some(),
            telesales_consent: self.telesales_consent.is_some_and(|agreed| agreed != 0),
        };
        Ok(Customer {
            version: Some(self.version).filter(|version| *version != NO_VERSION),
            place,
            profile: (self.deleted == 0).then_some(profile),
            registered: UtcMillis::new(self.registered_ms)?,
            consented: self.consented_ms.map(UtcMillis::new).transpose()?,
            id: CustomerId::parse(self.customer_id)?,
        })
    }
}

/// Takes over news of customers, in the order in which they were read; the newest wins, whatever
/// was taken over before. Either all of it is taken over or nothing.
///
/// # Errors
/// When the database fails.
pub async fn sync(store: &Store, news: &[News], now: UtcMillis) -> Result<Synced, StoreError> {
    for _ in 1..MOST_ATTEMPTS {
        match store
            .transact(async |tx: &Tx| sync_once(tx, news, now).await)
            .await
        {
            // Another batch has inserted one of these customers: now it is there to be read.
            Err(StoreError::Duplicate) => {}
            outcome => return outcome,
        }
    }
    store
        .transact(async |tx: &Tx| sync_once(tx, news, now).await)
        .await
}

async fn sync_once(tx: &Tx, news: &[News], now: UtcMillis) -> Result<Synced, StoreError> {
    let ids = news.iter().map(|one| one.customer.as_str());
    let mut kept = locked_customers(tx, ids.collect()).await?;
    let known: Vec<String> = kept.keys().cloned().collect();
    let mut changed: BTreeMap<String, Customer> = BTreeMap::new();
    for one in news {
        let id = one.customer.as_str().to_owned();
        if let Some(next) = one.clone().applied(kept.get(&id), now) {
            kept.insert(id.clone(), next.clone());
            changed.insert(id, next);
        }
    }
    let rewritten: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|id| changed.contains_key(*id))
        .collect();
    let customers: Vec<&Customer> = changed.values().collect();
    write(tx, &rewritten, &customers, now).await
}

/// Writes customers in the place of the rows that some of them have.
async fn write(
    tx: &Tx,
    rewritten: &[&str],
    customers: &[&Customer],
    now: UtcMillis,
) -> Result<Synced, StoreError> {
    for ids in rewritten.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "DELETE FROM customers WHERE customer_id IN {}",
            placeholders(1, ids.len())
        );
        tx.execute(&sql, ids.iter().map(|id| Value::from(*id)).collect())
            .await?;
    }
    for rows in customers.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO customers ({COLUMNS}) VALUES {}",
            placeholders(rows.len(), COLUMN_COUNT)
        );
        tx.execute(
            &sql,
            rows.iter().flat_map(|row| row_values(row, now)).collect(),
        )
        .await?;
    }
    let deleted: Vec<&str> = customers
        .iter()
        .filter(|customer| customer.profile.is_none())
        .map(|customer| customer.id.as_str())
        .collect();
    profiles::erase(tx, &deleted).await?;
    Ok(Synced {
        kept: customers.len() - deleted.len(),
        deleted: deleted.len(),
    })
}

/// Those of these customers who are known, locked in the order of their ids.
async fn locked_customers(
    tx: &Tx,
    mut ids: Vec<&str>,
) -> Result<BTreeMap<String, Customer>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let mut known = BTreeMap::new();
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "SELECT {COLUMNS} FROM customers WHERE customer_id IN {} ORDER BY customer_id{}",
            placeholders(1, ids.len()),
            tx.for_update()
        );
        let rows: Vec<Row> = tx
            .all(&sql, ids.iter().map(|id| Value::from(*id)).collect())
            .await?;
        for row in rows {
            known.insert(row.customer_id.clone(), row.customer()?);
        }
    }
    Ok(known)
}

fn row_values(customer: &Customer, now: UtcMillis) -> Vec<Value> {
    let profile = customer.profile.as_ref();
    let text = |value: Option<&str>| value.map(str::to_owned);
    values![
        customer.id.as_str(),
        customer.version.unwrap_or(NO_VERSION),
        customer.place.map(|place| place.partition),
        customer.place.map(|place| place.offset),
        i32::from(profile.is_none()),
        text(
            profile
                .and_then(|p| p.name.as_ref())
                .map(PersonName::expose)
        ),
        text(profile.and_then(|p| p.cpf.as_ref()).map(Cpf::expose)),
        text(profile.and_then(|p| p.email.as_ref()).map(Email::expose)),
        text(profile.and_then(|p| p.phone.as_ref()).map(Phone::expose)),
        text(profile.and_then(|p| p.region).map(Region::as_str)),
        customer.consented.map(UtcMillis::get),
        profile.map(|profile| i32::from(profile.telesales_consent)),
        customer.registered.get(),
        customer.place.map_or(now, |place| place.recorded).get(),
    ]
}

/// What is kept of a customer, deleted or not.
///
/// # Errors
/// When the database fails.
pub async fn load(tx: &Tx, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM customers WHERE customer_id = ?");
    let row: Option<Row> = tx.one(&sql, values![id.as_str()]).await?;
    row.map(Row::customer).transpose()
}
