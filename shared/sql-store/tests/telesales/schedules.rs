//! Seeded schedules: every customer's changes come in any order, again and again, in batches whose
//! process dies between two statements, and that are then repeated; at the end the table is what the
//! source said last.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sql_store::{
    Options,
    observer::{Point, StatementObserver},
};
use testkit::Random;
use tokio::sync::Notify;

use super::*;

/// Schedules of one run; each is replayed by its number with FEIRA_SEED.
const SCHEDULES: u64 = 20_000;
/// Schedules whose batches share transactions, as partitions do.
const TOGETHER: u64 = 250;
const PARTITIONS: u64 = 3;
/// Points of a batch: before and after each of its statements.
const MOST_POINTS: usize = 22;

/// A process that dies at a point of its run: it hangs there and is dropped, which closes its
/// connection as a kill does.
#[derive(Default)]
struct Death {
    points_left: AtomicUsize,
    came: Notify,
}

impl StatementObserver for Death {
    fn cuts_at(&self, _: Point<'_>) -> bool {
        let is_here = self.points_left.fetch_sub(1, Ordering::SeqCst) == 0;
        if is_here {
            self.came.notify_one();
        }
        is_here
    }
}

/// Applies the batch in a process that dies at the point; false when it was done before that.
async fn dies_over(url: &str, batch: &[Change<Contact>], point: usize) -> bool {
    let death = Arc::new(Death {
        points_left: AtomicUsize::new(point),
        ..Death::default()
    });
    let options = Options {
        observer: Some(death.clone()),
        ..Options::default()
    };
    let store = Store::open_with(url, options).await.unwrap();
    let table = ProjectionTable::new(store, pseudonyms(), "televendas");
    tokio::select! {
        biased;
        applied = table.apply(batch, at(0)) => {
            applied.unwrap();
            false
        }
        () = death.came.notified() => true,
    }
}

/// What a source wrote of one customer, in its order, and what is right at the end.
struct Schedule {
    deliveries: Vec<Change<Contact>>,
    id: String,
    expected: Option<String>,
}

impl Schedule {
    /// Each change is delivered at least once; with `is_versioned` in any order, without versions
    /// in the order of the log with repeats, which is all that Kafka does to one key.
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let id = format!("c{seed}");
        let is_versioned = !random.one_in(4);
        let mut partition = i32::try_from(random.below(PARTITIONS)).unwrap();
        let mut offset = 10;
        let mut written: Vec<Change<Contact>> = Vec::new();
        let mut expected = None;
        for number in 0..2 + random.below(5_i64) {
            // A topic that got more partitions moves a key: its offsets there begin lower.
            let moves = random.one_in(6);
            if moves {
                partition += 3;
                offset = 0;
            }
            offset += 1 + random.below(5);
            let deletes = random.one_in(3);
            // A withdrawal of consent is a record as any other, a tombstone has no version.
            let withdraws = deletes && random.one_in(2);
            let before = written.last().map(|last| (last.stamp, last.row.is_none()));
            let before =
                before.filter(|(stamp, _)| stamp.place.recorded == at(number * 1_000 - 1_000));
            // Of two records of one time only a tombstone does not tell which is the newer.
            let follows_tombstone =
                before.is_some_and(|(stamp, deletes)| deletes && stamp.version.is_none());
            let is_tie = moves
                && random.one_in(2)
                && (follows_tombstone || (deletes && !withdraws && before.is_some()));
            let is_lost = is_tie && follows_tombstone && !deletes;
            let name = format!("Nome {seed} {number}");
            let phone = format!("119{:08}", random.below(100_000_000));
            let row = (!deletes).then(|| contact(&name, &phone));
            written.push(Change {
                customer: customer(&id),
                stamp: Stamp {
                    version: (is_versioned && (withdraws || !deletes)).then_some(number),
                    place: Place {
                        partition,
                        offset,
                        recorded: at((number - i64::from(is_tie)) * 1_000),
                    },
                },
                row,
            });
            expected = (!deletes && !is_lost).then_some(name);
        }
        let mut deliveries = written.clone();
        for _ in 0..random.below(4) {
            let from = random.below(written.len());
            deliveries.extend(written[from..].iter().cloned());
        }
        if is_versioned {
            for place in (1..deliveries.len()).rev() {
                let other = random.below(place + 1);
                deliveries.swap(place, other);
            }
        }
        Self {
            deliveries,
            id,
            expected,
        }
    }
}

/// Delivers many schedules side by side, batch by batch; a batch comes again as a whole when its
/// process died, or may do so for nothing. Answers how often a process died.
async fn run(scene: &Scene, url: &str, seeds: std::ops::Range<u64>) -> usize {
    let mut deaths = 0;
    let mut random = Random::new(seeds.start ^ 0xfe1a);
    let schedules: Vec<Schedule> = seeds.map(Schedule::new).collect();
    let mut positions = vec![0; schedules.len()];
    loop {
        let mut batch = Vec::new();
        for (schedule, position) in schedules.iter().zip(&mut positions) {
            let take = random.below(3);
            let rest = &schedule.deliveries[*position..];
            let taken = &rest[..take.min(rest.len())];
            batch.extend(taken.iter().cloned());
            *position += taken.len();
        }
        while random.percent(40) {
            let point = random.below(MOST_POINTS);
            deaths += usize::from(dies_over(url, &batch, point).await);
        }
        let times = 1 + random.below(2);
        for _ in 0..times {
            scene.apply(&batch, at(0)).await;
        }
        let is_done = schedules
            .iter()
            .zip(&positions)
            .all(|(schedule, position)| *position == schedule.deliveries.len());
        if is_done {
            break;
        }
    }
    let names = names(scene).await;
    for (schedule, number) in schedules.iter().zip(0..) {
        let found = names.get(contact_id(&schedule.id).as_str()).cloned();
        assert_eq!(
            found.flatten(),
            schedule.expected,
            "schedule {} (number {number} of its group): FEIRA_SEED={}",
            schedule.id,
            schedule.id.trim_start_matches('c')
        );
    }
    deaths
}

async fn names(scene: &Scene) -> BTreeMap<String, Option<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        subject: String,
        name: Option<String>,
    }
    let sql = "SELECT subject, name FROM contacts";
    let work = async |tx: &Tx| tx.all::<Row>(sql, values![]).await;
    let rows = scene.store.transact(work).await.unwrap();
    rows.into_iter()
        .map(|row| (row.subject, row.name))
        .collect()
}

#[tokio::test]
async fn whatever_the_order_the_last_word_of_the_source_stands() {
    let only: Option<u64> = std::env::var("FEIRA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for (place, database) in databases().await.into_iter().enumerate() {
        // The first database takes all of them, the others a part: the rule is the same.
        let schedules = if place == 0 {
            SCHEDULES
        } else {
            SCHEDULES / 10
        };
        let seeds = only.map_or(0..schedules, |seed| seed..seed + 1);
        let scene = Scene::open(database.url()).await;
        let mut deaths = 0;
        for start in seeds.clone().step_by(usize::try_from(TOGETHER).unwrap()) {
            let end = (start + TOGETHER).min(seeds.end);
            deaths += run(&scene, database.url(), start..end).await;
            scene.execute("DELETE FROM contacts", values![]).await;
        }
        eprintln!("{}: {deaths} deaths", database.label());
        let groups = (seeds.end - seeds.start) / TOGETHER;
        assert!(deaths as u64 >= groups, "{deaths} deaths are too few");
        let receipts = sql_store::projection::receipts::verify(&scene.store).await;
        assert!(receipts.unwrap().is_ok(), "{}", database.label());
    }
}
