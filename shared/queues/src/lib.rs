//! Queues: Amazon SQS and the embedded queue of a laptop, behind one small surface.
//!
//! The embedded queue is one SQLite file that several processes open at once. It keeps what SQS
//! promises and a consumer can notice: visibility timeout, receive counts, redrive to dead
//! letters, retention, delay, FIFO groups and the five minutes of FIFO deduplication.
//!
//! Architecture invariant: this crate knows neither the domain nor any contract; a body is text.
//! It reads no clock: the embedded queue takes the time (epoch milliseconds) as an argument.

mod batches;
mod embedded;
mod error;
mod message;
mod sending;
mod sqs;
mod url;

pub use embedded::{
    EmbeddedQueues, PeekedMessage, QueueDefinition, Redrive, SendObserver, SendPoint,
};
pub use error::{QueueError, SendError};
pub use message::{
    MAX_MESSAGE_BYTES, OutgoingMessage, QueueCounts, ReceivedMessage, SentMessage, group_id,
};
pub use sending::{Carrier, Outbox, send_over};
pub use sqs::{SqsLimits, SqsQueues};
pub use url::{EMBEDDED_SCHEME, embedded_queue_name, embedded_queue_url};

use std::time::Duration;

/// The queues of this process: either all of them on SQS or all of them embedded.
///
/// `Sqs` refuses `feira://` addresses, so production never falls back to an embedded part.
#[derive(Clone, Debug)]
pub enum Queues {
    /// Amazon SQS, addressed by `https://…` queue URLs.
    Sqs(SqsQueues),
    /// One SQLite file, addressed by `feira://queues/<Name>`.
    Embedded(EmbeddedQueues),
}

impl Queues {
    /// Sends the messages and answers for each, in the order given.
    ///
    /// In a FIFO queue a message whose predecessor of the same group was not sent is held back,
    /// so that a repetition of the failed ones keeps the group's order.
    pub async fn send(
        &self,
        queue_url: &str,
        messages: &[OutgoingMessage],
        now_ms: i64,
    ) -> Vec<Result<SentMessage, SendError>> {
        match self {
            Self::Sqs(sqs) => sqs.send(queue_url, messages).await,
            Self::Embedded(embedded) => embedded.send(queue_url, messages, now_ms).await,
        }
    }

    /// The same for messages that are made when their request is filled, within `time`: what was
    /// not answered by then is answered as unavailable.
    pub async fn send_within<O: Outbox + ?Sized>(
        &self,
        queue_url: &str,
        outbox: &O,
        now_ms: i64,
        time: Duration,
    ) -> Vec<Result<SentMessage, SendError>> {
        match self {
            Self::Sqs(sqs) => sqs.send_all(queue_url, outbox, Some(time)).await,
            Self::Embedded(embedded) => {
                let messages = (0..outbox.count()).map(|position| outbox.message(position));
                let messages: Vec<OutgoingMessage> = messages.collect();
                embedded.send(queue_url, &messages, now_ms).await
            }
        }
    }

    /// Receives at most `max` (1 to 10) messages and hides them for the queue's visibility timeout.
    ///
    /// # Errors
    /// [`QueueError`] when the queue does not exist or cannot be reached.
    pub async fn receive(
        &self,
        queue_url: &str,
        max: u32,
        now_ms: i64,
    ) -> Result<Vec<ReceivedMessage>, QueueError> {
        match self {
            Self::Sqs(sqs) => sqs.receive(queue_url, max).await,
            Self::Embedded(embedded) => embedded.receive(queue_url, max, now_ms).await,
        }
    }

    /// Deletes the messages of these receipts and says for each whether it was deleted.
    ///
    /// # Errors
    /// [`QueueError`] when the queue does not exist or cannot be reached.
    pub async fn delete(
        &self,
        queue_url: &str,
        receipts: &[String],
    ) -> Result<Vec<bool>, QueueError> {
        match self {
            Self::Sqs(sqs) => sqs.delete(queue_url, receipts).await,
            Self::Embedded(embedded) => embedded.delete(queue_url, receipts).await,
        }
    }

    /// Makes a received message visible again after `seconds` (0: at once); `false` when it is
    /// no longer in flight under this receipt.
    ///
    /// # Errors
    /// [`QueueError`] when the queue does not exist or cannot be reached.
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        receipt: &str,
        seconds: u32,
        now_ms: i64,
    ) -> Result<bool, QueueError> {
        match self {
            Self::Sqs(sqs) => sqs.change_visibility(queue_url, receipt, seconds).await,
            Self::Embedded(embedded) => {
                embedded
                    .change_visibility(queue_url, receipt, seconds, now_ms)
                    .await
            }
        }
    }

    /// Counts what lies in the queue; approximate on SQS, exact on the embedded queue.
    ///
    /// # Errors
    /// [`QueueError`] when the queue does not exist or cannot be reached.
    pub async fn counts(&self, queue_url: &str, now_ms: i64) -> Result<QueueCounts, QueueError> {
        match self {
            Self::Sqs(sqs) => sqs.counts(queue_url).await,
            Self::Embedded(embedded) => embedded.counts(queue_url, now_ms).await,
        }
    }

    /// Moves dead letters back into the queue that they came from, as new messages.
    ///
    /// Answers how many were moved, or `None` on SQS, where StartMessageMoveTask works on alone.
    ///
    /// # Errors
    /// [`QueueError`] when a queue does not exist or cannot be reached.
    pub async fn redrive(
        &self,
        dead_letter_url: &str,
        source_url: &str,
        now_ms: i64,
    ) -> Result<Option<u64>, QueueError> {
        match self {
            Self::Sqs(sqs) => sqs
                .redrive(dead_letter_url, source_url)
                .await
                .map(|()| None),
            Self::Embedded(embedded) => embedded
                .redrive(dead_letter_url, source_url, now_ms)
                .await
                .map(Some),
        }
    }
}
