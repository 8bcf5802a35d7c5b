//! What batches of messages have in common, whatever brought them.

use std::collections::HashSet;

use contracts::fields::BadMessage;

use crate::{DeadLetters, dead_letter::DeadLetter, metrics};
use domain::time::UtcMillis;

/// A decoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<M> {
    /// Its identity for exactly-once: coordinates, else its event id, else the queue's id.
    pub identity: String,
    /// Messages of one group (FIFO group or Kafka partition) keep their order.
    pub group: Option<String>,
    /// What it says.
    pub message: M,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is there.
    Done,
    /// It may succeed later: the source gives it again. The code is stable and holds no value.
    Retry(String),
    /// It never can: it goes to dead letters, sealed.
    Reject(BadMessage),
}

/// Handles messages one after the other. After one that must be retried, the later ones of its
/// group are left for the retry too, so that their order holds.
pub async fn one_by_one<M>(
    batch: &[Received<M>],
    handle: impl AsyncFn(&Received<M>) -> Outcome,
) -> Vec<Outcome> {
    let mut held: HashSet<&str> = HashSet::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for received in batch {
        let group = received.group.as_deref();
        if group.is_some_and(|group| held.contains(group)) {
            outcomes.push(Outcome::Retry("after_a_retry".to_owned()));
            continue;
        }
        let outcome = handle(received).await;
        if matches!(outcome, Outcome::Retry(_)) {
            held.extend(group);
        }
        outcomes.push(outcome);
    }
    outcomes
}

/// A raw message on its way through a batch.
pub(crate) struct Raw<'a> {
    /// The queue's id, or the coordinates.
    pub id: String,
    pub group: Option<String>,
    pub content: &'a [u8],
}

/// Decoded messages with their places in the batch, and the places that must be retried.
pub(crate) struct Decoded<M> {
    pub messages: Vec<Received<M>>,
    pub places: Vec<usize>,
    pub retry: Vec<usize>,
}

