//! One event: read, sent, buried, told.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    envelope::{Claim, most_bytes, write},
    fields::BadMessage,
    kafka_event::{self, Record},
};
use domain::time::UtcMillis;
use files::FileAddress;
use futures::{StreamExt, stream};
use lambda_kit::{
    Invocation, InvocationFailed, SealKey,
    claims::sha256_hex,
    dead_letter::DeadLetter,
    kafka::{EventHandler, failures},
    metrics,
};
use queues::{OutgoingMessage, SendError};
use serde_json::Value;

use crate::batch::Batch;
use crate::load::{Item, Load, claimed_bytes, group_of};
use crate::{Outside, TopicQueues};

/// The function's name in its dead letters.
const FUNCTION: &str = "kafka-to-sqs";
/// Kept of Lambda's time for the answer.
const RESERVE_MS: i64 = 500;
/// Large values that are put aside at once.
const PUTS_AT_ONCE: usize = 8;

/// What the template says.
pub struct Settings {
    /// Which topic goes where.
    pub queues: TopicQueues,
    /// Where records go that can't be read.
    pub dead_letters_url: String,
    /// Where values go that are too large.
    pub claims_bucket: String,
    /// Bytes of the largest body that the queues take.
    pub message_bytes: usize,
    /// Seals dead letters.
    pub seal_key: SealKey,
}

/// The handler.
pub struct Bridge<O> {
    settings: Settings,
    outside: O,
}

/// Records that have to go to dead letters, by their places.
type Refused = Vec<(usize, BadMessage)>;

impl<O: Outside> Bridge<O> {
    /// From its settings and what it reaches.
    #[must_use]
    pub const fn new(settings: Settings, outside: O) -> Self {
        Self { settings, outside }
    }

    /// What it reaches.
    #[must_use]
    pub const fn outside(&self) -> &O {
        &self.outside
    }

    /// Records by their queues.
    ///
    /// # Errors
    /// When a topic has none: its records are never dropped, so the batch fails and an alarm calls.
    fn by_queue(&self, batch: &Batch<'_>) -> Result<BTreeMap<&str, Vec<usize>>, InvocationFailed> {
        let mut by_queue: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, source) in batch.sources.iter().enumerate() {
            let Ok(record) = &source.record else { continue };
            let Some(queue) = self.settings.queues.of(&record.topic) else {
                tracing::error!(place = %batch.id(source), "its topic is not in TOPIC_QUEUES");
                metrics::count("TopicsWithoutQueue", 1);
                return Err(InvocationFailed::new("topico_sem_fila"));
            };
            by_queue.entry(queue).or_default().push(place);
        }
        Ok(by_queue)
    }

    /// Sends what goes to one queue; the places of what was sent, and what has to be refused.
    async fn send(
        &self,
        queue: &str,
        places: &[usize],
        batch: &Batch<'_>,
        deadline: UtcMillis,
        refused: &mut Refused,
    ) -> Vec<usize> {
        let is_fifo = queue.ends_with(".fifo");
        let mut claims = self.claims(places, batch, deadline).await;
        let mut held: BTreeSet<String> = BTreeSet::new();
        let mut load = Load(Vec::with_capacity(places.len()));
        for &place in places {
            let Some(Ok(record)) = batch.sources.get(place).map(|one| &one.record) else {
                continue;
            };
            let group = is_fifo.then(|| group_of(record));
            if group.as_ref().is_some_and(|group| held.contains(group)) {
                continue;
            }
            let claim = match claims.remove(&place) {
                None => None,
                Some(Ok(claim)) => Some(claim),
                Some(Err(ClaimFailed::Refused(bad))) => {
                    refused.push((place, bad));
                    continue;
                }
                Some(Err(ClaimFailed::Later)) => {
                    held.extend(group);
                    continue;
                }
            };
            load.0.push(Item {
                place,
                record,
                group,
                claim,
            });
        }
        let answers = self
            .outside
            .send(queue, &load, self.time_left(deadline))
            .await;
        let mut sent = Vec::with_capacity(answers.len());
        for (item, answer) in load.0.iter().zip(answers) {
            match answer {
                Ok(_) => sent.push(item.place),
                Err(SendError::Queue(error)) => {
                    tracing::warn!(%error, "a queue did not take a record");
                }
                Err(error) if error.is_transient() => {}
                Err(_) => refused.push((item.place, REFUSED_BY_QUEUE)),
            }
        }
        sent
    }

    /// Puts the values aside that are too large for a message, some at once, by their places. What is
    /// not put aside in half of the time comes later.
    async fn claims(
        &self,
        places: &[usize],
        batch: &Batch<'_>,
        deadline: UtcMillis,
    ) -> BTreeMap<usize, Result<Claim, ClaimFailed>> {
        let record = |place: usize| batch.sources.get(place)?.record.as_ref().ok();
        let large: Vec<(usize, &Record<'_>)> = places
            .iter()
            .filter_map(|&place| Some((place, record(place)?)))
            .filter(|(_, record)| self.is_too_large(record))
            .collect();
        let mut claims: BTreeMap<_, _> = large
            .iter()
            .map(|(place, _)| (*place, Err(ClaimFailed::Later)))
            .collect();
        if large.is_empty() {
            return claims;
        }
        let puts = large
            .into_iter()
            .map(async |(place, record)| (place, self.claim(record).await));
        let puts = stream::iter(puts).buffer_unordered(PUTS_AT_ONCE);
        let end = self.outside.pause(self.time_left(deadline) / 2);
        let mut done = pin!(puts.take_until(end));
        while let Some((place, claim)) = done.next().await {
            claims.insert(place, claim);
        }
        claims
    }

    fn is_too_large(&self, record: &Record<'_>) -> bool {
        let limit = self.settings.message_bytes;
        most_bytes(record) > limit && write(record, None).len() > limit
    }

    /// Puts one value aside.
    async fn claim(&self, record: &Record<'_>) -> Result<Claim, ClaimFailed> {
        let limit = self.settings.message_bytes;
        let value = match &record.value {
            Some(value) if claimed_bytes(record) <= limit => STANDARD.decode(value.as_ref()),
            _ => return Err(ClaimFailed::Refused(TOO_LARGE)),
        };
        let value = value.map_err(|_| ClaimFailed::Refused(TOO_LARGE))?;
        let key = format!(
            "ponte/{}/{}/{}-{}",
            record.topic, record.partition, record.offset, record.timestamp_ms
        );
        let claim = Claim {
            bucket: self.settings.claims_bucket.clone(),
            bytes: value.len() as u64,
            sha256: sha256_hex(&value),
            key,
        };
        let address = FileAddress::new(&claim.bucket, &claim.key)
            .map_err(|_| ClaimFailed::Refused(NO_FILE_NAME))?;
        match self.outside.put_value(&address, value).await {
            Ok(()) => {
                metrics::count("ValuesClaimed", 1);
                Ok(claim)
            }
            Err(error) => {
                tracing::warn!(%error, "a large value was not put aside");
                Err(ClaimFailed::Later)
            }
        }
    }

    /// Seals records into dead letters; the places of those that lie there.
    async fn bury(
        &self,
        refused: &Refused,
        batch: &Batch<'_>,
        now: UtcMillis,
        deadline: UtcMillis,
    ) -> Vec<usize> {
        let (mut letters, mut owners) = (Vec::new(), Vec::new());
        for (place, bad) in refused {
            let Some(source) = batch.sources.get(*place) else {
                continue;
            };
            let (id, key) = (batch.id(source), &self.settings.seal_key);
            let field = bad.field.unwrap_or("-");
            tracing::warn!(message_id = %id, code = bad.code, field, "record can't be sent");
            let content = source.json.as_bytes();
            let sealed = DeadLetter::seal_in_parts(key, FUNCTION, &id, None, bad, content, now);
            for letter in sealed.unwrap_or_default() {
                if let Ok(body) = serde_json::to_string(&letter) {
                    letters.push(OutgoingMessage::new(body));
                    owners.push(*place);
                }
            }
        }
        if letters.is_empty() {
            return Vec::new();
        }
        let url = &self.settings.dead_letters_url;
        let time = self.time_left(deadline);
        let answers = self.outside.send(url, letters.as_slice(), time).await;
        let mut buried: BTreeSet<usize> = owners.iter().copied().collect();
        for (place, answer) in owners.iter().zip(answers) {
            if let Err(error) = answer {
                tracing::error!(%error, "dead letter could not be sent");
                buried.remove(place);
            }
        }
        buried.into_iter().collect()
    }

    /// Three quarters of what is left, so that what follows has time too.
    fn time_left(&self, deadline: UtcMillis) -> Duration {
        let left = deadline.get() - self.outside.now().get() - RESERVE_MS;
        Duration::from_millis(u64::try_from(left * 3 / 4).unwrap_or_default())
    }
}

