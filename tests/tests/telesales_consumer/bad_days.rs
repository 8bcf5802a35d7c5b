//! Members that join, leave and die, and a broker that stops.

use std::time::Duration;

use sql_store::{Store, StoreError, Tx, values};
use testkit::Random;
use testkit::{TestDatabase, databases, kafka, own_kafka};
use tokio::sync::watch;

use crate::member::{Member, Scene};
use crate::outcome::{assert_database, assert_dead_letters, assert_private};
use crate::stream::{Maker, Stream};
use crate::topic::Topic;

const KILLS: usize = 50;
/// Two members are killed side by side in each.
const ROUNDS: usize = KILLS / 2;
/// A member that has no partitions yet is not waited for.
const WORKS_SOON: Duration = Duration::from_secs(4);
/// Of the dead so many had applied something.
const AT_WORK: usize = 20;
const WORKS: Duration = Duration::from_secs(30);
const CONSUMED: Duration = Duration::from_secs(60);
/// Where no broker listens.
const NOBODY: &str = "127.0.0.1:1";

fn stream(seed: u64, customers: usize, records: usize) -> Stream {
    let now_ms = lambda_kit::clock::now().get();
    Maker::new(seed, customers, now_ms).stream(records)
}

/// Ends the member as an orchestrator does.
fn end(member: Member) {
    let told = member.told();
    let status = tokio::task::block_in_place(|| member.terminate());
    assert_eq!(status.code(), Some(0), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_join_and_leave_and_a_broker_that_stops_lose_nothing() {
    let Some(mut kafka) = own_kafka() else {
        eprintln!("FEIRA_KAFKA_JARS names no folder: no broker that this test may stop");
        return;
    };
    for (seed, database) in (40..).zip(databases().await) {
        let topic = Topic::create(&kafka.brokers(), &format!("clientes-{seed}")).await;
        let mut scene = Scene::new(topic, database).await;
        let stream = stream(seed, 300, 4_000);
        let quarter = stream.sent.len().div_ceil(4);
        let parts: Vec<_> = stream.sent.chunks(quarter).collect();

        let first = scene.member(None);
        let mut coordinates = scene.topic.produce(parts[0]).await;
        first.until_it_works(WORKS).await;
        // It joins: partitions change hands while records come in.
        let second = scene.member(None);
        coordinates.extend(scene.topic.produce(parts[1]).await);
        scene.topic.until_shared(2, WORKS).await;
        coordinates.extend(scene.topic.produce(parts[2]).await);
        second.until_it_works(WORKS).await;
        end(first);

        tokio::task::block_in_place(|| kafka.stop());
        tokio::time::sleep(Duration::from_millis(500)).await;
        second.applied().await;
        tokio::task::block_in_place(|| kafka.start());
        let third = scene.member(None);
        coordinates.extend(scene.topic.produce(parts[3]).await);
        scene.topic.until_consumed(CONSUMED).await;
        third.applied().await;
        for member in [second, third] {
            end(member);
        }
        verify(&scene, &stream, &coordinates).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_end_while_it_looks_for_a_broker_ends_in_order() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    let mut topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
    topic.brokers = NOBODY.to_owned();
    let scene = Scene::new(topic, databases().await.remove(0)).await;
    let member = scene.member(None);
    member.until_it_hears();
    assert!(!member.is_up().await, "{}", member.told());
    end(member);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_deaths_at_random_moments_leave_what_the_model_has() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    for (seed, database) in (60..).zip(databases().await) {
        let topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
        let label = database.label();
        let worked = deaths(topic, database, seed).await;
        eprintln!("{label}: {worked} of {KILLS} died at work");
    }
}

/// Answers how many had worked.
async fn deaths(topic: Topic, database: TestDatabase, seed: u64) -> usize {
    let mut scene = Scene::new(topic, database).await;
    let stream = stream(seed, 300, 6_000);
    let mut coordinates = Vec::new();
    let mut random = Random::new(seed);
    let mut rest = stream.sent.as_slice();
    let mut worked = 0;
    for round in 0..ROUNDS {
        // Who keeps its name keeps its partitions; a stranger waits until the dead are missed.
        let second = (round % 5 != 4).then_some("segundo");
        let members = [scene.member(Some("primeiro")), scene.member(second)];
        let (now, later) = rest.split_at(rest.len() / (ROUNDS - round));
        rest = later;
        coordinates.extend(scene.topic.produce(now).await);
        // Behind a lock they die with a batch that was read and not applied.
        let is_locked = round % 3 == 1;
        let lives = members.map(|member| life(member, &mut random, !is_locked));
        let [first, second] = lives;
        let lives = async { tokio::join!(first, second) };
        let (first, second) = match is_locked {
            true => while_locked(&scene, lives).await,
            false => lives.await,
        };
        worked += usize::from(first) + usize::from(second);
    }
    assert!(worked >= AT_WORK, "{worked} of {KILLS} died at work");
    let last = scene.member(Some("primeiro"));
    scene.topic.until_consumed(CONSUMED).await;
    end(last);
    verify(&scene, &stream, &coordinates).await;
    worked
}

/// Does the work while a transaction of somebody else has locked every contact.
async fn while_locked<T>(scene: &Scene, work: impl Future<Output = T>) -> T {
    let store = Store::open(scene.database.url()).await.unwrap();
    // SQLite's transactions lock the whole file as they begin.
    let sql = match scene.database.label() {
        "MariaDB" => "SELECT subject FROM contacts FOR UPDATE",
        _ => "SELECT subject FROM contacts",
    };
    let (release, released) = watch::channel(false);
    let (locked, mut is_locked) = watch::channel(false);
    let lock = async |tx: &Tx| {
        tx.all::<serde_json::Value>(sql, values![]).await?;
        locked.send_replace(true);
        let mut released = released.clone();
        drop(released.wait_for(|released| *released).await);
        Ok::<_, StoreError>(())
    };
    let work = async {
        is_locked.wait_for(|locked| *locked).await.unwrap();
        let outcome = work.await;
        release.send_replace(true);
        outcome
    };
    let (held, outcome) = tokio::join!(store.transact(lock), work);
    held.unwrap();
    outcome
}

/// Kills the member at a random moment, of its start or of its work; whether it had worked.
fn life(member: Member, random: &mut Random, may_work: bool) -> impl Future<Output = bool> + use<> {
    let waits_for_work = random.percent(90) && may_work;
    let more_ms = random.below(if waits_for_work { 400 } else { 1_200 });
    let more = Duration::from_millis(more_ms.try_into().unwrap());
    async move {
        let has_worked = waits_for_work && member.works_within(WORKS_SOON).await;
        tokio::time::sleep(more).await;
        tokio::task::block_in_place(|| member.kill());
        has_worked
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_everything_is_waited_for_and_nobody_is_buried() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    for (seed, database) in (80..).zip(databases().await) {
        let topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
        let mut scene = Scene::without_tables(topic, database);
        let stream = stream(seed, 30, 200);
        let coordinates = scene.topic.produce(&stream.sent).await;
        let member = scene.member(None);
        while !member.told().contains("batch will be retried") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let lag = tokio::task::block_in_place(|| scene.topic.lag());
        assert_eq!(lag, 200, "nothing was passed over");
        scene.migrate().await;
        scene.topic.until_consumed(CONSUMED).await;
        end(member);
        verify(&scene, &stream, &coordinates).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_the_database_refuses_is_buried_alone() {
    let Some(mut scene) = Scene::with_narrow_names().await else {
        return;
    };
    let mut stream = Maker::new(90, 10, lambda_kit::clock::now().get()).stream(40);
    let coordinates = scene.topic.produce(&stream.sent).await;
    let member = scene.member(None);
    scene.topic.until_consumed(CONSUMED).await;
    end(member);
    for sent in &mut stream.sent {
        let value = sent.value.as_deref().unwrap_or_default();
        let agrees = [
            r#""televendas":true"#,
            r#","televendas"]"#,
            r#"["televendas""#,
        ];
        let text = String::from_utf8_lossy(value).into_owned();
        if sent.refused.is_none() && agrees.iter().any(|word| text.contains(word)) {
            sent.refused = Some("recusado_pelo_banco");
        }
    }
    let letters = tokio::task::block_in_place(|| scene.topic.dead_letters());
    assert_dead_letters(&letters, &stream.sent, &coordinates);
    assert_private(&scene, &stream, &letters).await;
}

async fn verify(scene: &Scene, stream: &Stream, coordinates: &[String]) {
    let lag = tokio::task::block_in_place(|| scene.topic.lag());
    assert_eq!(lag, 0, "what was applied was committed at the end");
    let letters = tokio::task::block_in_place(|| scene.topic.dead_letters());
    assert_database(scene, stream).await;
    assert_dead_letters(&letters, &stream.sent, coordinates);
    assert_private(scene, stream, &letters).await;
}
