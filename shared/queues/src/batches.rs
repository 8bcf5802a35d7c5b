//! In which requests messages go to SQS: by count, by size and, for FIFO, by group.

use std::collections::{HashMap, VecDeque};

use crate::error::SendError;
use crate::message::SentMessage;

/// The most entries of one SendMessageBatch request.
pub(crate) const MAX_ENTRIES: usize = 10;

/// What is still to be sent and what became of the rest.
///
/// Of a FIFO group only the oldest unsent message is offered, and none while it is under way; once
/// it fails, the rest of its group is held back.
pub(crate) struct Sending {
    outcomes: Vec<Option<Result<SentMessage, SendError>>>,
    /// The later message of the same group.
    next: Vec<Option<usize>>,
    ready: VecDeque<usize>,
}

impl Sending {
    /// Messages by their groups; one without a group has no order to keep.
    pub(crate) fn new<'g>(groups: impl Iterator<Item = Option<&'g str>>) -> Self {
        let mut sending = Self {
            outcomes: Vec::new(),
            next: Vec::new(),
            ready: VecDeque::new(),
        };
        let mut last_of_group: HashMap<&str, usize> = HashMap::new();
        for (position, group) in groups.enumerate() {
            sending.outcomes.push(None);
            sending.next.push(None);
            let earlier = group.and_then(|group| last_of_group.insert(group, position));
            match earlier.and_then(|earlier| sending.next.get_mut(earlier)) {
                Some(next) => *next = Some(position),
                None => sending.ready.push_back(position),
            }
        }
        sending
    }

    /// The next request: at most ten entries and `limit_bytes` bytes of bodies.
    ///
    /// A body larger than the limit goes alone, so that SQS itself says whether it takes it.
    pub(crate) fn take_request(
        &mut self,
        size_of: impl Fn(usize) -> usize,
        limit_bytes: usize,
    ) -> Vec<usize> {
        let mut request = Vec::new();
        let mut bytes = 0_usize;
        while request.len() < MAX_ENTRIES {
            let Some(&position) = self.ready.front() else {
                break;
            };
            let more = bytes.saturating_add(size_of(position));
            if more > limit_bytes && !request.is_empty() {
                break;
            }
            bytes = more;
            self.ready.pop_front();
            request.push(position);
        }
        request
    }

    /// Messages that were taken and not sent: they go before what was not tried yet.
    pub(crate) fn offer_again(&mut self, positions: Vec<usize>) {
        for position in positions.into_iter().rev() {
            self.ready.push_front(position);
        }
    }

    /// Whether it is known what became of the message.
    pub(crate) fn is_settled(&self, position: usize) -> bool {
        self.outcomes.get(position).is_none_or(Option::is_some)
    }

    /// Records what became of a message; with its success the next of its group may go.
    pub(crate) fn record(&mut self, position: usize, outcome: Result<SentMessage, SendError>) {
        if self.is_settled(position) {
            return;
        }
        let is_sent = outcome.is_ok();
        self.settle(position, outcome);
        let mut later = self.later(position);
        if is_sent {
            self.ready
                .extend(later.filter(|&next| !self.is_settled(next)));
            return;
        }
        while let Some(held) = later {
            if !self.is_settled(held) {
                self.settle(held, Err(SendError::HeldBack));
            }
            later = self.later(held);
        }
    }

    fn later(&self, position: usize) -> Option<usize> {
        self.next.get(position).copied().flatten()
    }

    fn settle(&mut self, position: usize, outcome: Result<SentMessage, SendError>) {
        if let Some(slot) = self.outcomes.get_mut(position) {
            *slot = Some(outcome);
        }
    }

    /// The outcome of each message, in the order given; what was under way is not known to be sent.
    pub(crate) fn into_outcomes(self) -> Vec<Result<SentMessage, SendError>> {
        let unanswered = || {
            Err(SendError::Unavailable {
                code: "Unanswered".to_owned(),
            })
        };
        self.outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(unanswered))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: usize) -> SentMessage {
        SentMessage {
            message_id: id.to_string(),
            sequence_number: None,
        }
    }

    #[test]
    fn requests_are_filled_by_count_and_by_size() {
        let sizes = [40, 40, 40, 200, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        let mut sending = Sending::new(sizes.iter().map(|_| None));
        let mut take = || sending.take_request(|position| sizes[position], 100);
        assert_eq!(take(), [0, 1]);
        assert_eq!(take(), [2]);
        assert_eq!(take(), [3]);
        assert_eq!(take().len(), MAX_ENTRIES);
        assert_eq!(take().len(), 1);
        assert!(take().is_empty());
    }

    #[test]
    fn a_group_sends_one_at_a_time_and_stops_at_its_first_failure() {
        let mut sending = Sending::new(["a", "b", "a", "b"].into_iter().map(Some));
        assert_eq!(sending.take_request(|_| 1, 100), [0, 1]);
        assert!(sending.take_request(|_| 1, 100).is_empty());
        sending.record(0, Ok(sent(0)));
        sending.record(1, Err(SendError::Unavailable { code: "x".into() }));
        assert_eq!(sending.take_request(|_| 1, 100), [2]);
        sending.record(2, Ok(sent(2)));
        assert!(sending.take_request(|_| 1, 100).is_empty());
        let outcomes = sending.into_outcomes();
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
        assert!(matches!(outcomes[1], Err(SendError::Unavailable { .. })));
        assert_eq!(outcomes[3], Err(SendError::HeldBack));
    }

    #[test]
    fn a_refused_message_holds_back_only_what_follows_in_its_group() {
        let mut sending = Sending::new(["a", "a", "a", "b"].into_iter().map(Some));
        sending.record(1, Err(SendError::EmptyBody));
        assert_eq!(sending.take_request(|_| 1, 100), [0, 3]);
        sending.record(0, Ok(sent(0)));
        sending.record(3, Ok(sent(3)));
        assert!(sending.take_request(|_| 1, 100).is_empty());
        let outcomes = sending.into_outcomes();
        assert_eq!(outcomes[1], Err(SendError::EmptyBody));
        assert_eq!(outcomes[2], Err(SendError::HeldBack));
    }

    #[test]
    fn what_is_tried_again_goes_first() {
        let mut sending = Sending::new([None; 12].into_iter());
        let first = sending.take_request(|_| 1, 100);
        sending.offer_again(first);
        assert_eq!(
            sending.take_request(|_| 1, 100),
            (0..10).collect::<Vec<_>>()
        );
    }
}
