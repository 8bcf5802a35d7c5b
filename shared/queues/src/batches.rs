//! In which requests messages go to SQS: by count, by size and, for FIFO, by group.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::error::SendError;
use crate::message::{OutgoingMessage, SentMessage};

/// The most entries of one SendMessageBatch request.
pub(crate) const MAX_ENTRIES: usize = 10;

/// Splits positions into requests of at most ten entries and `limit_bytes` bytes of bodies.
///
/// A body larger than the limit goes alone, so that SQS itself says whether it takes it.
pub(crate) fn fill_requests(
    positions: &[usize],
    size_of: impl Fn(usize) -> usize,
    limit_bytes: usize,
) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut open_bytes = 0_usize;
    for &position in positions {
        let bytes = size_of(position);
        let full = open.len() == MAX_ENTRIES || open_bytes.saturating_add(bytes) > limit_bytes;
        if full && !open.is_empty() {
            requests.push(std::mem::take(&mut open));
            open_bytes = 0;
        }
        open.push(position);
        open_bytes = open_bytes.saturating_add(bytes);
    }
    if !open.is_empty() {
        requests.push(open);
    }
    requests
}

/// What is still to be sent and what became of the rest.
///
/// Of a FIFO group only the head is offered; once a head fails, the rest of its group is held back.
pub(crate) struct Sending {
    outcomes: Vec<Option<Result<SentMessage, SendError>>>,
    lanes: Vec<VecDeque<usize>>,
    lane_of: HashMap<usize, usize>,
}

impl Sending {
    /// Checks each message and sorts them into lanes: one per FIFO group, one per standard message.
    pub(crate) fn new(messages: &[OutgoingMessage], fifo: bool, deduplicates: bool) -> Self {
        let mut sending = Self {
            outcomes: vec![None; messages.len()],
            lanes: Vec::new(),
            lane_of: HashMap::new(),
        };
        let mut lane_of_group: HashMap<&str, usize> = HashMap::new();
        for (position, message) in messages.iter().enumerate() {
            let lane = match message.group_id.as_deref() {
                Some(group) if fifo => *lane_of_group
                    .entry(group)
                    .or_insert_with(|| sending.open_lane()),
                _ => sending.open_lane(),
            };
            sending.lane_of.insert(position, lane);
            if let Some(lane) = sending.lanes.get_mut(lane) {
                lane.push_back(position);
            }
        }
        for (position, message) in messages.iter().enumerate() {
            if let Err(error) = message.check(fifo, deduplicates) {
                sending.fail_at(position, error);
            }
        }
        sending
    }

    fn open_lane(&mut self) -> usize {
        self.lanes.push(VecDeque::new());
        self.lanes.len() - 1
    }

    /// The positions that may go now: the head of each lane, in the order given.
    pub(crate) fn heads(&self) -> Vec<usize> {
        let mut heads: Vec<usize> = self
            .lanes
            .iter()
            .filter_map(|lane| lane.front().copied())
            .collect();
        heads.sort_unstable();
        heads
    }

    /// Whether it is known what became of the message.
    pub(crate) fn is_settled(&self, position: usize) -> bool {
        self.outcomes.get(position).is_none_or(Option::is_some)
    }

    /// Records what became of a message that was tried.
    pub(crate) fn record(&mut self, position: usize, outcome: Result<SentMessage, SendError>) {
        match outcome {
            Ok(sent) => {
                if let Some(lane) = self.lane(position) {
                    lane.retain(|&waiting| waiting != position);
                }
                self.settle(position, Ok(sent));
            }
            Err(error) => self.fail_at(position, error),
        }
    }

    /// Fails this message and holds back those behind it in its lane.
    fn fail_at(&mut self, position: usize, error: SendError) {
        let Some(lane) = self.lane(position) else {
            return;
        };
        let Some(place) = lane.iter().position(|&waiting| waiting == position) else {
            return;
        };
        let held_back = lane.split_off(place);
        self.settle(position, Err(error));
        for waiting in held_back.into_iter().skip(1) {
            self.settle(waiting, Err(SendError::HeldBack));
        }
    }

    fn lane(&mut self, position: usize) -> Option<&mut VecDeque<usize>> {
        let lane = *self.lane_of.get(&position)?;
        self.lanes.get_mut(lane)
    }

    fn settle(&mut self, position: usize, outcome: Result<SentMessage, SendError>) {
        if let Some(slot) = self.outcomes.get_mut(position) {
            *slot = Some(outcome);
        }
    }

    /// The outcome of each message, in the order given.
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
        let positions: Vec<usize> = (0..sizes.len()).collect();
        let requests = fill_requests(&positions, |position| sizes[position], 100);
        assert_eq!(requests[0], vec![0, 1]);
        assert_eq!(requests[1], vec![2]);
        assert_eq!(requests[2], vec![3]);
        assert_eq!(requests[3].len(), MAX_ENTRIES);
        assert_eq!(requests[4].len(), 1);
    }

    #[test]
    fn a_group_sends_one_at_a_time_and_stops_at_its_first_failure() {
        let messages = [
            OutgoingMessage::fifo("a1", "a", "1"),
            OutgoingMessage::fifo("b1", "b", "2"),
            OutgoingMessage::fifo("a2", "a", "3"),
            OutgoingMessage::fifo("b2", "b", "4"),
        ];
        let mut sending = Sending::new(&messages, true, false);
        assert_eq!(sending.heads(), vec![0, 1]);
        sending.record(0, Ok(sent(0)));
        sending.record(1, Err(SendError::Unavailable { code: "x".into() }));
        assert_eq!(sending.heads(), vec![2]);
        sending.record(2, Ok(sent(2)));
        assert_eq!(sending.heads(), Vec::<usize>::new());
        let outcomes = sending.into_outcomes();
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
        assert!(matches!(outcomes[1], Err(SendError::Unavailable { .. })));
        assert_eq!(outcomes[3], Err(SendError::HeldBack));
    }

    #[test]
    fn a_refused_message_holds_back_only_what_follows_in_its_group() {
        let messages = [
            OutgoingMessage::fifo("a1", "a", "1"),
            OutgoingMessage::fifo("", "a", "2"),
            OutgoingMessage::fifo("a3", "a", "3"),
            OutgoingMessage::fifo("b1", "b", "4"),
        ];
        let mut sending = Sending::new(&messages, true, false);
        assert_eq!(sending.heads(), vec![0, 3]);
        sending.record(0, Ok(sent(0)));
        sending.record(3, Ok(sent(3)));
        let outcomes = sending.into_outcomes();
        assert_eq!(outcomes[1], Err(SendError::EmptyBody));
        assert_eq!(outcomes[2], Err(SendError::HeldBack));
    }
}