/// Why a message was not read.
pub(crate) enum Unread {
    /// It never can be.
    Bad(BadMessage),
    /// It may be later. The code is stable and holds no value.
    Later(&'static str),
}

impl From<BadMessage> for Unread {
    fn from(bad: BadMessage) -> Self {
        Self::Bad(bad)
    }
}

/// Decodes each message alone; what can't be read goes to dead letters. Where a dead letter can't
/// be sent, the message and the later ones of its group are retried.
pub(crate) async fn decode<M, D: DeadLetters>(
    function: &str,
    dead_letters: &D,
    raw: &[Raw<'_>],
    now: UtcMillis,
    read: impl Fn(&Raw<'_>) -> Result<(String, M), Unread>,
) -> Decoded<M> {
    let mut decoded = Decoded {
        messages: Vec::new(),
        places: Vec::new(),
        retry: Vec::new(),
    };
    let mut held: HashSet<&str> = HashSet::new();
    for (place, one) in raw.iter().enumerate() {
        if one
            .group
            .as_deref()
            .is_some_and(|group| held.contains(group))
        {
            decoded.retry.push(place);
            continue;
        }
        match read(one) {
            Ok((identity, message)) => {
                decoded.messages.push(Received {
                    identity,
                    group: one.group.clone(),
                    message,
                });
                decoded.places.push(place);
            }
            Err(Unread::Bad(bad)) => {
                if !bury(function, dead_letters, one, &bad, now).await {
                    decoded.retry.push(place);
                    held.extend(one.group.as_deref());
                }
            }
            Err(Unread::Later(code)) => {
                tracing::warn!(message_id = %one.id, %code, "message will be retried");
                metrics::count("MessagesRetried", 1);
                decoded.retry.push(place);
                held.extend(one.group.as_deref());
            }
        }
    }
    decoded
}

/// Turns outcomes into the places to retry; rejected messages go to dead letters.
pub(crate) async fn settle<M, D: DeadLetters>(
    function: &str,
    dead_letters: &D,
    raw: &[Raw<'_>],
    decoded: Decoded<M>,
    outcomes: Vec<Outcome>,
    now: UtcMillis,
) -> Vec<usize> {
    let mut retry = decoded.retry;
    // A handler that answers too little leaves the rest for a retry.
    let outcomes = outcomes
        .into_iter()
        .map(Some)
        .chain(std::iter::repeat(None));
    for (&place, outcome) in decoded.places.iter().zip(outcomes) {
        let Some(one) = raw.get(place) else { continue };
        match outcome {
            Some(Outcome::Done) => {}
            Some(Outcome::Reject(bad)) => {
                if !bury(function, dead_letters, one, &bad, now).await {
                    retry.push(place);
                }
            }
            Some(Outcome::Retry(code)) => {
                tracing::warn!(message_id = %one.id, %code, "message will be retried");
                metrics::count("MessagesRetried", 1);
                retry.push(place);
            }
            None => retry.push(place),
        }
    }
    retry.sort_unstable();
    hold_later_of_group(raw, retry)
}

/// FIFO: with a message that fails, every later one of its group fails, or they would overtake it.
fn hold_later_of_group(raw: &[Raw<'_>], retry: Vec<usize>) -> Vec<usize> {
    let first_failed: HashSet<usize> = retry.into_iter().collect();
    let mut held: HashSet<&str> = HashSet::new();
    let mut all = Vec::new();
    for (place, one) in raw.iter().enumerate() {
        let group = one.group.as_deref();
        if first_failed.contains(&place) {
            held.extend(group);
            all.push(place);
        } else if group.is_some_and(|group| held.contains(group)) {
            all.push(place);
        }
    }
    all
}

async fn bury<D: DeadLetters>(
    function: &str,
    dead_letters: &D,
    one: &Raw<'_>,
    bad: &BadMessage,
    now: UtcMillis,
) -> bool {
    let field = bad.field.unwrap_or("-");
    tracing::warn!(message_id = %one.id, code = bad.code, field, "message can't be read");
    metrics::count("MessagesRejected", 1);
    let key = dead_letters.seal_key();
    let group = one.group.as_deref();
    let sealed = DeadLetter::seal_in_parts(key, function, &one.id, group, bad, one.content, now);
    let Ok(letters) = sealed else { return false };
    for letter in &letters {
        let Ok(body) = serde_json::to_string(letter) else {
            return false;
        };
        if dead_letters.send_dead_letter(body).await.is_err() {
            tracing::error!(message_id = %one.id, "dead letter could not be sent");
            return false;
        }
    }
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{FetchFailed, SealKey, dead_letter::SendFailed};
    use contracts::envelope::Claim;
    use std::cell::RefCell;

    pub(crate) struct Letters {
        key: SealKey,
        pub works: bool,
        pub sent: RefCell<Vec<DeadLetter>>,
    }

    impl Letters {
        pub(crate) fn new(works: bool) -> Self {
            Self {
                key: SealKey::new(&[1; 32]).unwrap(),
                works,
                sent: RefCell::default(),
            }
        }
    }

    impl DeadLetters for Letters {
        fn seal_key(&self) -> &SealKey {
            &self.key
        }

        async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
            if !self.works {
                return Err(SendFailed);
            }
            self.sent
                .borrow_mut()
                .push(serde_json::from_str(&body).unwrap());
            Ok(())
        }

        async fn fetch_claim(&self, claim: &Claim) -> Result<Vec<u8>, FetchFailed> {
            match claim.key.as_str() {
                "there" => Ok(br#"{"n":1}"#.to_vec()),
                "later" => Err(FetchFailed::Later),
                _ => Err(FetchFailed::Gone),
            }
        }
    }

    #[tokio::test]
    async fn one_by_one_keeps_the_order_of_a_group_after_a_retry() {
        let batch: Vec<Received<u8>> = [(0, "a"), (1, "a"), (2, "b"), (3, "a")]
            .map(|(message, group)| Received {
                identity: message.to_string(),
                group: Some(group.to_owned()),
                message,
            })
            .into();
        let seen = RefCell::new(Vec::new());
        let outcomes = one_by_one(&batch, async |received| {
            seen.borrow_mut().push(received.message);
            if received.message == 1 {
                Outcome::Retry("x".to_owned())
            } else {
                Outcome::Done
            }
        })
        .await;
        assert_eq!(*seen.borrow(), [0, 1, 2]);
        assert!(matches!(
            outcomes.as_slice(),
            [
                Outcome::Done,
                Outcome::Retry(_),
                Outcome::Done,
                Outcome::Retry(_)
            ]
        ));
    }
}
