//! The thread that polls Kafka: it reads each record where librdkafka holds it and hands over
//! batches. While the other side is busy it waits, and pauses before the group misses it.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use consumer::{ChangeStore, Consumer};
use contracts::{
    changes::{Change, Projection, Record},
    fields::BadMessage,
};
use lambda_kit::{SealKey, clock, dead_letter::DeadLetter, metrics};
use rdkafka::{
    Message,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::{
    mpsc::{Sender, error::TrySendError},
    watch,
};

use crate::{RunError, Settings, health::Health, letters::event_json, runner::Member};

/// Longest time without a look at Kafka.
const POLL_WAIT: Duration = Duration::from_millis(10);
/// Records that are taken, where they are there already, without asking the clock for each.
const LOOKS: usize = 64;
/// The group drops a member that polls less often than every five minutes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const BUSY_WAIT: Duration = Duration::from_millis(1);
/// librdkafka says many times a second that no broker answers; we say it once in this time.
const SAID_EVERY: Duration = Duration::from_secs(30);
const PAUSED_WAIT: Duration = Duration::from_millis(100);
/// Sealed records of one batch, beyond which it waits for no more: a letter holds up to 1.4 MB.
const LETTER_BYTES: usize = 8 * 1024 * 1024;

/// What was read, ready for the store.
pub(crate) struct Batch<R> {
    pub(crate) changes: Vec<Change<R>>,
    /// Sealed records that could not be read, as they are sent.
    pub(crate) letters: Vec<String>,
    letter_bytes: usize,
    /// Where each partition goes on when this batch is done.
    pub(crate) next_offsets: BTreeMap<i32, i64>,
    pub(crate) records: usize,
}

impl<R> Batch<R> {
    fn new(records: usize) -> Self {
        Self {
            changes: Vec::with_capacity(records),
            letters: Vec::new(),
            letter_bytes: 0,
            next_offsets: BTreeMap::new(),
            records: 0,
        }
    }

    fn is_full(&self, records: usize) -> bool {
        self.records >= records || self.letter_bytes >= LETTER_BYTES
    }
}

/// What the polling thread works with.
pub(crate) struct Poller<P: Projection, S> {
    pub(crate) kafka: Arc<Member>,
    pub(crate) consumer: Arc<Consumer<P, S>>,
    pub(crate) settings: Settings,
    pub(crate) key: SealKey,
    pub(crate) health: Arc<Health>,
    pub(crate) stopping: watch::Receiver<bool>,
    /// How long the other side may be busy before the partitions are paused.
    pub(crate) patience: Duration,
    pub(crate) said: Said,
}

/// The error of Kafka's client that was logged last, and when.
pub(crate) type Said = Cell<Option<(RDKafkaErrorCode, Instant)>>;

impl<P: Projection, S: ChangeStore<P::Row>> Poller<P, S> {
    /// Polls until the process stops or the other side is gone.
    pub(crate) fn run(&self, batches: &Sender<Batch<P::Row>>) -> Result<(), RunError> {
        let full = self.settings.batch_records;
        let mut batch = Batch::new(full);
        let mut begun = Instant::now();
        while !*self.stopping.borrow() && !batches.is_closed() {
            self.health.polled();
            if batch.records == 0 {
                begun = Instant::now();
            }
            let mut wait = POLL_WAIT;
            for _ in 0..LOOKS {
                if !self.look(wait, &mut batch)? || batch.is_full(full) {
                    break;
                }
                wait = Duration::ZERO;
            }
            let is_due = batch.records > 0 && begun.elapsed() >= self.settings.batch_wait;
            if batch.is_full(full) || is_due {
                match self.hand_over(batch, batches)? {
                    Some(next) => batch = next,
                    None => return Ok(()),
                }
            }
        }
        if batch.records > 0 {
            self.hand_over(batch, batches)?;
        }
        Ok(())
    }

    /// Looks at Kafka once; whether a record came.
    fn look(&self, wait: Duration, batch: &mut Batch<P::Row>) -> Result<bool, RunError> {
        match self.kafka.poll(wait) {
            Some(Ok(message)) => self.take(&message, batch).map(|()| true),
            Some(Err(fatal @ KafkaError::MessageConsumptionFatal(_))) => Err(fatal.into()),
            // librdkafka tries again by itself.
            Some(Err(error)) => {
                self.say(&error);
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn say(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let is_known = self
            .said
            .get()
            .is_some_and(|(said, when)| said == code && when.elapsed() < SAID_EVERY);
        if !is_known {
            self.said.set(Some((code, Instant::now())));
            tracing::warn!(error = %error, "Kafka failed");
        }
    }

    fn take(
        &self,
        message: &BorrowedMessage<'_>,
        batch: &mut Batch<P::Row>,
    ) -> Result<(), RunError> {
        let record = Record {
            key: message.key(),
            value: message.payload(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        };
        match self.consumer.read(&record) {
            Ok(change) => batch.changes.push(change),
            Err(bad) => {
                let letters = self.seal(message.topic(), &record, &bad)?;
                batch.letter_bytes += letters.iter().map(String::len).sum::<usize>();
                batch.letters.extend(letters);
            }
        }
        batch.records += 1;
        batch
            .next_offsets
            .insert(record.partition, record.offset + 1);
        Ok(())
    }

    /// A record that can't be sealed must not be passed over: then the process ends and reads it
    /// again.
    fn seal(
        &self,
        topic: &str,
        record: &Record<'_>,
        bad: &BadMessage,
    ) -> Result<Vec<String>, RunError> {
        let coordinates = format!("{topic}-{}@{}", record.partition, record.offset);
        let (code, field) = (bad.code, bad.field.unwrap_or("-"));
        tracing::warn!(message_id = %coordinates, code, field, "message can't be read");
        metrics::count("MessagesRejected", 1);
        let content = event_json(topic, record);
        let letters = DeadLetter::seal_in_parts(
            &self.key,
            P::NAME,
            &coordinates,
            None,
            bad,
            &content,
            clock::now(),
        );
        let bodies = letters.map_err(|_| RunError::NotSealed)?;
        let bodies = bodies.iter().map(serde_json::to_string);
        bodies
            .collect::<Result<_, _>>()
            .map_err(|_| RunError::NotSealed)
    }

    /// Waits until the other side takes the batch, and begins the next; nothing when it is gone.
    fn hand_over(
        &self,
        batch: Batch<P::Row>,
        batches: &Sender<Batch<P::Row>>,
    ) -> Result<Option<Batch<P::Row>>, RunError> {
        let mut waiting = batch;
        let mut next = Batch::new(self.settings.batch_records);
        let began = Instant::now();
        let mut is_paused = false;
        loop {
            waiting = match batches.try_send(waiting) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return Ok(None),
                Err(TrySendError::Full(batch)) => batch,
            };
            self.health.polled();
            if is_paused {
                // This tells the group that we live. A partition that it gives us meanwhile is not
                // paused: what it brings is kept.
                if self.look(PAUSED_WAIT, &mut next)? {
                    is_paused = self.pause(true);
                }
            } else if began.elapsed() > self.patience {
                is_paused = self.pause(true);
            } else {
                std::thread::sleep(BUSY_WAIT);
            }
        }
        if is_paused {
            self.pause(false);
        }
        Ok(Some(next))
    }

    fn pause(&self, paused: bool) -> bool {
        let assigned = self.kafka.assignment();
        let done = assigned.and_then(|partitions| match paused {
            true => self.kafka.pause(&partitions),
            false => self.kafka.resume(&partitions),
        });
        if let Err(error) = &done {
            tracing::warn!(error = %error, "Kafka could not be paused");
        }
        done.is_ok()
    }
}

#[cfg(test)]
mod tests;
