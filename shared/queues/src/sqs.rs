//! Amazon SQS.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::batches::MAX_ENTRIES;
use crate::error::{QueueError, SendError};
use crate::message::{
    MAX_MESSAGE_BYTES, OutgoingMessage, QueueCounts, ReceivedMessage, SentMessage,
};
use crate::sending::{Carrier, Outbox, send_over};
use crate::url::require_sqs;

/// How long a receive waits for the first message: long polling asks every server of the queue.
const RECEIVE_WAIT_SECONDS: i32 = 1;

/// How much a request carries and how patiently it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqsLimits {
    /// Bytes of bodies in one request: 1 MiB, 256 KiB on older endpoints.
    pub request_bytes: usize,
    /// Requests that are under way at once.
    pub in_flight: usize,
    /// How often an entry is tried, the first time included.
    pub attempts: u32,
    /// The longest pause before the second attempt, in milliseconds; it doubles from there.
    pub first_pause_ms: u64,
    /// The longest pause of all, in milliseconds.
    pub longest_pause_ms: u64,
    /// How long one request may take, in milliseconds.
    pub request_timeout_ms: u64,
}

impl Default for SqsLimits {
    fn default() -> Self {
        Self {
            request_bytes: MAX_MESSAGE_BYTES,
            in_flight: 8,
            attempts: 4,
            first_pause_ms: 50,
            longest_pause_ms: 1_000,
            request_timeout_ms: 5_000,
        }
    }
}

/// Queues on Amazon SQS.
#[derive(Clone, Debug)]
pub struct SqsQueues {
    client: Client,
    /// Sends once: repetition is counted here, entry by entry, and the SDK's own would multiply it.
    sender: Client,
    limits: SqsLimits,
}

