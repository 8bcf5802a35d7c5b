//! The member of a consumer group that reads a topic for one mapping: a thread polls Kafka and fills
//! a buffer for each partition that it was given.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::{mpsc, watch};

use super::cluster::{Connection, is_unknown_topic, record_of};
use super::{LogError, PartitionLog};
use crate::bundle::TopicSource;
use crate::events::kafka::Record;
use crate::terminal::note;

/// Longest time without a look at Kafka.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// Records that are read ahead of a function, in bytes, a partition.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// A batch that is being handled when its partition is taken away gets so long to end.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(10);
/// What was handled is committed this often, when a partition is handed on, and at the end.
const COMMIT_EVERY_MS: &str = "500";
/// A member that is silent for so long has died.
const SESSION_TIMEOUT_MS: &str = "10000";
/// librdkafka says many times a second that no broker answers; it is told once in this time.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// What is read ahead of one partition.
#[derive(Default)]
pub(super) struct Buffer(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Buffer {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, record: Record) {
        let mut queue = self.queue();
        queue.bytes += size(&record);
        queue.records.push_back(record);
    }

    fn is_full(&self, records: usize) -> bool {
        let queue = self.queue();
        queue.records.len() >= records || queue.bytes >= BUFFER_BYTES
    }

    fn from(&self, offset: i64, max: usize) -> Vec<Record> {
        let queue = self.queue();
        let records = queue.records.iter().skip_while(|r| r.offset < offset);
        records.take(max).cloned().collect()
    }

    fn forget_before(&self, offset: i64) {
        let mut queue = self.queue();
        while queue.records.front().is_some_and(|r| r.offset < offset) {
            let gone = queue.records.pop_front();
            queue.bytes -= gone.as_ref().map_or(0, size);
        }
    }
}

fn size(record: &Record) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| name.len() + length(value));
    length(&record.key) + length(&record.value) + headers.sum::<usize>()
}

/// A partition that the group gave to this member.
struct Assigned {
    buffer: Arc<Buffer>,
    /// Tells its reader to stop; closed when it has.
    stop: watch::Sender<bool>,
    is_paused: bool,
}

/// News of a partition for those who start its reader.
pub(super) struct Given {
    pub(super) partition: i32,
    pub(super) buffer: Arc<Buffer>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// The client's side of rebalances.
pub(super) struct Assignments {
    topic: String,
    assigned: Mutex<BTreeMap<i32, Assigned>>,
    given: mpsc::UnboundedSender<Given>,
}

/// Kafka's client of a member.
pub(super) type MemberClient = BaseConsumer<Assignments>;

impl Assignments {
    fn all(&self) -> MutexGuard<'_, BTreeMap<i32, Assigned>> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, partition: i32) {
        let buffer = Arc::new(Buffer::default());
        let (stop, stopping) = watch::channel(false);
        let given = Given {
            partition,
            buffer: Arc::clone(&buffer),
            stopping,
        };
        let assigned = Assigned {
            buffer,
            stop,
            is_paused: false,
        };
        self.all().insert(partition, assigned);
        // Nobody listens any more when the instance stops.
        let _stopping = self.given.send(given);
    }

    /// Tells every reader to stop.
    pub(super) fn stop_all(&self) {
        for assigned in self.all().values() {
            assigned.stop.send_replace(true);
        }
    }

    /// Waits until the readers have said how far they came: the partitions' next owners begin there.
    fn take(&self, partitions: &[i32]) {
        let taken: Vec<Assigned> = {
            let mut all = self.all();
            partitions.iter().filter_map(|p| all.remove(p)).collect()
        };
        for assigned in &taken {
            assigned.stop.send_replace(true);
        }
        let began = Instant::now();
        while began.elapsed() < HAND_OVER_LIMIT && taken.iter().any(|one| !one.stop.is_closed()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.take(&partitions_of(partitions));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            for partition in partitions_of(partitions) {
                self.give(partition);
            }
        }
    }
}

fn partitions_of(partitions: &TopicPartitionList) -> Vec<i32> {
    let elements = partitions.elements();
    elements.iter().map(|one| one.partition()).collect()
}

/// A member that has joined its group.
pub(super) struct Member {
    pub(super) client: Arc<MemberClient>,
    source: TopicSource,
    /// Reads on until this turns true; then it commits and leaves.
    pub(super) leaving: watch::Receiver<bool>,
}

impl Member {
    /// Joins; partitions come through `given`.
    pub(super) fn join(
        connection: &Connection,
        source: &TopicSource,
        given: mpsc::UnboundedSender<Given>,
        leaving: watch::Receiver<bool>,
    ) -> Result<Self, KafkaError> {
        let assignments = Assignments {
            topic: source.topic.clone(),
            assigned: Mutex::default(),
            given,
        };
        let client: MemberClient =
            group_member(connection, source).create_with_context(assignments)?;
        client.subscribe(&[&source.topic])?;
        Ok(Self {
            client: Arc::new(client),
            source: source.clone(),
            leaving,
        })
    }

