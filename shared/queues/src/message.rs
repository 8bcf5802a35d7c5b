//! A message on its way in and out, and the rules that SQS sets for it.

use sha2::{Digest, Sha256};

use crate::error::SendError;

/// The largest body in bytes (SQS quota "Message size": 1 MiB).
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The longest delay of a message in seconds (SQS quota "Message timer").
const MAX_DELAY_SECONDS: u32 = 900;

/// The longest group or deduplication id in characters.
const MAX_IDENTIFIER_CHARACTERS: usize = 128;

/// A message to be sent. `Debug` leaves the body out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The text; at most [`MAX_MESSAGE_BYTES`] bytes of characters that XML knows.
    pub body: String,
    /// FIFO order is kept within a group; see [`group_id`].
    pub group_id: Option<String>,
    /// A FIFO queue takes a second message with the same id within five minutes as a repetition.
    pub deduplication_id: Option<String>,
    /// Seconds until the message becomes visible; the queue's own delay when absent.
    pub delay_seconds: Option<u32>,
}

impl OutgoingMessage {
    /// A message without group, deduplication id and delay.
    #[must_use]
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// A message of a FIFO queue.
    #[must_use]
    pub fn fifo(
        body: impl Into<String>,
        group_id: impl Into<String>,
        deduplication_id: impl Into<String>,
    ) -> Self {
        Self {
            body: body.into(),
            group_id: Some(group_id.into()),
            deduplication_id: Some(deduplication_id.into()),
            delay_seconds: None,
        }
    }

    /// The same message, visible after `seconds`.
    #[must_use]
    pub fn delayed(self, seconds: u32) -> Self {
        Self {
            delay_seconds: Some(seconds),
            ..self
        }
    }

    /// Checks what SQS would refuse, so that both parts refuse alike.
    pub(crate) fn check(&self, fifo: bool, deduplicates_content: bool) -> Result<(), SendError> {
        if self.body.is_empty() {
            return Err(SendError::EmptyBody);
        }
        if self.body.len() > MAX_MESSAGE_BYTES {
            return Err(SendError::TooLarge {
                bytes: self.body.len(),
                limit: MAX_MESSAGE_BYTES,
            });
        }
        if !self.body.chars().all(is_xml_character) {
            return Err(SendError::IllegalCharacter);
        }
        if let Some(group) = &self.group_id
            && !is_identifier(group)
        {
            return Err(SendError::InvalidIdentifier);
        }
        if let Some(id) = &self.deduplication_id
            && !is_identifier(id)
        {
            return Err(SendError::InvalidIdentifier);
        }
        match self.delay_seconds {
            Some(_) if fifo => return Err(SendError::InvalidDelay),
            Some(seconds) if seconds > MAX_DELAY_SECONDS => return Err(SendError::InvalidDelay),
            _ => {}
        }
        if fifo && self.group_id.is_none() {
            return Err(SendError::MissingGroup);
        }
        if fifo && self.deduplication_id.is_none() && !deduplicates_content {
            return Err(SendError::MissingDeduplication);
        }
        if !fifo && self.deduplication_id.is_some() {
            return Err(SendError::UnexpectedDeduplication);
        }
        Ok(())
    }
}

impl std::fmt::Debug for OutgoingMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OutgoingMessage")
            .field("body_bytes", &self.body.len())
            .field("group_id", &self.group_id)
            .field("deduplication_id", &self.deduplication_id)
            .field("delay_seconds", &self.delay_seconds)
            .finish()
    }
}

/// What the queue answers for a message that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The id under which consumers will see it; a repetition gets the id of the first.
    pub message_id: String,
    /// The place in a FIFO queue, as text that grows.
    pub sequence_number: Option<String>,
}

/// A received message with all that Lambda's SQS event carries. `Debug` leaves the body out.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Stays the same over all deliveries.
    pub message_id: String,
    /// Names this delivery; needed to delete the message or change its visibility.
    pub receipt_handle: String,
    /// The text as it was sent.
    pub body: String,
    /// MD5 of the body in lower-case hex.
    pub md5_of_body: String,
    /// When it was sent, epoch milliseconds.
    pub sent_timestamp_ms: i64,
    /// How often it was received, this delivery included.
    pub approximate_receive_count: u32,
    /// When it was first received, epoch milliseconds.
    pub approximate_first_receive_timestamp_ms: i64,
    /// Who sent it.
    pub sender_id: String,
    /// The FIFO group.
    pub message_group_id: Option<String>,
    /// The FIFO deduplication id.
    pub message_deduplication_id: Option<String>,
    /// The place in a FIFO queue.
    pub sequence_number: Option<String>,
}

