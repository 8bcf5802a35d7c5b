//! How long a change takes from being produced to being readable.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx, values};
use testkit::{databases, kafka};

use crate::member::Scene;
use crate::stream::{PARTITIONS, Sent};
use crate::topic::Topic;

const CHANGES: i64 = 5_000;
/// One change in so many deletes: it is a tombstone of the customer who came so many before.
const DELETES_EVERY: i64 = 100;
const DELETES_BACK: i64 = 50;
const PER_SECOND: u64 = 1_000;
/// The aim is one second on a machine of its own; a machine that does other work gets more.
const LOOSE_BOUND: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

/// One change of each customer, whose version tells which it is, and one deletion in a hundred.
fn change(number: i64) -> Sent {
    let deletes = deletes(number);
    let number = deletes.unwrap_or(number);
    let id = format!("cliente-{number}");
    let value = json!({
        "id_cliente": id, "versao": number, "nome": format!("Cliente {number}"),
        "telefone": format!("+55119{number:08}"), "regiao": "SP", "cpf": "52998224725",
        "email": "cliente@correio.example", "consentimentos": {"televendas": true},
    });
    Sent {
        partition: i32::try_from(number).unwrap() % PARTITIONS,
        key: Some(id.into_bytes()),
        value: deletes.is_none().then(|| value.to_string().into_bytes()),
        timestamp_ms: 0,
        refused: None,
    }
}

/// Whom a change deletes.
fn deletes(number: i64) -> Option<i64> {
    (number > 0 && number % DELETES_EVERY == 0).then(|| number - DELETES_BACK)
}

/// Changes from this one on that are readable: a row is there, or is empty.
async fn visible(store: &Store, from: i64) -> Vec<i64> {
    let sql = "SELECT version, deleted FROM contacts WHERE version >= ?";
    let work = async |tx: &Tx| tx.all::<Value>(sql, values![from - DELETES_BACK]).await;
    let rows = store.transact::<_, StoreError, _>(work).await.unwrap();
    let changes = rows.iter().flat_map(|row| {
        let version = row["version"].as_i64().unwrap();
        let is_deleted = row["deleted"].as_i64() != Some(0);
        [Some(version), is_deleted.then_some(version + DELETES_BACK)]
    });
    changes.flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_a_second_are_readable_at_once() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    for database in databases().await {
        let topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
        let mut scene = Scene::new(topic, database).await;
        let member = scene.member(None);
        // The group is formed and the first statements are prepared before the clock starts.
        scene.topic.produce_one(&change(0));
        member.until_it_works(LIMIT).await;
        let store = Store::open(scene.database.url()).await.unwrap();
        let label = scene.database.label();

        let began = Instant::now();
        let mut produced: BTreeMap<i64, Instant> = BTreeMap::new();
        let mut took: Vec<Duration> = Vec::new();
        let mut next = 1;
        while took.len() < usize::try_from(CHANGES).unwrap() {
            let due = began.elapsed().as_millis() as i64 * PER_SECOND as i64 / 1_000;
            while next <= CHANGES.min(due) {
                produced.insert(next, Instant::now());
                scene.topic.produce_one(&change(next));
                next += 1;
            }
            if let Some((&oldest, _)) = produced.first_key_value() {
                let seen = visible(&store, oldest).await;
                let now = Instant::now();
                let arrived = seen.iter().filter_map(|one| produced.remove(one));
                took.extend(arrived.map(|then| now - then));
            }
            assert!(began.elapsed() < LIMIT, "{label}: {} arrived", took.len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        scene.topic.flush();
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_millis();
        eprintln!(
            "{label}: {PER_SECOND} changes/s, one in {DELETES_EVERY} a deletion, produced to readable: p50 {} ms, p99 {} ms, all {} ms",
            at(50),
            at(99),
            at(100)
        );
        assert!(
            took[(took.len() - 1) * 99 / 100] < LOOSE_BOUND,
            "{label}: p99 {} ms",
            at(99)
        );
        assert!(member.terminate().success());
    }
}