    /// Polls, on a thread of its own, until the instance stops.
    pub(super) fn poll(self) {
        let mut said: Option<(RDKafkaErrorCode, Instant)> = None;
        while !*self.leaving.borrow() && self.leaving.has_changed().is_ok() {
            match self.client.poll(POLL_WAIT) {
                Some(Ok(message)) => self.keep(record_of(&message)),
                Some(Err(error)) => self.say(&error, &mut said),
                None => {}
            }
            self.resume_those_with_room();
        }
        match self.client.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => note(&format!(
                "topic {}: what was handled last is not committed and comes again: {error}",
                self.source.topic
            )),
        }
        self.client.unsubscribe();
    }

    fn keep(&self, record: Record) {
        let partition = record.partition;
        let mut all = self.client.context().all();
        // One that was just taken away comes to its next owner.
        let Some(assigned) = all.get_mut(&partition) else {
            return;
        };
        assigned.buffer.push(record);
        if !assigned.is_paused && assigned.buffer.is_full(self.most_records()) {
            assigned.is_paused = self.pause(partition, true);
        }
    }

    fn resume_those_with_room(&self) {
        let mut all = self.client.context().all();
        for (partition, assigned) in all.iter_mut().filter(|(_, one)| one.is_paused) {
            if !assigned.buffer.is_full(self.source.batch_size) {
                assigned.is_paused = !self.pause(*partition, false);
            }
        }
    }

    /// One batch with its function, another one waiting.
    fn most_records(&self) -> usize {
        self.source.batch_size.saturating_mul(2)
    }

    fn pause(&self, partition: i32, paused: bool) -> bool {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.client.context().topic, partition);
        let done = match paused {
            true => self.client.pause(&list),
            false => self.client.resume(&list),
        };
        done.is_ok()
    }

    fn say(&self, error: &KafkaError, said: &mut Option<(RDKafkaErrorCode, Instant)>) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let is_known = said.is_some_and(|(known, at)| known == code && at.elapsed() < SAID_EVERY);
        if is_known {
            return;
        }
        *said = Some((code, Instant::now()));
        let topic = &self.source.topic;
        note(&match is_unknown_topic(error) {
            true => format!("there is no topic {topic} in Kafka yet; it is read when it is made"),
            false => format!("topic {topic}: {error}; it is tried again"),
        });
    }
}

fn group_member(connection: &Connection, source: &TopicSource) -> ClientConfig {
    let mut client = connection.client();
    let reset = match source.from_start {
        true => "earliest",
        false => "latest",
    };
    client
        .set("group.id", connection.group(source))
        .set("group.instance.id", connection.member())
        // librdkafka commits what is stored, and stored is what was handled.
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", COMMIT_EVERY_MS)
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", SESSION_TIMEOUT_MS)
        .set("fetch.wait.max.ms", "100")
        // librdkafka reads ahead too; more would only fill memory.
        .set("queued.max.messages.kbytes", "4096");
    client
}

/// A partition of the group's topic.
pub(super) struct MemberPartition {
    client: Arc<MemberClient>,
    topic: String,
    partition: i32,
    buffer: Arc<Buffer>,
}

impl MemberPartition {
    pub(super) fn new(client: &Arc<MemberClient>, topic: &str, given: &Given) -> Self {
        Self {
            client: Arc::clone(client),
            topic: topic.to_owned(),
            partition: given.partition,
            buffer: Arc::clone(&given.buffer),
        }
    }
}

impl PartitionLog for MemberPartition {
    fn partition(&self) -> i32 {
        self.partition
    }

    /// Kafka's group knows where it goes on, and the buffer begins there.
    async fn position(&self) -> Result<i64, LogError> {
        Ok(0)
    }

    async fn read(&self, from: i64, max: usize) -> Result<Vec<Record>, LogError> {
        Ok(self.buffer.from(from, max))
    }

    async fn commit(&self, next: i64) -> Result<(), LogError> {
        self.buffer.forget_before(next);
        // Where the partition went to another member, that one reads it again.
        let _lost = self
            .client
            .store_offset(&self.topic, self.partition, next - 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::kafka::TimestampType;

    fn record(offset: i64, bytes: usize) -> Record {
        Record {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            timestamp_type: TimestampType::Create,
            key: None,
            value: Some(vec![0; bytes]),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_buffer_keeps_what_is_not_handled_whatever_gaps_there_are() {
        let buffer = Buffer::default();
        for offset in [3, 4, 8, 9] {
            buffer.push(record(offset, 10));
        }
        let offsets = |from, max| -> Vec<i64> {
            let records = buffer.from(from, max);
            records.iter().map(|record| record.offset).collect()
        };
        assert_eq!(offsets(0, 3), [3, 4, 8]);
        assert_eq!(offsets(5, 9), [8, 9]);
        assert!(buffer.is_full(4) && !buffer.is_full(5));
        buffer.forget_before(9);
        assert_eq!(offsets(0, 9), [9]);
        assert!(!buffer.is_full(2));
        buffer.push(record(10, BUFFER_BYTES));
        assert!(buffer.is_full(100), "by its bytes");
        buffer.forget_before(11);
        assert!(!buffer.is_full(1));
    }
}
