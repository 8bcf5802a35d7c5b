//! A process is killed before and after each statement and each send; then everything is delivered
//! again, twice and in another order: effects stay exactly once and nothing is lost.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{
    collections::BTreeSet, ops::Range, os::unix::process::ExitStatusExt, path::Path,
    process::Command,
};

use bundle_tests::faults::{
    cutter::{Cut, Cutter},
    shop::{Delivery, Process, found_shop, now, open_queues, set_clock},
    state::{assert_sound, dump, renamed},
    story::{STEPS, deliveries},
    world::{World, quick_folder},
};
use domain::time::UtcMillis;
use serde_json::{Value, json};
use testkit::databases;

const HOUR_MS: i64 = 3_600_000;
/// A dead job's lease ends after a quarter of an hour, a dead publisher's after half a minute.
const AFTER_LEASES_MS: i64 = 16 * 60 * 1000;

/// What a dead operator's run had received is seen again after half a minute.
const AFTER_VISIBILITY_MS: i64 = 31_000;

/// How long after a death a step is done again: where dead processes left leases behind, later.
fn pause_ms(step: usize) -> i64 {
    let name = STEPS[step].0;
    let leased = [
        "promoters are made",
        "sweep",
        "weeks later",
        "outbox",
        "anchored",
    ];
    if leased.iter().any(|word| name.contains(word)) {
        AFTER_LEASES_MS
    } else if name.contains("replayed") {
        AFTER_VISIBILITY_MS
    } else {
        0
    }
}

fn clock_of(step: usize) -> i64 {
    STEPS[step].1 * HOUR_MS
}

/// What a step left: its state, its answers and its dead letters.
#[derive(Debug, PartialEq)]
struct Left {
    state: Vec<String>,
    answers: Vec<String>,
    dead_letters: BTreeSet<String>,
}

async fn take_all(process: &Process, all: &[Delivery]) -> Vec<Value> {
    let mut answers = Vec::new();
    for delivery in all {
        answers.push(process.take(delivery).await.unwrap());
    }
    answers
}

/// The state with these steps' moments told as days from them: a job that died is done again later.
async fn left(process: &Process, steps: Range<usize>, answers: &[Value]) -> Left {
    let mut moments = Vec::new();
    for (step, later_ms) in steps.flat_map(|step| [(step, 0), (step, pause_ms(step))]) {
        set_clock(clock_of(step) + later_ms);
        for days in 0..=31 {
            let moment: UtcMillis = now().plus_days(days);
            let name = format!("step {step} + {days} days");
            moments.push((moment.get().to_string(), name.clone()));
            moments.push((moment.to_string(), name));
        }
    }
    let told = |text: String| {
        moments
            .iter()
            .fold(text, |text, (moment, name)| text.replace(moment, name))
    };
    let answers = answers.iter().map(Value::to_string).collect();
    Left {
        state: dump(process).await.into_iter().map(told).collect(),
        answers: renamed(process, answers)
            .await
            .into_iter()
            .map(told)
            .collect(),
        dead_letters: process.dead_letters().await,
    }
}

/// The world before `step`, after every step before it went well.
async fn world_before(step: usize) -> World {
    let world = World::begin().await;
    let (process, _) = world.process(Cut::Never).await;
    for before in 0..step {
        set_clock(clock_of(before));
        let all = deliveries(before, &process).await;
        take_all(&process, &all).await;
    }
    world
}

/// Kills the step at each of its points; answers how many there were.
async fn cut_everywhere(world: &World, step: usize) -> usize {
    set_clock(clock_of(step));
    let (anchor, _) = world.process(Cut::Never).await;
    let all = deliveries(step, &anchor).await;

    let whole = world.copy().await;
    let (process, counter) = whole.process(Cut::Never).await;
    let answers = take_all(&process, &all).await;
    let points = counter.points();
    let expected = left(&process, step..step + 1, &answers).await;
    assert_sound(&process).await;

    for point in 0..points {
        set_clock(clock_of(step));
        let world = world.copy().await;
        let (process, cutter) = world.process(Cut::Drop(point)).await;
        let finished = cutter.around(take_all(&process, &all)).await;
        assert_eq!(finished, None, "point {point} was not reached");
        drop(process);

        set_clock(clock_of(step) + pause_ms(step));
        let (process, _) = world.process(Cut::Never).await;
        let again = take_all(&process, &all).await;
        take_all(&process, &reordered(&all)).await;
        let told = format!(
            "{}, cut at {point} of {points}: {}",
            STEPS[step].0,
            cutter.last()
        );
        let mut found = left(&process, step..step + 1, &again).await;
        if pause_ms(step) > 0 {
            // A job counts what its last attempt did; its report may say that all was done.
            found.answers.clone_from(&expected.answers);
        }
        assert_same(&found, &expected, &told);
        assert_sound(&process).await;
    }
    points
}

/// Neighbours in another order; what was handled once may come in any.
fn reordered(all: &[Delivery]) -> Vec<Delivery> {
    let turned = all.iter().map(|delivery| match delivery {
        Delivery::Orders(batch) => Delivery::Orders(batch.iter().rev().cloned().collect()),
        Delivery::Trips(batch) => Delivery::Trips(batch.iter().rev().cloned().collect()),
        other => other.clone(),
    });
    turned.collect()
}

