//! A seeded simulation of the bridge: partial failures of SQS, throttling, lost answers, batches
//! that come again and in another order, poison, rebalances with a reader that lives on, processes
//! killed before and after each step. Once the topic is read, every record must have had its effect
//! exactly once, byte for byte and in order of its key, or lie in dead letters because it can't be
//! sent. `FEIRA_SEED=n` replays one seed, `FEIRA_SEEDS=n` runs so many.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod executor;
mod plan;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use contracts::envelope::{Carried, Envelope};
use kafka_to_sqs::{Bridge, Outside, Settings, TopicQueues};
use lambda_kit::{
    Invocation, SealKey, claims::sha256_hex, dead_letter::DeadLetter, kafka::EventHandler,
};
use serde_json::{Value, json};
use testkit::Random;

use crate::plan::{Kind, MESSAGE_BYTES, Plan, TOPIC};
use crate::world::{LIMITS, World};

/// How many schedules run by default.
const SEEDS: u64 = 100_000;
/// No schedule needs more batches.
const MOST_BATCHES: usize = 80;
const LETTERS: &str = "https://sqs/1/letters";

/// Reads the topic as a mapping does.
struct Mapping<'w> {
    world: &'w World,
    plan: &'w Plan,
    bridge: Bridge<&'w World>,
    /// Where each partition goes on.
    next: Vec<usize>,
}

/// From where to where a partition was read.
type Range = (usize, usize, usize);

impl Mapping<'_> {
    fn is_done(&self) -> bool {
        let ends = self.plan.partitions.iter().map(Vec::len);
        self.next.iter().zip(ends).all(|(next, end)| *next == end)
    }

    /// A batch of some partitions, from their places on, or once more from before them.
    fn draw(&self, from: &[usize]) -> (Vec<Range>, String) {
        let (mut ranges, mut records) = (Vec::new(), serde_json::Map::new());
        for (partition, all) in self.plan.partitions.iter().enumerate() {
            let start = from[partition];
            let count = 1 + self.world.below(4);
            let end = all.len().min(start + count);
            if start == end || (!ranges.is_empty() && self.world.below(3) == 0) {
                continue;
            }
            ranges.push((partition, start, end));
            let list = all[start..end].iter().map(|record| record.json.clone());
            records.insert(format!("{TOPIC}-{partition}"), list.collect());
        }
        (
            ranges,
            json!({"eventSource": "aws:kafka", "records": records}).to_string(),
        )
    }

    fn invocation(&self) -> Invocation {
        let now = self.bridge.outside().now();
        let mut invocation = Invocation::at(now);
        let seconds = if self.world.fault(10) { 1 } else { 30 };
        invocation.deadline = now.plus_millis(seconds * 1_000);
        invocation
    }

    /// One batch, perhaps beside one that a reader of an older generation still works on.
    fn read_on(&mut self) {
        let (ranges, event) = self.draw(&self.next);
        let invocation = self.invocation();
        let zombie = self.world.fault(10).then(|| {
            let back = |next: &usize| self.world.below(next + 1);
            self.draw(&self.next.iter().map(back).collect::<Vec<_>>()).1
        });
        self.world.told.borrow_mut().clear();
        let answer = self.world.clock.run(async {
            let ours = self.bridge.handle(&event, &invocation);
            match &zombie {
                None => ours.await,
                Some(old) => {
                    let theirs = self.bridge.handle(old, &invocation);
                    futures::future::join(theirs, ours).await.1
                }
            }
        });
        let most = LIMITS.in_flight * if zombie.is_some() { 2 } else { 1 };
        assert!(self.world.most_under_way.replace(0) <= most);
        if answer.is_some() && zombie.is_none() {
            let now = self.bridge.outside().now();
            assert!(now <= invocation.deadline, "Lambda would have ended it");
        }
        // A killed process, a failed invocation and a rebalance all leave the place as it was.
        if let Some(Ok(answer)) = answer
            && !self.world.fault(5)
        {
            if zombie.is_none() {
                self.assert_unsent(&answer);
            }
            self.commit(&ranges, &answer);
        }
        if self.world.fault(5) {
            self.world.clock.pass(400_000);
        }
    }

    /// What the queue said that it took does not begin what comes again.
    fn assert_unsent(&self, answer: &Value) {
        let told = self.world.told.borrow();
        let envelopes = told.iter().filter_map(|body| Envelope::read(body).ok());
        let taken: BTreeSet<(String, u64)> = envelopes
            .map(|envelope| {
                let place = envelope.coordinates;
                let name = format!("{}-{}", place.topic, place.partition);
                (name, u64::try_from(place.offset).unwrap())
            })
            .collect();
        for failure in answer["batchItemFailures"].as_array().unwrap() {
            let place = &failure["itemIdentifier"];
            let name = place["partition"].as_str().unwrap().to_owned();
            let first = (name, place["offset"].as_u64().unwrap());
            assert!(!taken.contains(&first), "{answer}");
        }
    }

    fn commit(&mut self, ranges: &[Range], answer: &Value) {
        let failures = answer["batchItemFailures"].as_array().unwrap();
        assert!(failures.len() <= ranges.len(), "{answer}");
        let mut first = BTreeMap::new();
        for failure in failures {
            let place = &failure["itemIdentifier"];
            let offset = usize::try_from(place["offset"].as_u64().unwrap()).unwrap();
            first.insert(place["partition"].as_str().unwrap(), offset);
        }
        for &(partition, start, end) in ranges {
            let failed = first.remove(format!("{TOPIC}-{partition}").as_str());
            assert!(
                failed.is_none_or(|offset| (start..end).contains(&offset)),
                "{answer}"
            );
            self.next[partition] = failed.unwrap_or(end);
        }
        assert!(first.is_empty(), "{answer}");
    }
}

