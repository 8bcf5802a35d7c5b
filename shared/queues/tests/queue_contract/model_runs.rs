//! The embedded queue against its model, step by step, with futures dropped between statements.
//!
//! After each step the file must hold exactly what the model holds; after a step that was cut off,
//! what it held before or after, nothing else.

use std::future::Future;
use std::task::Poll;

use proptest::prelude::*;
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Redrive, embedded_queue_url};

use crate::model::{Held, MAXIMUM_RECEIVES, Model, Operation, RETENTION_MS, VISIBILITY_MS, number};

const START_MS: i64 = 1_795_200_000_000;

struct Run {
    queues: EmbeddedQueues,
    source: String,
    dead: String,
    model: Model,
    now_ms: i64,
    _folder: tempfile::TempDir,
}

impl Run {
    async fn start(fifo: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
            .await
            .unwrap();
        let ending = if fifo { ".fifo" } else { "" };
        let (source, dead) = (format!("Fonte{ending}"), format!("Morta{ending}"));
        let queue = |name: &str| QueueDefinition {
            visibility_seconds: u32::try_from(VISIBILITY_MS / 1_000).unwrap(),
            retention_seconds: u32::try_from(RETENTION_MS / 1_000).unwrap(),
            ..QueueDefinition::new(name)
        };
        let redrive = Redrive {
            dead_letter_queue: dead.clone(),
            maximum_receives: u32::try_from(MAXIMUM_RECEIVES).unwrap(),
        };
        let with_redrive = QueueDefinition {
            redrive: Some(redrive),
            ..queue(&source)
        };
        queues.define(&[with_redrive, queue(&dead)]).await.unwrap();
        Self {
            queues,
            source: embedded_queue_url(&source),
            dead: embedded_queue_url(&dead),
            model: Model {
                fifo,
                ..Model::default()
            },
            now_ms: START_MS,
            _folder: folder,
        }
    }

    /// What the file holds, in the model's words; the time of sending is not shown by a look.
    async fn held(&self, url: &str) -> Vec<(String, i64, i64, bool)> {
        let held = self.queues.peek(url, 1_000).await.unwrap();
        let row = |m: queues::PeekedMessage| {
            (
                m.body,
                m.receive_count,
                m.visible_at_ms,
                m.receipt_handle.is_some(),
            )
        };
        held.into_iter().map(row).collect()
    }

    async fn agrees_with(&self, model: &Model) -> bool {
        let row = |m: &Held| (m.body.clone(), m.receives, m.visible_at_ms, m.received);
        let source: Vec<_> = model.source.iter().map(row).collect();
        let dead: Vec<_> = model.dead.iter().map(row).collect();
        // A redriven message that dies again keeps its new place: compare the dead as a set.
        let mut dead_held = self.held(&self.dead).await;
        dead_held.sort_by_key(|(body, ..)| number(body));
        self.held(&self.source).await == source && dead_held == dead
    }

    /// Does the operation on the real queue; the receipts are those that lie there.
    async fn perform(&self, operation: &Operation) -> Vec<String> {
        let received: Vec<(String, String)> = self
            .queues
            .peek(&self.source, 1_000)
            .await
            .unwrap()
            .into_iter()
            .filter_map(|message| Some((message.body, message.receipt_handle?)))
            .collect();
        let receipt = |position: usize| {
            let position = position.checked_rem(received.len())?;
            received.get(position).map(|(_, receipt)| receipt.clone())
        };
        match operation {
            Operation::Send(messages) => {
                let sent = self.model.sent;
                let messages: Vec<OutgoingMessage> = (sent..)
                    .zip(messages)
                    .map(|(number, (group, delay))| {
                        let body = format!("m{number}");
                        if self.model.fifo {
                            // The time keeps a body that was cut off from being its own repetition.
                            let id = format!("{body}-{}", self.now_ms);
                            OutgoingMessage::fifo(&body, format!("g{group}"), id)
                        } else {
                            OutgoingMessage::new(&body).delayed(*delay)
                        }
                    })
                    .collect();
                for outcome in self.queues.send(&self.source, &messages, self.now_ms).await {
                    outcome.unwrap();
                }
                Vec::new()
            }
            Operation::Receive { dead, max } => {
                let url = if *dead { &self.dead } else { &self.source };
                let received = self.queues.receive(url, *max, self.now_ms).await.unwrap();
                received.into_iter().map(|message| message.body).collect()
            }
            Operation::Delete(positions) => {
                let receipts: Vec<String> = positions.iter().filter_map(|p| receipt(*p)).collect();
                self.queues.delete(&self.source, &receipts).await.unwrap();
                Vec::new()
            }
            Operation::ChangeVisibility { position, seconds } => {
                let receipt = receipt(*position).unwrap_or_else(|| "absent".to_owned());
                let change =
                    self.queues
                        .change_visibility(&self.source, &receipt, *seconds, self.now_ms);
                change.await.unwrap();
                Vec::new()
            }
            Operation::Redrive => {
                self.queues
                    .redrive(&self.dead, &self.source, self.now_ms)
                    .await
                    .unwrap();
                Vec::new()
            }
            Operation::Pass(_) => Vec::new(),
        }
    }

