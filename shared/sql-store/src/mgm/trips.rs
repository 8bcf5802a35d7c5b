//! Completed trips: stored always, and rewarded when their purchase became a referral.
//!
//! Whole batches go in one transaction of 13 statements, whatever their size (docs/adr/0050).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::{
    mgm::{
        referral::{Order, OtherCustomer},
        trip::{CompletedLeg, Leg, completion},
    },
    orders::OrderStatus,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::purchases::RecordOrderError;
pub use super::rewards::Settled;
pub(super) use super::rewards::settle;
use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// Under this name messages of `viagens` are marked as handled.
pub const CONSUMER: &str = "issue-trip-voucher";
/// Messages in one transaction: more would hold locks for too long.
const MOST_AT_ONCE: usize = 500;

/// A message of `viagens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TripMessage {
    /// Its identity for exactly-once.
    pub id: String,
    /// What it says.
    pub leg: CompletedLeg,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Handled {
    /// What became of each message, in their order.
    pub results: Vec<Result<(), RecordOrderError>>,
    /// Vouchers that were issued.
    pub vouchers: usize,
}

/// An order that its legs complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    pub order: String,
    pub completed: UtcMillis,
}

/// Handles messages of completed trips, each exactly once. Where a batch fails for the sake of one
/// message, the messages are handled one by one, so that its neighbours go on.
pub async fn complete_trips(store: &Store, messages: &[TripMessage], now: UtcMillis) -> Handled {
    let mut all = Handled {
        results: Vec::with_capacity(messages.len()),
        vouchers: 0,
    };
    for chunk in messages.chunks(MOST_AT_ONCE) {
        let outcome = complete_at_once(store, chunk, now).await;
        let unreachable = RecordOrderError::Store(StoreError::Unreachable);
        if chunk.len() > 1 && outcome.as_ref().is_err_and(|error| *error != unreachable) {
            for message in chunk {
                let alone = complete_at_once(store, std::slice::from_ref(message), now).await;
                all.add(alone, 1);
            }
        } else {
            all.add(outcome, chunk.len());
        }
    }
    all
}

impl Handled {
    fn add(&mut self, outcome: Result<Settled, RecordOrderError>, messages: usize) {
        self.vouchers += outcome.as_ref().map_or(0, |settled| settled.vouchers);
        let result = outcome.map(|_| ());
        self.results.extend(std::iter::repeat_n(result, messages));
    }
}

async fn complete_at_once(
    store: &Store,
    messages: &[TripMessage],
    now: UtcMillis,
) -> Result<Settled, RecordOrderError> {
    store
        .transact(async |tx: &Tx| {
            let new = mark_new(tx, messages, now).await?;
            let legs: Vec<&CompletedLeg> = new.iter().map(|message| &message.leg).collect();
            note_legs(tx, &legs).await?;
            let orders: BTreeSet<&str> = legs.iter().map(|leg| leg.order.as_str()).collect();
            let known = lock_purchases(tx, &orders.into_iter().collect::<Vec<_>>()).await?;
            let customers: HashMap<&str, &str> = known
                .iter()
                .map(|one| (one.order_id.as_str(), one.customer_id.as_str()))
                .collect();
            if legs.iter().any(|leg| {
                let known = customers.get(leg.order.as_str());
                known.is_some_and(|known| *known != leg.customer.as_str())
            }) {
                return Err(OtherCustomer.into());
            }
            let completions = completions(tx, &known, "").await?;
            Ok(settle(tx, &completions, now).await?)
        })
        .await
}

#[derive(FromQueryResult)]
struct Marked {
    message_id: String,
}

/// Marks the messages; answers those that were not handled before, the first of each identity.
async fn mark_new<'a>(
    tx: &Tx,
    messages: &'a [TripMessage],
    now: UtcMillis,
) -> Result<Vec<&'a TripMessage>, StoreError> {
    let mut seen = HashSet::new();
    let mut new: Vec<&TripMessage> = messages
        .iter()
        .filter(|message| seen.insert(message.id.as_str()))
        .collect();
    // In one order everywhere, so that two instances with the same messages don't deadlock.
    new.sort_by(|left, right| left.id.cmp(&right.id));
    let mark = async |new: &[&TripMessage]| {
        let ids: Vec<&str> = new.iter().map(|message| message.id.as_str()).collect();
        tx.mark_all_handled(CONSUMER, &ids, now).await
    };
    match mark(&new).await {
        Err(StoreError::Duplicate) => {}
        other => return other.map(|()| new),
    }
    let sql = format!(
        "SELECT message_id FROM handled_messages WHERE consumer = ? AND message_id IN {}",
        placeholders(1, new.len())
    );
    let mut keys = values![CONSUMER];
    keys.extend(new.iter().map(|message| Value::from(message.id.as_str())));
    let marked: Vec<Marked> = tx.all(&sql, keys).await?;
    let marked: HashSet<String> = marked.into_iter().map(|row| row.message_id).collect();
    new.retain(|message| !marked.contains(&message.id));
    mark(&new).await?;
    Ok(new)
}

