//! Reads a topic for a function, as Lambda's event source mapping does: one batch per partition at
//! a time, in order, again from the first failed record, and on to the destination after too many
//! tries.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{LogError, PartitionLog};
use crate::bundle::{Destination, LOCAL_ACCOUNT, LOCAL_REGION, TopicSource};
use crate::events::kafka::{self, BatchAnswer, Record};
use crate::invoker::Invoker;
use crate::processes::{Outcome, new_request_id};
use crate::terminal::note;

/// A quiet partition is looked at this often; after an invocation at once.
const QUIET_LOOK: Duration = Duration::from_millis(50);
/// A partition that was quiet for [`IDLE_AFTER`] is looked at this often, to spare the battery.
const IDLE_LOOK: Duration = Duration::from_millis(250);
/// See [`IDLE_LOOK`].
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Waits before the same batch is tried again, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest of those waits.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Most bytes of an event (Lambda developer guide, "Batching behavior": 6 MB).
const PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// With a destination, endless retries become ten (Lambda developer guide, Kafka destinations).
const RETRIES_WITH_DESTINATION: u32 = 10;

/// One partition of one mapping.
pub struct TopicPoller<L> {
    /// The mapping.
    pub source: TopicSource,
    /// The partition.
    pub log: L,
    /// The brokers that events name.
    pub bootstrap_servers: String,
    /// Who invokes.
    pub invoker: Arc<Invoker>,
    /// Turns true when the partition is not read any more.
    pub stopping: watch::Receiver<bool>,
}

/// How the batch at the reader's place went so far.
struct Tries {
    failures: u32,
    wait: Duration,
    max_records: usize,
}

impl Tries {
    fn new(max_records: usize) -> Self {
        Self {
            failures: 0,
            wait: FIRST_RETRY,
            max_records,
        }
    }
}

enum Fate {
    Handled,
    FailedFrom(i64),
    Stopped,
}

impl<L: PartitionLog> TopicPoller<L> {
    /// Polls until it is told to stop.
    pub async fn run(mut self) {
        while !*self.stopping.borrow() {
            if let Err(error) = self.read_on().await {
                note(&format!("topic {}: {error}", self.source.topic));
                self.pause(FIRST_RETRY).await;
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), LogError> {
        let mut next = self.log.position().await?;
        let mut tries = Tries::new(self.source.batch_size);
        loop {
            let batch = self.gather(next, tries.max_records).await?;
            let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
                return Ok(());
            };
            let (first, after) = (first.offset, last.offset + 1);
            let handled_to = match self.hand_over(&batch).await {
                Fate::Handled => after,
                Fate::FailedFrom(offset) => offset,
                Fate::Stopped => return Ok(()),
            };
            if handled_to > first {
                self.log.commit(handled_to).await?;
                next = handled_to;
                tries = Tries::new(self.source.batch_size);
            }
            if handled_to == after {
                continue;
            }
            // Offsets may have gaps.
            let left = batch.iter().filter(|r| r.offset >= next).count();
            if self.source.splits_batches && left > 1 {
                // A split does not count as a retry.
                tries.max_records = left.div_ceil(2);
                continue;
            }
            tries.failures += 1;
            if self.limit().is_some_and(|limit| tries.failures > limit) {
                let lost: Vec<&Record> = batch
                    .iter()
                    .filter(|record| record.offset >= next)
                    .collect();
                if self.give_up(&lost, tries.failures).await {
                    self.log.commit(after).await?;
                    next = after;
                    tries = Tries::new(self.source.batch_size);
                    continue;
                }
            }
            self.pause(tries.wait).await;
            tries.wait = (tries.wait * 2).min(LONGEST_RETRY);
        }
    }

    fn limit(&self) -> Option<u32> {
        let destination = self.source.on_failure.as_ref();
        self.source
            .max_retries
            .or(destination.map(|_| RETRIES_WITH_DESTINATION))
    }

    /// The next batch; empty only when the poller stops.
    async fn gather(&mut self, next: i64, max: usize) -> Result<Vec<Record>, LogError> {
        let window = Duration::from_millis(self.source.window_ms);
        let mut window_ends: Option<Instant> = None;
        let begun = Instant::now();
        loop {
            if *self.stopping.borrow() {
                return Ok(Vec::new());
            }
            let mut batch = self.log.read(next, max).await?;
            let is_cut = cut_to_payload(&mut batch);
            let now = Instant::now();
            let is_due = !batch.is_empty() && now >= *window_ends.get_or_insert(now + window);
            if is_cut || batch.len() >= max || is_due {
                return Ok(batch);
            }
            let is_idle = begun.elapsed() > IDLE_AFTER;
            let look = if is_idle { IDLE_LOOK } else { QUIET_LOOK };
            let look = window_ends.map_or(look, |ends| look.min(ends - now));
            let activity = Arc::clone(self.invoker.activity());
            tokio::select! {
                () = activity.notified() => {}
                () = tokio::time::sleep(look) => {}
                _changed = self.stopping.changed() => {}
            }
        }
    }

    fn event(&self, batch: &[Record]) -> Value {
        let arn = self.source.cluster_arn.as_deref();
        kafka::event(batch, &self.bootstrap_servers, arn)
    }

    async fn hand_over(&self, batch: &[Record]) -> Fate {
        let event = self.event(batch);
        let payload = Bytes::from(event.to_string());
        let first = batch.first().map_or(0, |record| record.offset);
        let outcome = self.invoker.invoke(&self.source.function, payload).await;
        let fate = match outcome {
            Ok(outcome) if outcome.is_success() => self.read_answer(&outcome, batch, first),
            Ok(_failed) => Fate::FailedFrom(first),
            Err(crate::processes::InvokeError::Stopping) => Fate::Stopped,
            Err(_not_tried) => Fate::FailedFrom(first),
        };
        if let Fate::FailedFrom(offset) = fate {
            let (function, topic, partition) = (
                &self.source.function,
                &self.source.topic,
                self.log.partition(),
            );
            note(&format!(
                "{function}: {topic}-{partition} failed from offset {offset} on"
            ));
        }
        fate
    }

    fn read_answer(&self, outcome: &Outcome, batch: &[Record], first: i64) -> Fate {
        if !self.source.partial_answers {
            return Fate::Handled;
        }
        match kafka::read_answer(&outcome.payload, batch) {
            BatchAnswer::Handled => Fate::Handled,
            BatchAnswer::FailedFrom(offset) => Fate::FailedFrom(offset),
            BatchAnswer::Malformed => Fate::FailedFrom(first),
        }
    }

    /// Hands a lost batch to the destination: a queue gets metadata only, a bucket the records too.
    /// Where that fails they are tried again: Lambda would drop them here, and count that.
    async fn give_up(&self, lost: &[&Record], attempts: u32) -> bool {
        let (topic, partition) = (&self.source.topic, self.log.partition());
        note(&format!(
            "{topic}-{partition}: {} records were given up",
            lost.len()
        ));
        let Some(destination) = &self.source.on_failure else {
            return true;
        };
        let id = new_request_id();
        let servers = &self.bootstrap_servers;
        let mut record = metadata(&self.source, servers, partition, lost, attempts, &id);
        if let (Destination::Bucket(_), Value::Object(fields)) = (destination, &mut record) {
            let owned: Vec<Record> = lost.iter().map(|record| (*record).clone()).collect();
            let payload = self.event(&owned).to_string();
            fields.insert("payload".to_owned(), Value::String(payload));
        }
        let text = record.to_string();
        let put = self
            .invoker
            .destinations()
            .put(destination, &self.source.mapping, &id, text);
        let put = put.await;
        if let Err(error) = &put {
            note(&format!(
                "{topic}-{partition}: its destination failed: {error}; they are tried again"
            ));
        }
        put.is_ok()
    }

    async fn pause(&mut self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            _changed = self.stopping.changed() => {}
        }
    }
}

