//! Leases shards one after the other and sends what waits in them.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use kafka_producer::KafkaProducer;
use lambda_kit::{Invocation, InvocationFailed, direct::Handler, metrics};
use queues::Queues;
use serde::Serialize;
use serde_json::Value;
use sql_store::{
    Store, StoreError,
    housekeeping::purge,
    outbox::{self, OutgoingEvent},
};

use crate::{EventRoutes, Target, outlets::Outlets};

/// Time that a publisher may hold a shard; a dead one's shard is free after it.
const LEASE_MS: i64 = 30_000;
/// Left of the lease and of Lambda's time when a publisher begins no further wave.
const SAFETY_MS: i64 = 10_000;
const BATCH_EVENTS: u32 = 100;
/// With more keys delayed in a shard than this, its queues are down and the sweep tries later.
const MOST_DELAYED_KEYS: usize = 1_000;
const PURGED_ROWS: u32 = 5_000;

/// Sends what waits in the outbox.
pub struct PublishOutbox {
    outlets: Outlets,
    routes: EventRoutes,
    clock: fn() -> UtcMillis,
}

/// What one invocation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Events that left.
    pub enviados: u64,
    /// Events that a queue or topic did not take: they stay for the next sweep.
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
            outlets: Outlets {
                store,
                queues,
                kafka: None,
            },
            routes,
            clock,
        }
    }

    /// With Kafka, for the topics of the table. A record must be acknowledged, or given up, well
    /// within [`SAFETY_MS`]: what a publisher sends after its lease could overtake the next one.
    #[must_use]
    pub fn with_kafka(mut self, kafka: KafkaProducer) -> Self {
        self.outlets.kafka = Some(kafka);
        self
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
        for shard in outbox::waiting_shards(&self.outlets.store, &types).await? {
            let now = (self.clock)();
            let until = now.plus_millis(LEASE_MS);
            if !outbox::lease_shard(&self.outlets.store, shard, holder, now, until).await? {
                continue;
            }
            let stop_at = until.min(deadline).plus_millis(-SAFETY_MS);
            self.empty_shard(shard, &types, stop_at, &mut published)
                .await?;
            outbox::release_shard(&self.outlets.store, shard, holder).await?;
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
            let events =
                outbox::unsent(&self.outlets.store, shard, types, &delayed, BATCH_EVENTS).await?;
            if events.is_empty() {
                break;
            }
            let sent = self.send_in_waves(&events, stop_at).await;
            outbox::forget_sent(&self.outlets.store, &sent).await?;
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
    /// No wave begins after `stop_at`.
    async fn send_in_waves(&self, events: &[OutgoingEvent], stop_at: UtcMillis) -> Vec<String> {
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
            if (self.clock)() >= stop_at {
                break;
            }
            wave.retain(|event| !failed.contains(event.aggregate_key.as_str()));
            failed.extend(self.send_wave(&wave).await);
            let went = wave
                .iter()
                .filter(|event| !failed.contains(event.aggregate_key.as_str()));
            sent.extend(went.map(|event| event.id.clone()));
        }
        sent
    }

    /// Sends one wave to all its targets; answers the keys that some target did not take.
    async fn send_wave<'e>(&self, wave: &[&'e OutgoingEvent]) -> Vec<&'e str> {
        let mut by_target: BTreeMap<&Target, Vec<&'e OutgoingEvent>> = BTreeMap::new();
        for &event in wave {
            for target in self.routes.targets(&event.event_type) {
                by_target.entry(target).or_default().push(event);
            }
        }
        let mut failed = Vec::new();
        for (target, events) in by_target {
            let answers = self.outlets.send(target, &events, (self.clock)()).await;
            let mut answers = answers.into_iter();
            for event in events {
                if let Some(Ok(())) = answers.next().map(|answer| {
                    answer.inspect_err(|reason| {
                        tracing::warn!(
                            event_id = %event.id,
                            event_type = %event.event_type,
                            %reason,
                            "event stays in the outbox"
                        );
                    })
                }) {
                    continue;
                }
                failed.push(event.aggregate_key.as_str());
            }
        }
        failed
    }
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
            published.expurgados = purge(&self.outlets.store, invocation.now, PURGED_ROWS)
                .await
                .map_err(failed)?;
            let lost = outbox::unrouted(&self.outlets.store, &self.routes.types())
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
