//! Leases shards one after the other and sends what waits in them.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use lambda_kit::{Invocation, InvocationFailed, direct::Handler, metrics};
use queues::{OutgoingMessage, Queues};
use serde::Serialize;
use serde_json::Value;
use sql_store::{
    Store, StoreError,
    housekeeping::purge,
    outbox::{self, OutgoingEvent},
};

use crate::EventRoutes;

/// Time that a publisher may hold a shard; a dead one's shard is free after it.
const LEASE_MS: i64 = 30_000;
/// Left of the lease and of Lambda's time when a publisher begins no further batch.
const SAFETY_MS: i64 = 10_000;
const BATCH_EVENTS: u32 = 100;
/// With more keys delayed in a shard than this, its queues are down and the sweep tries later.
const MOST_DELAYED_KEYS: usize = 1_000;
const PURGED_ROWS: u32 = 5_000;

/// Sends what waits in the outbox.
pub struct PublishOutbox {
    store: Store,
    queues: Queues,
    routes: EventRoutes,
    clock: fn() -> UtcMillis,
}

/// What one invocation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Events that left.
    pub enviados: u64,
    /// Events that a queue did not take: they stay for the next sweep.
    pub adiados: u64,
    /// Expired rows that were deleted.
    pub expurgados: u64,
}

impl PublishOutbox {
    /// From its parts; `clock` is read between batches, since a lease runs out meanwhile.
    #[must_use]
    pub const fn new(
        store: Store,
        queues: Queues,
        routes: EventRoutes,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            store,
            queues,
            routes,
            clock,
        }
    }

    /// Sends everything that waits, until `deadline`. `holder` names this invocation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish(
        &self,
        holder: &str,
        deadline: UtcMillis,
    ) -> Result<Published, StoreError> {
        let types = self.routes.types();
        let mut published = Published::default();
        for shard in outbox::waiting_shards(&self.store, &types).await? {
            let now = (self.clock)();
            let until = now.plus_millis(LEASE_MS);
            if !outbox::lease_shard(&self.store, shard, holder, now, until).await? {
                continue;
            }
            let stop_at = until.min(deadline).plus_millis(-SAFETY_MS);
            self.empty_shard(shard, &types, stop_at, &mut published)
                .await?;
            outbox::release_shard(&self.store, shard, holder).await?;
        }
        Ok(published)
    }

    async fn empty_shard(
        &self,
        shard: u32,
        types: &[&str],
        stop_at: UtcMillis,
        published: &mut Published,
    ) -> Result<(), StoreError> {
        // Keys that a queue did not take wait for the next sweep, and hold up no other key.
        let mut delayed: BTreeSet<String> = BTreeSet::new();
        while (self.clock)() < stop_at && delayed.len() < MOST_DELAYED_KEYS {
            let events = outbox::unsent(&self.store, shard, types, &delayed, BATCH_EVENTS).await?;
            if events.is_empty() {
                break;
            }
            let sent = self.send_in_waves(&events).await;
            outbox::forget_sent(&self.store, &sent).await?;
            published.enviados += sent.len() as u64;
            published.adiados += (events.len() - sent.len()) as u64;
            let sent: BTreeSet<String> = sent.into_iter().collect();
            let left = events.into_iter().filter(|event| !sent.contains(&event.id));
            delayed.extend(left.map(|event| event.aggregate_key));
        }
        Ok(())
    }

    /// A wave holds one event of each key, and a key whose event failed has none in later waves:
    /// so a key's events leave in order on any kind of queue.
    async fn send_in_waves(&self, events: &[OutgoingEvent]) -> Vec<String> {
        let mut waves: Vec<Vec<&OutgoingEvent>> = Vec::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for event in events {
            let wave = seen.entry(&event.aggregate_key).or_default();
            match waves.get_mut(*wave) {
                Some(events) => events.push(event),
                None => waves.push(vec![event]),
            }
            *wave += 1;
        }
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        let mut sent = Vec::with_capacity(events.len());
        for mut wave in waves {
            wave.retain(|event| !failed.contains(event.aggregate_key.as_str()));
            failed.extend(self.send_wave(&wave).await);
            let went = wave
                .iter()
                .filter(|event| !failed.contains(event.aggregate_key.as_str()));
            sent.extend(went.map(|event| event.id.clone()));
        }
        sent
    }

    /// Sends one wave to all its queues; answers the keys that some queue did not take.
    async fn send_wave<'e>(&self, wave: &[&'e OutgoingEvent]) -> Vec<&'e str> {
        let mut by_queue: BTreeMap<&str, Vec<(&'e OutgoingEvent, OutgoingMessage)>> =
            BTreeMap::new();
        let mut failed = Vec::new();
        for &event in wave {
            for queue in self.routes.queues(&event.event_type) {
                match message(queue, event) {
                    Some(message) => by_queue.entry(queue).or_default().push((event, message)),
                    None => {
                        tracing::error!(event_id = %event.id, "an event's payload is no JSON object");
                        failed.push(event.aggregate_key.as_str());
                    }
                }
            }
        }
        for (queue, events) in by_queue {
            let (events, messages): (Vec<&'e OutgoingEvent>, Vec<OutgoingMessage>) =
                events.into_iter().unzip();
            let answers = self
                .queues
                .send(queue, &messages, (self.clock)().get())
                .await;
            for (place, event) in events.into_iter().enumerate() {
                if let Some(Ok(_)) = answers.get(place) {
                    continue;
                }
                let code = answers.get(place).and_then(|answer| answer.as_ref().err());
                tracing::warn!(
                    event_type = %event.event_type,
                    reason = code.map(ToString::to_string).unwrap_or_default(),
                    "event stays in the outbox"
                );
                failed.push(event.aggregate_key.as_str());
            }
        }
        failed
    }
}

/// The event with its own id, by which consumers tell a repetition; `None` when its payload is
/// none that our code writes.
fn message(queue: &str, event: &OutgoingEvent) -> Option<OutgoingMessage> {
    let Ok(Value::Object(mut body)) = serde_json::from_str(&event.payload) else {
        return None;
    };
    body.insert("id_evento".to_owned(), event.id.as_str().into());
    let body = Value::Object(body).to_string();
    Some(if queue.ends_with(".fifo") {
        let group = queues::group_id(&[event.aggregate_key.as_bytes()]);
        OutgoingMessage::fifo(body, group, event.id.as_str())
    } else {
        OutgoingMessage::new(body)
    })
}

impl Handler for PublishOutbox {
    type Answer = Published;

    async fn handle(
        &self,
        payload: Value,
        invocation: &Invocation,
    ) -> Result<Published, InvocationFailed> {
        let failed = |error: StoreError| InvocationFailed::new(error.to_string());
        let holder: String = invocation
            .request_id
            .chars()
            .filter(|c| *c != '-')
            .take(26)
            .collect();
        let mut published = self
            .publish(&holder, invocation.deadline)
            .await
            .map_err(failed)?;
        let is_sweep = payload.get("horario").is_some();
        if is_sweep {
            published.expurgados = purge(&self.store, invocation.now, PURGED_ROWS)
                .await
                .map_err(failed)?;
            let lost = outbox::unrouted(&self.store, &self.routes.types())
                .await
                .map_err(failed)?;
            if lost > 0 {
                tracing::error!(
                    count = lost,
                    "events in the outbox have no route in EVENT_ROUTES"
                );
                metrics::count("EventsWithoutRoute", lost);
            }
        }
        metrics::count(
            "EventsPublished",
            i64::try_from(published.enviados).unwrap_or(i64::MAX),
        );
        Ok(published)
    }
}