/// What a consumer did, by identity: the mark stands with the effect.
#[derive(Default)]
struct Effects {
    marks: BTreeSet<String>,
    done: Vec<Envelope>,
}

impl Effects {
    fn take(&mut self, world: &World, body: &str) {
        assert!(body.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let mut envelope = Envelope::read(body).unwrap();
        if let Carried::Elsewhere(claim) = &envelope.value {
            let bucket = world.bucket.borrow();
            let value = bucket.get(&claim.key).expect("a claimed value lies there");
            assert_eq!(sha256_hex(value), claim.sha256);
            envelope.value = Carried::Here(value.clone());
        }
        if self.marks.insert(envelope.coordinates.identity()) {
            self.done.push(envelope);
        }
    }

    /// Every message, some of them twice; a standard queue in any order.
    fn drain(world: &World, is_fifo: bool) -> Self {
        let mut effects = Self::default();
        let mut lying = world.queue.borrow().clone();
        while !lying.is_empty() {
            let place = if is_fifo { 0 } else { world.below(lying.len()) };
            let message = lying.remove(place);
            effects.take(world, &message.body);
            if world.below(10) == 0 {
                effects.take(world, &message.body);
            }
        }
        effects
    }
}

fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let plan = Plan::draw(&mut random);
    let world = World::new(random, plan.is_fifo);
    let queue = if plan.is_fifo {
        "https://sqs/1/q.fifo"
    } else {
        "https://sqs/1/q"
    };
    let settings = Settings {
        queues: TopicQueues::parse(&json!({TOPIC: queue}).to_string()).unwrap(),
        dead_letters_url: LETTERS.to_owned(),
        claims_bucket: "arquivos".to_owned(),
        message_bytes: MESSAGE_BYTES,
        seal_key: SealKey::new(&[3; 32]).unwrap(),
    };
    let mut mapping = Mapping {
        world: &world,
        plan: &plan,
        bridge: Bridge::new(settings, &world),
        next: vec![0; plan.partitions.len()],
    };
    let mut batches = 0;
    while !mapping.is_done() {
        batches += 1;
        assert!(batches <= MOST_BATCHES, "the mapping stands still");
        mapping.read_on();
    }
    check(&world, &plan);
}

fn check(world: &World, plan: &Plan) {
    let effects = Effects::drain(world, plan.is_fifo);
    let letters: BTreeSet<String> = world
        .letters
        .borrow()
        .iter()
        .map(|body| {
            serde_json::from_str::<DeadLetter>(body)
                .unwrap()
                .id_mensagem
        })
        .collect();
    let mut by_place = BTreeMap::new();
    for envelope in &effects.done {
        let place = (envelope.coordinates.partition, envelope.coordinates.offset);
        assert!(
            by_place.insert(place, envelope).is_none(),
            "{place:?} came twice"
        );
    }
    for (partition, records) in plan.partitions.iter().enumerate() {
        for (offset, planned) in records.iter().enumerate() {
            let place = (
                i32::try_from(partition).unwrap(),
                i64::try_from(offset).unwrap(),
            );
            let is_buried = letters.contains(&format!("{TOPIC}-{partition}@{offset}"));
            let done = by_place.remove(&place);
            if matches!(planned.kind, Kind::Poison | Kind::Unwanted) {
                assert!(is_buried && done.is_none(), "{place:?} is lost");
                continue;
            }
            let done = done.unwrap_or_else(|| panic!("{place:?} is lost"));
            assert!(!is_buried, "{place:?} can be sent");
            assert_eq!(done.key, planned.key);
            let value = planned
                .value
                .clone()
                .map_or(Carried::Tombstone, Carried::Here);
            assert_eq!(done.value, value);
            assert_eq!(done.headers, [("h".to_owned(), Some(vec![255, 0, 127]))]);
        }
    }
    assert!(by_place.is_empty());
    if plan.is_fifo {
        keeps_order(&effects.done);
    }
}

/// Of each key, and of the records without one in each partition, offsets only grow.
fn keeps_order(done: &[Envelope]) {
    let mut last = BTreeMap::new();
    for envelope in done {
        let place = &envelope.coordinates;
        let before = last.insert((place.partition, &envelope.key), place.offset);
        assert!(
            before.is_none_or(|before| before < place.offset),
            "{place:?} came late"
        );
    }
}

#[test]
fn every_record_has_its_effect_once_in_order_or_lies_in_dead_letters() {
    testkit::each_seed("bridge_simulation", SEEDS, simulate);
}