impl<O: Outside> EventHandler for Bridge<O> {
    async fn handle(
        &self,
        event: &str,
        invocation: &Invocation,
    ) -> Result<Value, InvocationFailed> {
        let partitions = kafka_event::partitions(event)
            .map_err(|_| InvocationFailed::new("not_a_kafka_event"))?;
        let mut batch = Batch::read(&partitions);
        count("RecordsReceived", batch.sources.len());
        let by_queue = self.by_queue(&batch)?;
        let mut refused: Refused = Vec::new();
        for (place, source) in batch.sources.iter().enumerate() {
            if let Err(bad) = &source.record {
                refused.push((place, bad.clone()));
            }
        }
        let deadline = invocation.deadline;
        for (queue, places) in by_queue {
            let sent = self
                .send(queue, &places, &batch, deadline, &mut refused)
                .await;
            count("RecordsSent", sent.len());
            for place in sent {
                batch.settle(place);
            }
        }
        let buried = self.bury(&refused, &batch, invocation.now, deadline).await;
        count("RecordsRejected", buried.len());
        for place in buried {
            batch.settle(place);
        }
        let unsent = batch.unsettled();
        if unsent > 0 {
            tracing::warn!(count = unsent, "records come again");
            count("RecordsUnsent", unsent);
        }
        Ok(failures(batch.first_unsent()?))
    }
}

enum ClaimFailed {
    /// It can never be sent.
    Refused(BadMessage),
    /// The bucket did not take it now.
    Later,
}

const REFUSED_BY_QUEUE: BadMessage = BadMessage {
    code: "recusado_pela_fila",
    field: None,
    rule: "must be a message that the queue takes",
};
const TOO_LARGE: BadMessage = BadMessage {
    code: "registro_grande",
    field: Some("key"),
    rule: "must fit into a message together with the headers",
};
const NO_FILE_NAME: BadMessage = BadMessage::invalid("topic", "must be a name that a bucket takes");

fn count(name: &'static str, number: usize) {
    if number > 0 {
        metrics::count(name, i64::try_from(number).unwrap_or(i64::MAX));
    }
}