#[derive(FromQueryResult)]
struct LegRow {
    order_id: String,
    customer_id: String,
    leg: i32,
    legs: i32,
    completed_ms: i64,
}

/// Stores legs; what is known of a leg stays as it was.
pub(super) async fn note_legs(tx: &Tx, legs: &[&CompletedLeg]) -> Result<(), StoreError> {
    let mut by_key = BTreeMap::new();
    for leg in legs {
        by_key
            .entry((leg.order.as_str(), leg.customer.as_str(), leg.leg.number()))
            .or_insert(*leg);
    }
    match insert_legs(tx, &by_key).await {
        Err(StoreError::Duplicate) => {}
        other => return other,
    }
    let orders: BTreeSet<&str> = by_key.keys().map(|(order, ..)| *order).collect();
    let known = legs_of(tx, &orders.into_iter().collect::<Vec<_>>(), "").await?;
    let known: HashSet<(&str, &str, i32)> = known
        .iter()
        .map(|row| (row.order_id.as_str(), row.customer_id.as_str(), row.leg))
        .collect();
    by_key.retain(|(order, customer, number), _| {
        !known.contains(&(order, customer, i32::from(*number)))
    });
    insert_legs(tx, &by_key).await
}

async fn insert_legs(
    tx: &Tx,
    legs: &BTreeMap<(&str, &str, u8), &CompletedLeg>,
) -> Result<(), StoreError> {
    if legs.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO trip_legs (order_id, leg, legs, customer_id, completed_ms) VALUES {}",
        placeholders(legs.len(), 5)
    );
    let values = legs.values().flat_map(|leg| {
        values![
            leg.order.as_str(),
            i32::from(leg.leg.number()),
            i32::from(leg.leg.of()),
            leg.customer.as_str(),
            leg.completed.get(),
        ]
    });
    tx.execute(&sql, values.collect()).await.map(|_| ())
}

async fn legs_of(tx: &Tx, orders: &[&str], lock: &str) -> Result<Vec<LegRow>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT order_id, customer_id, leg, legs, completed_ms FROM trip_legs \
         WHERE order_id IN {} ORDER BY order_id, customer_id, leg{lock}",
        placeholders(1, orders.len())
    );
    tx.all(
        &sql,
        orders.iter().map(|order| Value::from(*order)).collect(),
    )
    .await
}

/// An order that is known, and whose.
#[derive(FromQueryResult)]
pub(super) struct Known {
    pub order_id: String,
    pub customer_id: String,
    status: String,
}

/// Locks the orders that are known.
///
/// Legs are stored before this and read after it: whichever of two transactions gets the row last
/// sees the legs of both, and a purchase that is not there yet will look for its legs itself.
pub(super) async fn lock_purchases(tx: &Tx, orders: &[&str]) -> Result<Vec<Known>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT order_id, customer_id, status FROM purchases WHERE order_id IN {} \
         ORDER BY order_id{}",
        placeholders(1, orders.len()),
        tx.for_update()
    );
    let keys = orders.iter().map(|order| Value::from(*order)).collect();
    tx.all(&sql, keys).await
}

/// Whether this order is completed. It waits for legs that others are about to store: the caller
/// has just stored the purchase, and one of the two must see the other.
pub(super) async fn lock_completion(
    tx: &Tx,
    order: &Order,
) -> Result<Option<Completion>, StoreError> {
    let known = Known {
        order_id: order.id.as_str().to_owned(),
        customer_id: order.customer.as_str().to_owned(),
        status: order.status.as_str().to_owned(),
    };
    let completions = completions(tx, &[known], tx.for_update()).await?;
    Ok(completions.into_iter().next())
}

/// Which of these orders are completed by the legs stored so far. Void ones earn nothing, and a leg
/// that names another customer completes nothing.
pub(super) async fn completions(
    tx: &Tx,
    orders: &[Known],
    lock: &str,
) -> Result<Vec<Completion>, StoreError> {
    let mut customers: HashMap<&str, &str> = HashMap::new();
    for known in orders {
        if !OrderStatus::parse(&known.status)?.is_void() {
            customers.insert(&known.order_id, &known.customer_id);
        }
    }
    let mut keys: Vec<&str> = customers.keys().copied().collect();
    keys.sort_unstable();
    let mut legs: BTreeMap<String, Vec<(Leg, UtcMillis)>> = BTreeMap::new();
    for row in legs_of(tx, &keys, lock).await? {
        if customers.get(row.order_id.as_str()) != Some(&row.customer_id.as_str()) {
            continue;
        }
        let leg = Leg::restore(i64::from(row.leg), i64::from(row.legs))?;
        legs.entry(row.order_id)
            .or_default()
            .push((leg, UtcMillis::new(row.completed_ms)?));
    }
    let completed = legs.into_iter().filter_map(|(order, legs)| {
        completion(&legs).map(|completed| Completion { order, completed })
    });
    Ok(completed.collect())
}