impl SqsQueues {
    /// Builds the client; it connects with its first request.
    ///
    /// Without AWS_REGION the SDK asks the instance metadata service and waits for it: set it.
    #[must_use]
    pub fn new(sdk: &SdkConfig, limits: SqsLimits) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_millis(limits.request_timeout_ms))
            .build();
        let config = aws_sdk_sqs::config::Builder::from(sdk).timeout_config(timeouts);
        let sending = config.clone().retry_config(RetryConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            sender: Client::from_conf(sending.build()),
            limits,
        }
    }

    /// See [`crate::Queues::send`].
    pub async fn send(
        &self,
        queue_url: &str,
        messages: &[OutgoingMessage],
    ) -> Vec<Result<SentMessage, SendError>> {
        self.send_all(queue_url, messages, None).await
    }

    /// See [`crate::Queues::send_within`].
    pub async fn send_all<O: Outbox + ?Sized>(
        &self,
        queue_url: &str,
        outbox: &O,
        time: Option<Duration>,
    ) -> Vec<Result<SentMessage, SendError>> {
        if let Err(error) = require_sqs(queue_url) {
            let failed = || Err(error.clone().into());
            return (0..outbox.count()).map(|_| failed()).collect();
        }
        send_over(self, queue_url, outbox, self.limits, time).await
    }

    /// One SendMessageBatch; a 200 answer may carry entries that failed.
    async fn attempt(
        &self,
        queue_url: &str,
        messages: Vec<(usize, OutgoingMessage)>,
    ) -> Vec<(usize, Result<SentMessage, SendError>)> {
        let positions: Vec<usize> = messages.iter().map(|(position, _)| *position).collect();
        let all = |error: SendError| {
            positions
                .iter()
                .map(|position| (*position, Err(error.clone())))
                .collect()
        };
        let entries: Result<Vec<_>, SendError> = messages
            .into_iter()
            .map(|(position, message)| entry(position, message))
            .collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return all(error),
        };
        let request = self
            .sender
            .send_message_batch()
            .queue_url(queue_url)
            .set_entries(Some(entries));
        let output = match request.send().await {
            Ok(output) => output,
            Err(error) => {
                return all(match request_error(&error) {
                    QueueError::Unavailable { code } => SendError::Unavailable { code },
                    other => SendError::Queue(other),
                });
            }
        };
        positions
            .iter()
            .map(|position| {
                let id = position.to_string();
                let taken = output.successful().iter().find(|entry| entry.id() == id);
                let failed = output.failed().iter().find(|entry| entry.id() == id);
                let outcome = match (taken, failed) {
                    (Some(entry), _) => Ok(SentMessage {
                        message_id: entry.message_id().to_owned(),
                        sequence_number: entry.sequence_number().map(str::to_owned),
                    }),
                    (None, Some(entry)) if entry.sender_fault() => Err(SendError::Refused {
                        code: entry.code().to_owned(),
                    }),
                    (None, Some(entry)) => Err(SendError::Unavailable {
                        code: entry.code().to_owned(),
                    }),
                    (None, None) => Err(SendError::Unavailable {
                        code: "Unanswered".to_owned(),
                    }),
                };
                (*position, outcome)
            })
            .collect()
    }

    /// See [`crate::Queues::receive`].
    ///
    /// # Errors
    /// [`QueueError`] when SQS refuses the request or is not reached.
    pub async fn receive(
        &self,
        queue_url: &str,
        max: u32,
    ) -> Result<Vec<ReceivedMessage>, QueueError> {
        require_sqs(queue_url)?;
        let output = self
            .client
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(i32::try_from(max.clamp(1, 10)).unwrap_or(1))
            .wait_time_seconds(RECEIVE_WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .map_err(|error| request_error(&error))?;
        Ok(output.messages().iter().map(received).collect())
    }

    /// See [`crate::Queues::delete`].
    ///
    /// # Errors
    /// [`QueueError`] when SQS refuses the request or is not reached.
    pub async fn delete(
        &self,
        queue_url: &str,
        receipts: &[String],
    ) -> Result<Vec<bool>, QueueError> {
        require_sqs(queue_url)?;
        let mut deleted = Vec::with_capacity(receipts.len());
        for chunk in receipts.chunks(MAX_ENTRIES) {
            let mut entries = Vec::with_capacity(chunk.len());
            for (position, receipt) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(receipt)
                    .build()
                    .map_err(|_| incomplete())?;
                entries.push(entry);
            }
            let output = self
                .client
                .delete_message_batch()
                .queue_url(queue_url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| request_error(&error))?;
            deleted.extend((0..chunk.len()).map(|position| {
                let id = position.to_string();
                output.successful().iter().any(|entry| entry.id() == id)
            }));
        }
        Ok(deleted)
    }

    /// See [`crate::Queues::change_visibility`].
    ///
    /// # Errors
    /// [`QueueError`] when SQS refuses the request or is not reached.
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        receipt: &str,
        seconds: u32,
    ) -> Result<bool, QueueError> {
        require_sqs(queue_url)?;
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id("0")
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .build()
            .map_err(|_| incomplete())?;
        let output = self
            .client
            .change_message_visibility_batch()
            .queue_url(queue_url)
            .entries(entry)
            .send()
            .await
            .map_err(|error| request_error(&error))?;
        Ok(!output.successful().is_empty())
    }

    /// See [`crate::Queues::counts`].
    ///
    /// # Errors
    /// [`QueueError`] when SQS refuses the request or is not reached.
    pub async fn counts(&self, queue_url: &str) -> Result<QueueCounts, QueueError> {
        require_sqs(queue_url)?;
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let output = self
            .client
            .get_queue_attributes()
            .queue_url(queue_url)
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .map_err(|error| request_error(&error))?;
        let count = |name: &QueueAttributeName| {
            let text = output
                .attributes()
                .and_then(|attributes| attributes.get(name));
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let [visible, in_flight, delayed] = names.each_ref().map(count);
        Ok(QueueCounts {
            visible,
            in_flight,
            delayed,
        })
    }

    /// See [`crate::Queues::redrive`].
    ///
    /// # Errors
    /// [`QueueError`] when SQS refuses the request or is not reached.
    pub async fn redrive(&self, dead_letter_url: &str, source_url: &str) -> Result<(), QueueError> {
        let source_arn = self.arn(dead_letter_url).await?;
        let destination_arn = self.arn(source_url).await?;
        self.client
            .start_message_move_task()
            .source_arn(source_arn)
            .destination_arn(destination_arn)
            .send()
            .await
            .map_err(|error| request_error(&error))?;
        Ok(())
    }

    async fn arn(&self, queue_url: &str) -> Result<String, QueueError> {
        require_sqs(queue_url)?;
        let output = self
            .client
            .get_queue_attributes()
            .queue_url(queue_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map_err(|error| request_error(&error))?;
        let attributes = output.attributes();
        let arn = attributes.and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn));
        arn.cloned().ok_or_else(|| QueueError::Refused {
            code: "QueueArnMissing".to_owned(),
        })
    }
}