/// Cuts a batch where its event would be larger than Lambda takes; whether it was.
fn cut_to_payload(batch: &mut Vec<Record>) -> bool {
    let mut bytes = 0;
    let fitting = batch.iter().take_while(|record| {
        bytes += kafka::event_bytes(record);
        bytes <= PAYLOAD_BYTES
    });
    // One alone is handed over whatever its size.
    let fitting = fitting.count().max(1);
    let is_cut = fitting < batch.len();
    batch.truncate(fitting);
    is_cut
}

fn metadata(
    source: &TopicSource,
    bootstrap_servers: &str,
    partition: i32,
    lost: &[&Record],
    attempts: u32,
    id: &str,
) -> Value {
    let bytes: usize = lost
        .iter()
        .filter_map(|record| record.value.as_ref())
        .map(Vec::len)
        .sum();
    let offset = |record: Option<&&Record>| record.map_or(-1, |record| record.offset).to_string();
    let time = |record: Option<&&Record>| {
        let at = record.and_then(|r| Timestamp::from_millisecond(r.timestamp_ms).ok());
        at.map(|at| at.to_string()).unwrap_or_default()
    };
    let place = format!("{}-{partition}", source.topic);
    json!({
        "version": "1.0",
        "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "requestContext": {
            "requestId": id,
            "functionArn": format!(
                "arn:aws:lambda:{}:{}:function:{}",
                LOCAL_REGION, LOCAL_ACCOUNT, source.function
            ),
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": attempts,
        },
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "KafkaBatchInfo": {
            "batchSize": lost.len(),
            "eventSourceArn": source.cluster_arn,
            "bootstrapServers": bootstrap_servers,
            "payloadSize": bytes,
            "recordInfo": { place: {
                "firstRecordOffset": offset(lost.first()),
                "lastRecordOffset": offset(lost.last()),
                "firstRecordTimestamp": time(lost.first()),
                "lastRecordTimestamp": time(lost.last()),
            } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::kafka::TimestampType;

    #[test]
    fn a_batch_is_no_larger_than_lambda_takes_but_holds_one_record() {
        let record = |bytes| Record {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            timestamp_type: TimestampType::Create,
            key: None,
            value: Some(vec![0; bytes]),
            headers: Vec::new(),
        };
        for (sizes, left) in [
            (vec![10; 5], 5),
            (vec![1_000_000; 9], 4),
            (vec![PAYLOAD_BYTES, 1], 1),
        ] {
            let mut batch: Vec<Record> = sizes.into_iter().map(record).collect();
            let is_cut = left < batch.len();
            assert_eq!(cut_to_payload(&mut batch), is_cut);
            assert_eq!(batch.len(), left);
        }
    }
}