fn assert_same(found: &Left, expected: &Left, told: &str) {
    let missing: Vec<_> = expected
        .state
        .iter()
        .filter(|line| !found.state.contains(line))
        .collect();
    let added: Vec<_> = found
        .state
        .iter()
        .filter(|line| !expected.state.contains(line))
        .collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{told}\nmissing: {missing:#?}\nadded: {added:#?}"
    );
    assert_eq!(found.answers, expected.answers, "{told}");
    assert_eq!(found.dead_letters, expected.dead_letters, "{told}");
    assert_eq!(
        found.state.len(),
        expected.state.len(),
        "{told}: a line is there twice"
    );
}

async fn cut_steps(steps: Range<usize>, least_points: usize) {
    let mut points = 0;
    for step in steps {
        let world = world_before(step).await;
        let of_step = cut_everywhere(&world, step).await;
        println!("{}: {of_step} points", STEPS[step].0);
        points += of_step;
    }
    assert!(points >= least_points, "only {points} points");
}

#[tokio::test]
async fn killed_anywhere_while_customers_become_promoters_nothing_is_lost_or_done_twice() {
    cut_steps(0..4, 60).await;
}

#[tokio::test]
async fn killed_anywhere_while_purchases_come_nothing_is_lost_or_done_twice() {
    cut_steps(4..5, 100).await;
}

#[tokio::test]
async fn killed_anywhere_while_trips_are_completed_nothing_is_lost_or_done_twice() {
    cut_steps(5..7, 40).await;
}

#[tokio::test]
async fn killed_anywhere_while_vouchers_are_spent_nothing_is_lost_or_done_twice() {
    cut_steps(7..11, 100).await;
}

#[tokio::test]
async fn killed_anywhere_in_a_sweep_nothing_is_lost_or_done_twice() {
    cut_steps(11..13, 100).await;
    cut_steps(17..19, 50).await;
}

#[tokio::test]
async fn killed_anywhere_while_publishing_nothing_is_lost_or_done_twice() {
    cut_steps(13..14, 200).await;
}

#[tokio::test]
async fn killed_anywhere_while_all_ends_nothing_is_lost_or_done_twice() {
    cut_steps(14..17, 150).await;
}

#[tokio::test]
async fn killed_anywhere_while_the_audit_is_anchored_nothing_is_lost_or_done_twice() {
    cut_steps(19..20, 50).await;
}

#[tokio::test]
async fn killed_anywhere_while_dead_letters_are_replayed_nothing_is_lost_or_done_twice() {
    cut_steps(20..STEPS.len(), 10).await;
}

/// Tells a child of this test program what to run and where to die.
const KILLED: &str = "FEIRA_KILLED";
/// POSIX: what `abort` raises.
const SIGABRT: i32 = 6;

/// Run by itself this does nothing; as a child it runs one step and aborts at one point.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(orders) = std::env::var(KILLED) else {
        return;
    };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let number = |name: &str| usize::try_from(orders[name].as_u64().unwrap()).unwrap();
    let (step, url) = (number("step"), orders["url"].as_str().unwrap());
    set_clock(clock_of(step));
    let queues = open_queues(Path::new(orders["folder"].as_str().unwrap())).await;
    let anchor = Process::start(url, &queues, &Cutter::new(Cut::Never)).await;
    let all = deliveries(step, &anchor).await;
    let cutter = Cutter::new(Cut::Abort(number("point")));
    let process = Process::start(url, &queues, &cutter).await;
    take_all(&process, &all).await;
}

fn kill(url: &str, folder: &Path, step: usize, point: usize) {
    let orders = json!({"url": url, "folder": folder, "step": step, "point": point});
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["the_process_that_is_killed", "--exact", "--nocapture"])
        .env(KILLED, orders.to_string())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // Random ids spread over more or fewer shards, so that publishing may end before the point.
    let ended = output.status.success() && STEPS[step].0.contains("outbox");
    let killed = output.status.signal() == Some(SIGABRT);
    assert!(killed || ended, "step {step}, point {point}: {told}");
}

/// The whole story on one database; with `deaths`, a process dies in each step and its successor
/// gets all of the step again. Answers how many points each step had.
async fn tell_story(url: &str, deaths: Option<&[usize]>) -> (Vec<usize>, Left) {
    let folder = quick_folder();
    let queues = open_queues(folder.path()).await;
    set_clock(0);
    found_shop(url).await;
    let mut points = Vec::new();
    for step in 0..STEPS.len() {
        set_clock(clock_of(step));
        let counter = Cutter::new(Cut::Never);
        let anchor = Process::start(url, &queues, &Cutter::new(Cut::Never)).await;
        let all = deliveries(step, &anchor).await;
        if let Some(deaths) = deaths {
            kill(url, folder.path(), step, deaths[step]);
        }
        set_clock(clock_of(step) + pause_ms(step));
        let process = Process::start(url, &queues, &counter).await;
        take_all(&process, &all).await;
        points.push(counter.points());
    }
    let process = Process::start(url, &queues, &Cutter::new(Cut::Never)).await;
    assert_sound(&process).await;
    (points, left(&process, 0..STEPS.len(), &[]).await)
}

#[tokio::test]
async fn a_process_that_is_really_killed_in_every_step_leaves_the_same_shop() {
    for database in databases().await {
        let (points, expected) = tell_story(database.url(), None).await;
        for (part, of) in [(0, 1), (1, 3), (2, 3), (1, 1)] {
            let deaths: Vec<usize> = points.iter().map(|all| (all - 1) * part / of).collect();
            let label = database.label();
            let place = databases()
                .await
                .into_iter()
                .find(|one| one.label() == label);
            let place = place.unwrap();
            let (_, found) = tell_story(place.url(), Some(&deaths)).await;
            assert_same(
                &found,
                &expected,
                &format!("{label}: killed at {part}/{of} of each step"),
            );
        }
    }
}
