//! Records on their way into one queue.

use contracts::{
    envelope::{self, Claim},
    kafka_event::Record,
};
use queues::{Outbox, OutgoingMessage, group_id};

/// What a claim adds to an envelope, at most.
const CLAIM_BYTES: usize = 1_024;

/// A record whose message is written when its request is filled.
pub(crate) struct Item<'b, 'e> {
    /// Its place in the batch.
    pub place: usize,
    pub record: &'b Record<'e>,
    /// With a FIFO queue, what keeps its order.
    pub group: Option<String>,
    /// Where its value lies, when it is too large.
    pub claim: Option<Claim>,
}

/// What goes to one queue, in order.
pub(crate) struct Load<'b, 'e>(pub Vec<Item<'b, 'e>>);

impl Outbox for Load<'_, '_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn body_bytes(&self, position: usize) -> usize {
        self.0.get(position).map_or(0, |item| match item.claim {
            None => envelope::most_bytes(item.record),
            Some(_) => claimed_bytes(item.record),
        })
    }

    fn group(&self, position: usize) -> Option<&str> {
        self.0.get(position)?.group.as_deref()
    }

    fn message(&self, position: usize) -> OutgoingMessage {
        let Some(item) = self.0.get(position) else {
            return OutgoingMessage::default();
        };
        let body = envelope::write(item.record, item.claim.as_ref());
        match &item.group {
            Some(group) => OutgoingMessage::fifo(body, group, once(item.record)),
            None => OutgoingMessage::new(body),
        }
    }
}

/// No envelope of this record with a claim is longer, in bytes.
pub(crate) fn claimed_bytes(record: &Record<'_>) -> usize {
    let value = record.value.as_ref().map_or(0, |value| value.len());
    envelope::most_bytes(record) - value + CLAIM_BYTES
}

/// Records of one key keep their order; those without one keep that of their partition.
pub(crate) fn group_of(record: &Record<'_>) -> String {
    let topic = record.topic.as_bytes();
    match &record.key {
        // Base64 names the key's bytes in one way only.
        Some(key) => group_id(&[topic, key.as_bytes()]),
        None => group_id(&[topic, &record.partition.to_be_bytes(), b"-"]),
    }
}

/// The deduplication id, from the coordinates.
fn once(record: &Record<'_>) -> String {
    group_id(&[
        record.topic.as_bytes(),
        &record.partition.to_be_bytes(),
        &record.offset.to_be_bytes(),
        &record.timestamp_ms.to_be_bytes(),
    ])
}