impl ReceivedMessage {
    /// The `attributes` of a record in Lambda's SQS event, named as they are there.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            (
                "ApproximateReceiveCount",
                self.approximate_receive_count.to_string(),
            ),
            ("SentTimestamp", self.sent_timestamp_ms.to_string()),
            ("SenderId", self.sender_id.clone()),
            (
                "ApproximateFirstReceiveTimestamp",
                self.approximate_first_receive_timestamp_ms.to_string(),
            ),
        ];
        let optional = [
            ("MessageGroupId", &self.message_group_id),
            ("MessageDeduplicationId", &self.message_deduplication_id),
            ("SequenceNumber", &self.sequence_number),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                attributes.push((name, value.clone()));
            }
        }
        attributes
    }
}

impl std::fmt::Debug for ReceivedMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReceivedMessage")
            .field("message_id", &self.message_id)
            .field("body_bytes", &self.body.len())
            .field("approximate_receive_count", &self.approximate_receive_count)
            .field("message_group_id", &self.message_group_id)
            .finish_non_exhaustive()
    }
}

/// How many messages lie in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Ready to be received.
    pub visible: u64,
    /// Received, neither deleted nor visible again.
    pub in_flight: u64,
    /// Sent, not yet visible.
    pub delayed: u64,
}

/// Hashes arbitrary keys into an id that SQS accepts: hex SHA-256 over each part with its length.
///
/// SQS takes at most 128 letters, digits and punctuation characters; a Kafka key may be anything.
/// It serves deduplication ids as well.
#[must_use]
pub fn group_id(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The characters that SQS takes in a body (SendMessage: `#x9 | #xA | #xD | #x20 to #xD7FF | …`).
fn is_xml_character(character: char) -> bool {
    matches!(
        character,
        '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}'
            | '\u{10000}'..='\u{10FFFF}'
    )
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_IDENTIFIER_CHARACTERS
        && text.chars().all(|character| character.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_ids_fit_sqs_and_keep_the_borders_between_parts() {
        let id = group_id(&[b"pedidos", "ação\u{0}".as_bytes()]);
        assert_eq!(id.len(), 64);
        assert!(is_identifier(&id));
        assert_ne!(group_id(&[b"ab", b"c"]), group_id(&[b"a", b"bc"]));
    }

    #[test]
    fn what_sqs_refuses_is_refused_before_it_is_sent() {
        let fifo = OutgoingMessage::fifo("a", "g", "d");
        assert_eq!(fifo.check(true, false), Ok(()));
        assert_eq!(
            fifo.check(false, false),
            Err(SendError::UnexpectedDeduplication)
        );
        let plain = OutgoingMessage::new("a");
        assert_eq!(plain.check(true, true), Err(SendError::MissingGroup));
        let grouped = OutgoingMessage {
            group_id: Some("g".into()),
            ..plain.clone()
        };
        assert_eq!(
            grouped.check(true, false),
            Err(SendError::MissingDeduplication)
        );
        assert_eq!(grouped.check(true, true), Ok(()));
        assert_eq!(
            OutgoingMessage::new("").check(false, false),
            Err(SendError::EmptyBody)
        );
        assert_eq!(
            OutgoingMessage::new("a\u{0}").check(false, false),
            Err(SendError::IllegalCharacter)
        );
        assert_eq!(
            plain.clone().delayed(901).check(false, false),
            Err(SendError::InvalidDelay)
        );
        assert_eq!(plain.clone().delayed(900).check(false, false), Ok(()));
        let long = OutgoingMessage::new("a".repeat(MAX_MESSAGE_BYTES + 1));
        assert!(matches!(
            long.check(false, false),
            Err(SendError::TooLarge { .. })
        ));
        let spaced = OutgoingMessage::fifo("a", "g g", "d");
        assert_eq!(spaced.check(true, false), Err(SendError::InvalidIdentifier));
    }

    #[test]
    fn debug_shows_no_body() {
        let message = OutgoingMessage::new("segredo");
        assert!(!format!("{message:?}").contains("segredo"));
    }
}
