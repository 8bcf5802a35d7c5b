//! The test's side of Kafka: topics, what is produced, what was committed, what lies in a topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord, Producer},
};

use crate::stream::{PARTITIONS, Sent};

const WAIT: Duration = Duration::from_secs(20);
const MOST_BYTES: &str = "3000000";

/// A topic of changes with its dead letters, and the group that reads it.
pub struct Topic {
    pub brokers: String,
    pub name: String,
    pub letters: String,
    pub group: String,
    producer: FutureProducer,
    /// How many records each partition got.
    sent: BTreeMap<i32, i64>,
}

impl Topic {
    pub async fn create(brokers: &str, name: &str) -> Self {
        Self::with_letters(brokers, name, Some(("retention.ms", "86400000"))).await
    }

    /// With a topic of dead letters that has this setting, or without one.
    pub async fn with_letters(brokers: &str, name: &str, setting: Option<(&str, &str)>) -> Self {
        let letters = format!("{name}.televendas.cartas-mortas");
        let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
        let topic = |name, partitions| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let mut topics = vec![topic(name, PARTITIONS).set("max.message.bytes", MOST_BYTES)];
        topics.extend(setting.map(|(name, value)| topic(&letters, 1).set(name, value)));
        let made = admin.create_topics(&topics, &AdminOptions::new()).await;
        for topic in made.unwrap() {
            topic.unwrap();
        }
        let producer = client(brokers)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", MOST_BYTES)
            .set("linger.ms", "1")
            .set("message.timeout.ms", "60000")
            .create()
            .unwrap();
        Self {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
            letters,
            group: format!("{name}-grupo"),
            producer,
            sent: (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
        }
    }

    /// Produces in this order; answers the coordinates, by which dead letters name the records.
    pub async fn produce(&mut self, records: &[Sent]) -> Vec<String> {
        let mut arrivals = Vec::new();
        for sent in records {
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&self.name)
                .partition(sent.partition)
                .timestamp(sent.timestamp_ms);
            record.key = sent.key.as_deref();
            record.payload = sent.value.as_deref();
            let arrival = self
                .producer
                .send_result(record)
                .map_err(|(error, _)| error);
            arrivals.push(arrival.unwrap());
        }
        let mut coordinates = Vec::new();
        for (arrival, sent) in arrivals.into_iter().zip(records) {
            let at = arrival.await.unwrap().map_err(|(error, _)| error).unwrap();
            assert_eq!(at.partition, sent.partition);
            coordinates.push(format!("{}-{}@{}", self.name, at.partition, at.offset));
            self.sent.insert(at.partition, at.offset + 1);
        }
        coordinates
    }

    /// Produces without waiting, for a steady rate.
    pub fn produce_one(&mut self, sent: &Sent) {
        let mut record: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(&self.name).partition(sent.partition);
        record.key = sent.key.as_deref();
        record.payload = sent.value.as_deref();
        drop(
            self.producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .unwrap(),
        );
        *self.sent.entry(sent.partition).or_default() += 1;
    }

    pub fn flush(&self) {
        self.producer.flush(WAIT).unwrap();
    }

    /// How many records the group has not committed yet.
    pub fn lag(&self) -> i64 {
        let reader: BaseConsumer = client(&self.brokers)
            .set("group.id", &self.group)
            .create()
            .unwrap();
        let mut asked = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            asked.add_partition(&self.name, partition);
        }
        // A broker that has just started makes its topic of offsets first.
        let began = Instant::now();
        let committed = loop {
            match reader.committed_offsets(asked.clone(), WAIT) {
                Ok(committed) => break committed,
                Err(error) => assert!(began.elapsed() < WAIT, "no offsets: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let lags = committed.elements().into_iter().map(|one| {
            let committed = match one.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            };
            let lag = self.sent[&one.partition()] - committed;
            assert!(lag >= 0, "committed beyond what was produced");
            lag
        });
        lags.sum()
    }

    /// Waits until so many members are in the group and each has partitions.
    pub async fn until_shared(&self, members: usize, limit: Duration) {
        let began = Instant::now();
        let mut shares = Vec::new();
        while began.elapsed() < limit {
            shares = tokio::task::block_in_place(|| self.shares());
            if shares.len() == members && shares.iter().all(|topics| *topics > 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the group has {shares:?} and not {members} members");
    }

    /// Of how many topics each member has partitions; nothing while they are being shared out.
    fn shares(&self) -> Vec<i32> {
        let reader: BaseConsumer = client(&self.brokers).create().unwrap();
        let groups = reader.fetch_group_list(Some(&self.group), WAIT).unwrap();
        let stable = groups
            .groups()
            .iter()
            .filter(|group| group.state() == "Stable");
        let members = stable.flat_map(|group| group.members());
        // An assignment begins with its version (2 bytes) and the count of its topics (4).
        let topics = members.map(|member| {
            let assigned = member.assignment().unwrap_or_default();
            let count = assigned.get(2..6).and_then(|bytes| bytes.try_into().ok());
            count.map_or(0, i32::from_be_bytes)
        });
        topics.collect()
    }

    pub async fn until_consumed(&self, limit: Duration) {
        let began = Instant::now();
        loop {
            let lag = tokio::task::block_in_place(|| self.lag());
            if lag == 0 {
                return;
            }
            assert!(began.elapsed() < limit, "{lag} records were not consumed");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// For how long dead letters are kept; nothing where they have no topic.
    pub async fn letters_are_kept_for(&self) -> Option<String> {
        let admin: AdminClient<DefaultClientContext> = client(&self.brokers).create().unwrap();
        let asked = [ResourceSpecifier::Topic(&self.letters)];
        let told = admin.describe_configs(&asked, &AdminOptions::new()).await;
        let config = told.unwrap().remove(0).ok()?;
        config.get("retention.ms")?.value.clone()
    }

    /// Every dead letter, as it lies in its topic.
    pub fn dead_letters(&self) -> Vec<Vec<u8>> {
        let reader: BaseConsumer = client(&self.brokers)
            .set("group.id", format!("{}-leitor", self.group))
            .create()
            .unwrap();
        let (first, end) = reader.fetch_watermarks(&self.letters, 0, WAIT).unwrap();
        let mut start = TopicPartitionList::new();
        start
            .add_partition_offset(&self.letters, 0, Offset::Offset(first))
            .unwrap();
        reader.assign(&start).unwrap();
        let mut found = Vec::new();
        let mut next = first;
        while next < end {
            let message = reader.poll(WAIT).expect("a dead letter").unwrap();
            next = message.offset() + 1;
            assert!(message.key().is_none(), "a key would tell of whom it is");
            found.push(message.payload().unwrap().to_vec());
        }
        found
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    client
}
