//! Topics: the embedded log, or a Kafka cluster where KAFKA_BROKERS names one.
//!
//! Architecture invariant: whoever hands batches to functions sees a [`PartitionLog`] and does not
//! know which of the two is behind it.

pub mod cluster;
pub mod embedded;
mod group;
mod member;
mod poller;

use sea_orm::DbErr;

use crate::bundle::TopicSource;
use crate::events::kafka::Record;

use cluster::ClusterTopics;
use embedded::EmbeddedTopics;

pub use group::{Group, read_embedded};

/// A record to be written. A missing value makes it a tombstone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Records of one key keep their order.
    pub key: Option<Vec<u8>>,
    /// The content.
    pub value: Option<Vec<u8>>,
    /// Name and value, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why a log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The embedded log's file.
    #[error("kafka.sqlite: {0}")]
    File(#[from] DbErr),
    /// The cluster, in words.
    #[error("Kafka: {0}")]
    Kafka(String),
}

/// One partition as one reader reads it.
pub trait PartitionLog: Send {
    /// The partition's number.
    fn partition(&self) -> i32;

    /// Where the reader goes on.
    fn position(&self) -> impl Future<Output = Result<i64, LogError>> + Send;

    /// What is there from an offset on, at most `max` records; it does not wait.
    fn read(
        &self,
        from: i64,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Record>, LogError>> + Send;

    /// Moves the reader: everything before `next` is handled.
    fn commit(&self, next: i64) -> impl Future<Output = Result<(), LogError>> + Send;
}

/// All topics, for those who write and look.
#[derive(Clone)]
pub enum Topics {
    /// In the state folder.
    Embedded(EmbeddedTopics),
    /// In a cluster.
    Cluster(ClusterTopics),
}

impl Topics {
    /// Writes records to a topic and answers how many.
    ///
    /// # Errors
    /// When one of them was not taken.
    pub async fn produce(
        &self,
        topic: &str,
        records: &[NewRecord],
        now_ms: i64,
    ) -> Result<usize, LogError> {
        match self {
            Self::Embedded(log) => Ok(log.produce(topic, records, now_ms).await?),
            Self::Cluster(cluster) => cluster.produce(topic, records).await,
        }
    }

    /// The first offset and the end of each partition of a topic.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn extents(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>, LogError> {
        match self {
            Self::Embedded(log) => Ok(log.extents(topic).await?),
            Self::Cluster(cluster) => cluster.extents(topic).await,
        }
    }

    /// At most about `max` records of a partition from an offset on.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Record>, LogError> {
        match self {
            Self::Embedded(log) => Ok(log.read(topic, partition, from, max).await?),
            Self::Cluster(cluster) => cluster.read(topic, partition, from, max).await,
        }
    }

    /// How many records of its topic a mapping has not handled yet.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn lag(&self, source: &TopicSource) -> Result<u64, LogError> {
        match self {
            Self::Embedded(log) => Ok(log.lag(&source.reader, &source.topic).await?),
            Self::Cluster(cluster) => cluster.lag(source).await,
        }
    }
}
