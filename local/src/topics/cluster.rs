//! Topics of a Kafka cluster: where it is, writing, looking, and how far a group has come.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, OutgoingRecord, SendError};
use kafka_settings::{Cluster, MSK_IAM};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, Timestamp, TopicPartitionList};

use super::{LogError, NewRecord};
use crate::bundle::TopicSource;
use crate::events::kafka::{Record, TimestampType};
use crate::failure::{Failure, OrFailure};
use crate::processes::new_request_id;
use crate::state::write_private;

/// The settings of a cluster that the terminal may give; [`Cluster::read`] says what each means.
pub const VARIABLES: [&str; 6] = [
    "KAFKA_BROKERS",
    "KAFKA_SECURITY",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_USER",
    "KAFKA_PASSWORD",
    "KAFKA_CA_FILE",
];
/// Names the groups of this instance; without it each state folder has its own.
const GROUP_VARIABLE: &str = "KAFKA_GROUP";
/// Records are acknowledged within this time or refused.
const PRODUCE_LIMIT: Duration = Duration::from_secs(20);
/// A broker answers a question within this time.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A topic that was made meanwhile is seen after so long.
const METADATA_REFRESH_MS: &str = "2000";
const LONGEST_RECONNECT_MS: &str = "1000";
/// A record is waited for so long when it is read back.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// A cluster, and who this instance is in it.
#[derive(Clone)]
pub struct Connection {
    cluster: Cluster,
    settings: BTreeMap<&'static str, String>,
    /// What the names of its groups begin with.
    group_prefix: String,
    /// A member of this name that is started again gets its partitions back at once.
    member: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brokers = self.cluster.brokers();
        formatter.debug_tuple("Connection").field(&brokers).finish()
    }
}

impl Connection {
    /// The cluster that the variables name; none without KAFKA_BROKERS. The state folder remembers
    /// which member of its groups this instance is: an empty folder begins at the start.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn of(
        variable: impl Fn(&str) -> Option<String>,
        state_dir: &Path,
    ) -> Result<Option<Self>, Failure> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if given("KAFKA_BROKERS").is_none() {
            return Ok(None);
        }
        if given("KAFKA_SASL_MECHANISM").as_deref() == Some(MSK_IAM) {
            return Err(Failure::mend(
                "KAFKA_SASL_MECHANISM: a laptop has no role that IAM lets in; take SCRAM-SHA-512",
            ));
        }
        let cluster = Cluster::read(given).or_mend(|| "Kafka's settings".to_owned())?;
        let named = |name| given(name).map(|value| (name, value));
        let member = member(state_dir)?;
        let group_prefix = given(GROUP_VARIABLE).unwrap_or_else(|| format!("feira-local-{member}"));
        Ok(Some(Self {
            cluster,
            settings: VARIABLES.into_iter().filter_map(named).collect(),
            group_prefix,
            member,
        }))
    }

    /// `host:port`, separated by commas.
    pub fn brokers(&self) -> &str {
        self.cluster.brokers()
    }

    /// The variables that say all this.
    pub fn settings(&self) -> &BTreeMap<&'static str, String> {
        &self.settings
    }

    /// The consumer group of a mapping: one a function and topic, as a deployed mapping has it.
    pub fn group(&self, source: &TopicSource) -> String {
        format!("{}-{}", self.group_prefix, source.reader)
    }

    /// The name of this instance's member of a group.
    pub(super) fn member(&self) -> &str {
        &self.member
    }

    /// What any client of the cluster is made of.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = self.cluster.client();
        client
            .set("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS)
            .set("reconnect.backoff.max.ms", LONGEST_RECONNECT_MS)
            .set("socket.keepalive.enable", "true");
        client
    }
}

/// The member's name, made up once for the state folder.
fn member(state_dir: &Path) -> Result<String, Failure> {
    let path = state_dir.join("kafka.membro");
    let cannot = || format!("{} cannot be used", path.display());
    match std::fs::read_to_string(&path) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = new_request_id();
            let name: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
            write_private(&path, &name).or_mend(cannot)?;
            Ok(name)
        }
        Err(error) => Err(error).or_mend(cannot),
    }
}

/// The topics of a cluster, for those who write and look.
#[derive(Clone)]
pub struct ClusterTopics {
    connection: Connection,
    producer: KafkaProducer,
    /// By group; a question needs no new connection.
    readers: Arc<Mutex<HashMap<String, Arc<BaseConsumer>>>>,
}

impl ClusterTopics {
    /// Connects with the first question.
    ///
    /// # Errors
    /// When Kafka's client refuses the settings.
    pub fn new(connection: &Connection) -> Result<Self, LogError> {
        let producer = KafkaProducer::new(&connection.cluster, PRODUCE_LIMIT);
        Ok(Self {
            connection: connection.clone(),
            producer: producer.map_err(|error| LogError::Kafka(error.to_string()))?,
            readers: Arc::default(),
        })
    }

    /// Writes records, acknowledged by all replicas; the first that was not is the error.
    ///
    /// # Errors
    /// When one of them was not acknowledged in time. It may be there all the same.
    pub async fn produce(&self, topic: &str, records: &[NewRecord]) -> Result<usize, LogError> {
        let outgoing = records.iter().map(|record| OutgoingRecord {
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        });
        let outgoing: Vec<OutgoingRecord> = outgoing.collect();
        for sent in self.producer.send(topic, &outgoing).await {
            sent.map_err(|error| LogError::Kafka(not_sent(topic, error)))?;
        }
        Ok(records.len())
    }