impl Carrier for SqsQueues {
    async fn carry(
        &self,
        queue_url: &str,
        messages: Vec<(usize, OutgoingMessage)>,
    ) -> Vec<(usize, Result<SentMessage, SendError>)> {
        self.attempt(queue_url, messages).await
    }

    async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_default()
    }
}

fn entry(
    position: usize,
    message: OutgoingMessage,
) -> Result<SendMessageBatchRequestEntry, SendError> {
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(message.body)
        .set_message_group_id(message.group_id)
        .set_message_deduplication_id(message.deduplication_id)
        .set_delay_seconds(
            message
                .delay_seconds
                .and_then(|seconds| i32::try_from(seconds).ok()),
        )
        .build()
        .map_err(|_| SendError::Queue(incomplete()))
}

/// A required field was left out of a request; the builders above set all of them.
fn incomplete() -> QueueError {
    QueueError::Refused {
        code: "IncompleteRequest".to_owned(),
    }
}

fn received(message: &Message) -> ReceivedMessage {
    let attribute = |name: &MessageSystemAttributeName| {
        message
            .attributes()
            .and_then(|attributes| attributes.get(name))
            .cloned()
    };
    let number = |name| {
        attribute(&name)
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    ReceivedMessage {
        message_id: text(message.message_id()),
        receipt_handle: text(message.receipt_handle()),
        body: text(message.body()),
        md5_of_body: text(message.md5_of_body()),
        sent_timestamp_ms: number(MessageSystemAttributeName::SentTimestamp),
        approximate_receive_count: u32::try_from(number(
            MessageSystemAttributeName::ApproximateReceiveCount,
        ))
        .unwrap_or(0),
        approximate_first_receive_timestamp_ms: number(
            MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
        ),
        sender_id: attribute(&MessageSystemAttributeName::SenderId).unwrap_or_default(),
        message_group_id: attribute(&MessageSystemAttributeName::MessageGroupId),
        message_deduplication_id: attribute(&MessageSystemAttributeName::MessageDeduplicationId),
        sequence_number: attribute(&MessageSystemAttributeName::SequenceNumber),
    }
}

/// Sorts a failed request: what SQS refuses stays refused, all else passes.
fn request_error<E>(error: &SdkError<E>) -> QueueError
where
    E: ProvideErrorMetadata,
{
    let code = error.code().map(str::to_owned);
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let code = code.unwrap_or_else(|| format!("Http{status}"));
            let throttled = code.contains("Throttl") || code.contains("RequestLimit");
            if (400..500).contains(&status) && status != 429 && !throttled {
                QueueError::Refused { code }
            } else {
                QueueError::Unavailable { code }
            }
        }
        SdkError::TimeoutError(_) => QueueError::Unavailable {
            code: "Timeout".to_owned(),
        },
        SdkError::DispatchFailure(_) => QueueError::Unavailable {
            code: "Connection".to_owned(),
        },
        SdkError::ResponseError(_) => QueueError::Unavailable {
            code: "Response".to_owned(),
        },
        SdkError::ConstructionFailure(_) => QueueError::Refused {
            code: "IncompleteRequest".to_owned(),
        },
        _ => QueueError::Unavailable {
            code: code.unwrap_or_else(|| "Unknown".to_owned()),
        },
    }
}
