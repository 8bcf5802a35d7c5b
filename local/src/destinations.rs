//! Where failed work goes: dead-letter queues and on-failure destinations.
//!
//! Source: Lambda developer guide, "Capturing records of Lambda asynchronous invocations" and
//! "Retain discarded batches for self-managed Apache Kafka event sources".

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use queues::{EmbeddedQueues, OutgoingMessage, embedded_queue_url, group_id};
use serde_json::{Value, json};

use crate::bundle::{Destination, LOCAL_ACCOUNT, LOCAL_REGION};

/// An asynchronous invocation that failed for the last time.
#[derive(Debug)]
pub struct FailedInvocation<'a> {
    /// Logical id of the function.
    pub function: &'a str,
    /// Lambda's request id.
    pub request_id: &'a str,
    /// The event.
    pub payload: &'a [u8],
    /// Attempts in all.
    pub attempts: u32,
    /// The error object of the last attempt, where the function gave one.
    pub response: Option<&'a [u8]>,
}

/// Why a destination did not take a record.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// The queue refused it.
    #[error("{0}")]
    Queue(String),
    /// The folder refused it.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
    /// Functions as destinations are not built.
    #[error("the destination {0} is neither a queue nor a bucket")]
    Unknown(String),
}

/// Queues and buckets as destinations.
#[derive(Debug, Clone)]
pub struct Destinations {
    queues: EmbeddedQueues,
    files_dir: PathBuf,
}

impl Destinations {
    /// Destinations in these queues and below this folder.
    pub fn new(queues: EmbeddedQueues, state_dir: &Path) -> Self {
        Self {
            queues,
            files_dir: state_dir.join("arquivos"),
        }
    }

    /// Hands a failed asynchronous invocation on: to the function's own destination, else to the
    /// dead-letter queue of the schedule that started it, else nowhere.
    ///
    /// # Errors
    /// [`DestinationError`]; the invocation should be kept.
    pub async fn deliver(
        &self,
        destination: Option<&Destination>,
        dead_letters: Option<&str>,
        failed: &FailedInvocation<'_>,
    ) -> Result<(), DestinationError> {
        match (destination, dead_letters) {
            (Some(destination), _) => {
                let record = record(failed).to_string();
                self.put(destination, failed.function, failed.request_id, record)
                    .await
            }
            (None, Some(queue)) => {
                let event = String::from_utf8_lossy(failed.payload).into_owned();
                self.send(queue, event).await
            }
            (None, None) => Ok(()),
        }
    }

    /// Puts a record into a queue or, as S3 destinations do, under
    /// `aws/lambda/<source>/<year>/<month>/<day>/`: a topic's mapping, else the function.
    ///
    /// # Errors
    /// [`DestinationError`]; nothing was put.
    pub async fn put(
        &self,
        destination: &Destination,
        source: &str,
        id: &str,
        record: String,
    ) -> Result<(), DestinationError> {
        match destination {
            Destination::Queue(queue) => self.send(queue, record).await,
            Destination::Bucket(bucket) => {
                let day = Timestamp::now().strftime("%Y/%m/%d").to_string();
                let folder = self.files_dir.join(bucket).join("aws/lambda").join(source);
                let folder = folder.join(day);
                tokio::fs::create_dir_all(&folder).await?;
                tokio::fs::write(folder.join(format!("{id}.json")), record).await?;
                Ok(())
            }
            Destination::Unknown(id) => Err(DestinationError::Unknown(id.clone())),
        }
    }

    async fn send(&self, queue: &str, body: String) -> Result<(), DestinationError> {
        let message = if queue.ends_with(".fifo") {
            let id = group_id(&[body.as_bytes()]);
            OutgoingMessage::fifo(body, "feira-local", id)
        } else {
            OutgoingMessage::new(body)
        };
        let now_ms = Timestamp::now().as_millisecond();
        let sent = self
            .queues
            .send(&embedded_queue_url(queue), &[message], now_ms)
            .await;
        match sent.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(DestinationError::Queue(error.to_string())),
            None => Err(DestinationError::Queue(
                "the queue gave no answer".to_owned(),
            )),
        }
    }
}

fn record(failed: &FailedInvocation<'_>) -> Value {
    let payload: Value = serde_json::from_slice(failed.payload).unwrap_or_default();
    let response: Value = failed
        .response
        .and_then(|text| serde_json::from_slice(text).ok())
        .unwrap_or_default();
    let function = failed.function;
    json!({
        "version": "1.0",
        "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "requestContext": {
            "requestId": failed.request_id,
            "functionArn":
                format!("arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:function:{function}:$LATEST"),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": failed.attempts,
        },
        "requestPayload": payload,
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "responsePayload": response,
    })
}