    /// One step, cut off after `polls` pending polls where that is given; says whether it ended.
    async fn step(&mut self, operation: &Operation, polls: Option<u32>) -> bool {
        if let Operation::Pass(milliseconds) = operation {
            self.now_ms += milliseconds;
        }
        let mut after = self.model.clone();
        let expected = after.apply(operation, self.now_ms);
        let outcome = match polls {
            Some(polls) => cut_off(self.perform(operation), polls).await,
            None => Some(self.perform(operation).await),
        };
        let finished = outcome.is_some();
        match outcome {
            Some(handed_out) => {
                let mut handed_out = handed_out;
                let mut expected = expected;
                if matches!(operation, Operation::Receive { dead: true, .. }) {
                    handed_out.sort();
                    expected.sort();
                }
                assert_eq!(handed_out, expected, "{operation:?}");
                self.model = after;
            }
            None if self.agrees_with(&after).await => self.model = after,
            None => {}
        }
        let agrees = self.agrees_with(&self.model).await;
        let source = self.held(&self.source).await;
        let dead = self.held(&self.dead).await;
        assert!(
            agrees,
            "{operation:?}\nsource {source:?}\ndead {dead:?}\n{:#?}",
            self.model
        );
        finished
    }

    /// Receives and deletes until both queues are empty, and says what came.
    async fn drain(&mut self) -> Vec<String> {
        let mut bodies = Vec::new();
        for url in [self.source.clone(), self.dead.clone()] {
            loop {
                self.now_ms += VISIBILITY_MS + 1;
                let received = self.queues.receive(&url, 10, self.now_ms).await.unwrap();
                if received.is_empty() && self.held(&url).await.is_empty() {
                    break;
                }
                let receipts: Vec<String> = received
                    .iter()
                    .map(|message| message.receipt_handle.clone())
                    .collect();
                bodies.extend(received.into_iter().map(|message| message.body));
                self.queues.delete(&url, &receipts).await.unwrap();
            }
        }
        bodies
    }
}

/// Drops the future after `polls` pending polls; each statement pends at least once.
async fn cut_off<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => prop::collection::vec((0_u8..3, prop_oneof![Just(0_u32), 1_u32..60]), 1..5)
            .prop_map(Operation::Send),
        4 => (any::<bool>(), 1_u32..5)
            .prop_map(|(dead, max)| Operation::Receive { dead: dead && max > 2, max }),
        2 => prop::collection::btree_set(0_usize..8, 1..4)
            .prop_map(|positions| Operation::Delete(positions.into_iter().collect())),
        1 => (0_usize..8, 0_u32..90)
            .prop_map(|(position, seconds)| Operation::ChangeVisibility { position, seconds }),
        1 => Just(Operation::Redrive),
        2 => prop_oneof![Just(1_000_i64), Just(31_000), Just(61_000), Just(3_700_000)]
            .prop_map(Operation::Pass),
    ]
}

/// Takes the steps and drains the queues; says whether the last step came to its end.
fn run(fifo: bool, steps: Vec<(Operation, Option<u32>)>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let work = async {
        let mut run = Run::start(fifo).await;
        let mut finished = true;
        for (operation, polls) in &steps {
            finished = run.step(operation, *polls).await;
        }
        let in_source = run.model.source.iter().map(|message| message.body.clone());
        let in_dead = run.model.dead.iter().map(|message| message.body.clone());
        // What is past its retention when the drain begins may go; it only ever receives here.
        let mut held: Vec<String> = in_source.chain(in_dead).collect();
        let fresh_ms = run.now_ms - RETENTION_MS / 2;
        let all_fresh = run
            .model
            .source
            .iter()
            .chain(&run.model.dead)
            .all(|m| m.sent_ms > fresh_ms);
        let mut drained = run.drain().await;
        if all_fresh {
            held.sort();
            drained.sort();
            assert_eq!(
                drained, held,
                "what was held is received once when deleted in time"
            );
        }
        finished
    };
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), work)
            .await
            .expect("a step hangs")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_queue_is_its_model_whatever_is_cut_off(
        fifo in any::<bool>(),
        steps in prop::collection::vec(
            (operation(), prop::option::weighted(0.3, 0_u32..40)), 1..25),
    ) {
        run(fifo, steps);
    }
}

/// Each way to cut off one operation after each number of polls, without chance.
#[test]
fn every_operation_cut_off_anywhere_is_done_or_not_begun() {
    let prepared = || {
        vec![
            (Operation::Send(vec![(0, 0), (0, 0), (1, 0), (2, 0)]), None),
            (
                Operation::Receive {
                    dead: false,
                    max: 2,
                },
                None,
            ),
            (Operation::Pass(31_000), None),
            (
                Operation::Receive {
                    dead: false,
                    max: 2,
                },
                None,
            ),
            (Operation::Pass(31_000), None),
        ]
    };
    let cut = [
        Operation::Send(vec![(0, 0), (1, 0)]),
        Operation::Receive {
            dead: false,
            max: 4,
        },
        Operation::Delete(vec![0, 1]),
        Operation::ChangeVisibility {
            position: 0,
            seconds: 5,
        },
    ];
    for fifo in [false, true] {
        for operation in &cut {
            let finished = (0..).take_while(|polls| {
                let mut steps = prepared();
                steps.push((operation.clone(), Some(*polls)));
                !run(fifo, steps)
            });
            assert!(
                finished.count() > 3,
                "{operation:?} has statements to be cut off between"
            );
        }
        let finished = (0..).take_while(|polls| {
            let mut steps = prepared();
            steps.push((
                Operation::Receive {
                    dead: false,
                    max: 4,
                },
                None,
            ));
            steps.push((Operation::Redrive, Some(*polls)));
            !run(fifo, steps)
        });
        assert!(finished.count() > 3);
    }
}