    /// The first offset and the end of each partition; none where there is no such topic.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn extents(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>, LogError> {
        let topic = topic.to_owned();
        let group = format!("{}-leitura", self.connection.group_prefix);
        self.ask(group, move |reader| extents(reader, &topic)).await
    }

    /// The records of a partition from an offset on, about `max` of them; what was compacted away
    /// is passed over.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let topic = topic.to_owned();
        let group = format!("{}-leitura", self.connection.group_prefix);
        let read = move |reader: &BaseConsumer| read(reader, &topic, partition, from, max);
        self.ask(group, read).await
    }

    /// How many records a mapping's group has not committed yet.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn lag(&self, source: &TopicSource) -> Result<u64, LogError> {
        let (topic, from_start) = (source.topic.clone(), source.from_start);
        let group = self.connection.group(source);
        self.ask(group, move |reader| lag(reader, &topic, from_start))
            .await
    }

    /// Asks a broker, which blocks, where nobody is held up by it.
    async fn ask<T: Send + 'static>(
        &self,
        group: String,
        question: impl FnOnce(&BaseConsumer) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, LogError> {
        let topics = self.clone();
        let asked = move || {
            let reader = topics.reader(group)?;
            question(&reader)
        };
        let answer = tokio::task::spawn_blocking(asked).await;
        let answer = answer.map_err(|error| LogError::Kafka(error.to_string()))?;
        answer.map_err(|error| LogError::Kafka(error.to_string()))
    }

    fn reader(&self, group: String) -> Result<Arc<BaseConsumer>, KafkaError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&group) {
            return Ok(Arc::clone(reader));
        }
        let mut client = self.connection.client();
        client
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        let reader: Arc<BaseConsumer> = Arc::new(client.create()?);
        readers.insert(group, Arc::clone(&reader));
        Ok(reader)
    }
}

fn not_sent(topic: &str, error: SendError) -> String {
    match error {
        SendError::NotAcknowledged(
            RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition,
        ) => format!("there is no topic {topic}: make it first"),
        SendError::NotAcknowledged(RDKafkaErrorCode::MessageTimedOut) => format!(
            "topic {topic}: nothing was acknowledged within {} s: is the broker up, do the KAFKA_ \
             settings fit, is there such a topic?",
            PRODUCE_LIMIT.as_secs()
        ),
        other => format!("topic {topic}: {other}"),
    }
}

fn extents(reader: &BaseConsumer, topic: &str) -> Result<Vec<(i32, i64, i64)>, KafkaError> {
    let metadata = reader.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.filter(|found| found.error().is_none());
    let partitions = partitions.map(|found| found.partitions()).unwrap_or(&[]);
    partitions
        .iter()
        .map(|partition| {
            let (first, end) = reader.fetch_watermarks(topic, partition.id(), ANSWER_LIMIT)?;
            Ok((partition.id(), first, end))
        })
        .collect()
}

fn lag(reader: &BaseConsumer, topic: &str, from_start: bool) -> Result<u64, KafkaError> {
    let extents = extents(reader, topic)?;
    let mut asked = TopicPartitionList::new();
    for (partition, ..) in &extents {
        asked.add_partition(topic, *partition);
    }
    let committed = reader.committed_offsets(asked, ANSWER_LIMIT)?;
    let lags = extents.iter().map(|(partition, first, end)| {
        let place = committed.find_partition(topic, *partition);
        let next = match place.map(|place| place.offset()) {
            Some(Offset::Offset(next)) => next.max(*first),
            _ if from_start => *first,
            _ => *end,
        };
        u64::try_from(end - next).unwrap_or(0)
    });
    Ok(lags.sum())
}

fn read(
    reader: &BaseConsumer,
    topic: &str,
    partition: i32,
    from: i64,
    max: usize,
) -> Result<Vec<Record>, KafkaError> {
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, partition, Offset::Offset(from))?;
    reader.assign(&start)?;
    let mut records = Vec::new();
    let mut came = Instant::now();
    while records.len() < max && came.elapsed() < READ_LIMIT {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                records.push(record_of(&message));
                came = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(error)) if is_for_good(&error) => return Err(error),
            Some(Err(_)) | None => {}
        }
    }
    match records.is_empty() {
        true => Err(KafkaError::MessageConsumption(
            RDKafkaErrorCode::OperationTimedOut,
        )),
        false => Ok(records),
    }
}

/// Whether waiting for it to pass is in vain.
fn is_for_good(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
}

/// A message as Lambda's event holds it.
pub(super) fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let (timestamp_ms, timestamp_type) = match message.timestamp() {
        Timestamp::CreateTime(at) => (at, TimestampType::Create),
        Timestamp::LogAppendTime(at) => (at, TimestampType::LogAppend),
        Timestamp::NotAvailable => (-1, TimestampType::Create),
    };
    let headers = message.headers().map(|headers| {
        let headers = headers.iter();
        headers
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Record {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms,
        timestamp_type,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

/// Whether a topic's answer says that there is no such topic.
pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    let unknown: RDKafkaErrorCode = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.into();
    code == Some(unknown) || code == Some(RDKafkaErrorCode::UnknownTopic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_asks_for_a_role_is_refused_with_what_to_take_instead() {
        let given = |name: &str| match name {
            "KAFKA_BROKERS" => Some("b-1.msk:9098".to_owned()),
            "KAFKA_SASL_MECHANISM" => Some(MSK_IAM.to_owned()),
            _ => None,
        };
        let folder = tempfile::tempdir().unwrap();
        let refused = Connection::of(given, folder.path()).err().unwrap();
        assert!(refused.to_string().contains("take SCRAM-SHA-512"));
        assert!(matches!(Connection::of(|_| None, folder.path()), Ok(None)));
    }
}
