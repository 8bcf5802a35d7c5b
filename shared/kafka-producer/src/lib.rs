//! Records into Kafka: acknowledged by all replicas, written once however often librdkafka tries,
//! and told within a time.
//!
//! Architecture invariant: a record's content is never logged nor part of an error.

use std::time::Duration;

use futures::future::join_all;
pub use kafka_settings::Credentials;
use kafka_settings::{Cluster, ClusterContext};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

/// Largest key and value of one record, in bytes: brokers refuse a batch over 1 MiB, as they come.
pub const LARGEST_RECORD_BYTES: usize = 1_000_000;
/// Records of one call wait for each other this long at most, to leave together.
const LINGER_MS: &str = "2";
/// A request that a broker leaves unanswered is tried again after so long.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A broker is looked for again after so long at most.
const LONGEST_RECONNECT_MS: &str = "1000";

/// A record for a topic.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// What decides its partition, as Java's clients decide; records of one key keep their order.
    pub key: Option<Vec<u8>>,
    /// Its content; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers by name.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why a record was not acknowledged. It may be in the topic all the same, so consumers need its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Another try may help.
    #[error("the record was not acknowledged: {0:?}")]
    NotAcknowledged(RDKafkaErrorCode),
    /// No broker would take it.
    #[error("the record must be at most 1000000 bytes")]
    TooLarge,
}

/// Kafka's client could not be made of the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kafka's client refuses its settings: {0}")]
pub struct NotMade(String);

/// Writes to the topics of a cluster.
#[derive(Clone)]
pub struct KafkaProducer {
    inner: FutureProducer<ClusterContext>,
}

impl KafkaProducer {
    /// The producer of the cluster that these variables tell of ([`Cluster::read`]); none where
    /// KAFKA_BROKERS is not set. `credentials` sign where IAM lets in.
    ///
    /// # Errors
    /// When another variable is missing or wrong.
    pub fn of_settings(
        variable: impl Fn(&str) -> Option<String>,
        credentials: Option<Credentials>,
        limit: Duration,
    ) -> Result<Option<Self>, NotMade> {
        if variable("KAFKA_BROKERS").is_none() {
            return Ok(None);
        }
        let cluster = Cluster::read(variable).map_err(|bad| NotMade(bad.to_string()))?;
        let cluster = cluster.with_credentials(credentials);
        Self::new(&cluster, limit).map(Some)
    }

    /// A producer whose records are acknowledged, or refused, after `limit` and a second at most.
    /// It connects with its first record.
    ///
    /// # Errors
    /// When the settings make no client.
    pub fn new(cluster: &Cluster, limit: Duration) -> Result<Self, NotMade> {
        let request_limit = limit.min(REQUEST_LIMIT).as_millis();
        let inner = cluster
            .client()
            .set("acks", "all")
            // A repeated request writes nothing twice, and order holds with five on their way.
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", limit.as_millis().to_string())
            .set("request.timeout.ms", request_limit.to_string())
            .set("linger.ms", LINGER_MS)
            .set("message.max.bytes", LARGEST_RECORD_BYTES.to_string())
            // Java's clients and ours put a key into the same partition.
            .set("partitioner", "murmur2_random")
            .set("reconnect.backoff.max.ms", LONGEST_RECONNECT_MS)
            .set("socket.keepalive.enable", "true")
            .create_with_context(cluster.context())
            .map_err(|error: KafkaError| NotMade(error.to_string()))?;
        Ok(Self { inner })
    }

    /// Sends records to a topic, all on their way at once; one answer for each, in their order.
    pub async fn send(
        &self,
        topic: &str,
        records: &[OutgoingRecord],
    ) -> Vec<Result<(), SendError>> {
        let sent = records.iter().map(|record| self.enqueue(topic, record));
        // In the order of the records: what follows only waits.
        let sent: Vec<_> = sent.collect();
        let answers = sent.into_iter().map(async |enqueued| match enqueued {
            Err(error) => Err(error),
            Ok(delivery) => match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(reason(&error)),
                Err(_) => Err(SendError::NotAcknowledged(RDKafkaErrorCode::Fail)),
            },
        });
        join_all(answers).await
    }

    fn enqueue(
        &self,
        topic: &str,
        record: &OutgoingRecord,
    ) -> Result<rdkafka::producer::DeliveryFuture, SendError> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let mut outgoing: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic);
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            outgoing = outgoing.headers(headers);
        }
        self.inner
            .send_result(outgoing)
            .map_err(|(error, _)| reason(&error))
    }
}

fn reason(error: &KafkaError) -> SendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            SendError::TooLarge
        }
        code => SendError::NotAcknowledged(code.unwrap_or(RDKafkaErrorCode::Fail)),
    }
}
