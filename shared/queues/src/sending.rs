//! Sending many messages: requests filled by count and size, several in flight, only what failed
//! sent again, within a time.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};

use crate::batches::Sending;
use crate::error::SendError;
use crate::message::{OutgoingMessage, SentMessage};
use crate::sqs::SqsLimits;

/// Messages that are made when their request is filled, so that a large batch is not held twice.
pub trait Outbox {
    /// How many there are.
    fn count(&self) -> usize;

    /// Bytes of a message's body, at most.
    fn body_bytes(&self, position: usize) -> usize;

    /// Its FIFO group.
    fn group(&self, position: usize) -> Option<&str>;

    /// The message itself.
    fn message(&self, position: usize) -> OutgoingMessage;
}

impl Outbox for [OutgoingMessage] {
    fn count(&self) -> usize {
        self.len()
    }

    fn body_bytes(&self, position: usize) -> usize {
        self.get(position).map_or(0, |message| message.body.len())
    }

    fn group(&self, position: usize) -> Option<&str> {
        self.get(position)?.group_id.as_deref()
    }

    fn message(&self, position: usize) -> OutgoingMessage {
        self.get(position).cloned().unwrap_or_default()
    }
}

/// What carries requests to SQS and waits between them: a simulation has another.
pub trait Carrier {
    /// Sends one request and answers for each message, by its position.
    fn carry(
        &self,
        queue_url: &str,
        messages: Vec<(usize, OutgoingMessage)>,
    ) -> impl Future<Output = Vec<(usize, Result<SentMessage, SendError>)>>;

    /// Waits.
    fn pause(&self, length: Duration) -> impl Future<Output = ()>;

    /// Any number, for pauses that do not march in step.
    fn random(&self) -> u64;
}

/// What a flight came back with.
enum Landed {
    Answers(Vec<(usize, Result<SentMessage, SendError>)>),
    Rested(Vec<usize>),
    TimeIsUp,
}

enum Flight {
    Carry(Vec<(usize, OutgoingMessage)>),
    Rest(Vec<usize>, Duration),
    UntilTheEnd(Duration),
}

/// Sends the messages over a carrier, at most `time`, and answers for each, in the order given.
///
/// Of a FIFO group one message is under way at a time; one that fails holds the later ones back.
pub async fn send_over<C: Carrier, O: Outbox + ?Sized>(
    carrier: &C,
    queue_url: &str,
    outbox: &O,
    limits: SqsLimits,
    time: Option<Duration>,
) -> Vec<Result<SentMessage, SendError>> {
    let is_fifo = crate::url::is_fifo_url(queue_url);
    let groups = (0..outbox.count()).map(|position| outbox.group(position).filter(|_| is_fifo));
    let mut sending = Sending::new(groups);
    let mut tries = vec![0_u8; outbox.count()];
    let mut flights = FuturesUnordered::new();
    let (mut carried, mut resting) = (0, 0);
    if let Some(time) = time {
        flights.push(fly(carrier, queue_url, Flight::UntilTheEnd(time)));
    }
    loop {
        while carried < limits.in_flight.max(1) {
            let size = |position| outbox.body_bytes(position);
            let positions = sending.take_request(size, limits.request_bytes);
            if positions.is_empty() {
                break;
            }
            let request = checked(outbox, positions, is_fifo, &mut sending);
            if !request.is_empty() {
                flights.push(fly(carrier, queue_url, Flight::Carry(request)));
                carried += 1;
            }
        }
        if carried + resting == 0 {
            return sending.into_outcomes();
        }
        match flights.next().await {
            None | Some(Landed::TimeIsUp) => return sending.into_outcomes(),
            Some(Landed::Rested(positions)) => {
                resting -= 1;
                sending.offer_again(positions);
            }
            Some(Landed::Answers(answers)) => {
                carried -= 1;
                let again = settle(&mut sending, &mut tries, answers, limits.attempts);
                if let Some(&first) = again.first() {
                    let tried = tries.get(first).copied().unwrap_or(1);
                    let pause = pause_after(u32::from(tried), &limits, carrier.random());
                    flights.push(fly(carrier, queue_url, Flight::Rest(again, pause)));
                    resting += 1;
                }
            }
        }
    }
}

async fn fly<C: Carrier>(carrier: &C, queue_url: &str, flight: Flight) -> Landed {
    match flight {
        Flight::Carry(messages) => Landed::Answers(carrier.carry(queue_url, messages).await),
        Flight::Rest(positions, pause) => {
            carrier.pause(pause).await;
            Landed::Rested(positions)
        }
        Flight::UntilTheEnd(time) => {
            carrier.pause(time).await;
            Landed::TimeIsUp
        }
    }
}

/// The messages of a request; what SQS would refuse is refused here, alone.
fn checked<O: Outbox + ?Sized>(
    outbox: &O,
    positions: Vec<usize>,
    is_fifo: bool,
    sending: &mut Sending,
) -> Vec<(usize, OutgoingMessage)> {
    let mut request = Vec::with_capacity(positions.len());
    for position in positions {
        let message = outbox.message(position);
        // Whether the queue derives deduplication ids from the content only SQS itself knows.
        match message.check(is_fifo, true) {
            Ok(()) => request.push((position, message)),
            Err(error) => sending.record(position, Err(error)),
        }
    }
    request
}

/// Records what was answered; the positions that may be tried again.
fn settle(
    sending: &mut Sending,
    tries: &mut [u8],
    answers: Vec<(usize, Result<SentMessage, SendError>)>,
    attempts: u32,
) -> Vec<usize> {
    let mut again = Vec::new();
    let mut seen = HashSet::new();
    for (position, answer) in answers {
        let Some(tried) = tries.get_mut(position).filter(|_| seen.insert(position)) else {
            continue;
        };
        *tried = tried.saturating_add(1);
        match answer {
            Err(SendError::Unavailable { .. }) if u32::from(*tried) < attempts => {
                again.push(position);
            }
            answer => sending.record(position, answer),
        }
    }
    again
}

/// A random pause up to the doubled limit ("full jitter"), so that instances do not march in step.
fn pause_after(tried: u32, limits: &SqsLimits, random: u64) -> Duration {
    let doubled = limits
        .first_pause_ms
        .saturating_mul(1 << tried.saturating_sub(1).min(16));
    let longest = doubled.min(limits.longest_pause_ms).max(1);
    Duration::from_millis(random % longest + 1)
}
