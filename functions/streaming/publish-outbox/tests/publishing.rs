//! From the outbox to embedded queues, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::cell::Cell;

use contracts::{customers::CHANGED, mgm::events::EventType};
use domain::time::UtcMillis;
use lambda_kit::{Invocation, direct::Handler};
use publish_outbox::{EventRoutes, PublishOutbox, Published};
use queues::{EmbeddedQueues, QueueDefinition, Queues, embedded_queue_url};
use serde_json::{Value, json};
use sql_store::{
    Store, Tx,
    outbox::{self, NewEvent, SHARDS, shard_of},
    values,
};
use testkit::{TestDatabase, databases, event, event_cases};

thread_local! {
    /// Each test has a thread, and so a clock, of its own.
    static NOW_MS: Cell<i64> = const { Cell::new(1_795_176_000_000) };
}

fn now() -> UtcMillis {
    UtcMillis::new(NOW_MS.get()).unwrap()
}

fn pass_seconds(seconds: i64) {
    NOW_MS.set(NOW_MS.get() + seconds * 1_000);
}

struct Scene {
    store: Store,
    queues: EmbeddedQueues,
    publisher: PublishOutbox,
    database: TestDatabase,
    _folder: tempfile::TempDir,
}

/// `a` goes to a standard queue, `b` to a FIFO queue, `both` to both, `broken` to one that is missing.
fn routes() -> EventRoutes {
    let [standard, fifo, missing] = ["Padrao", "Ordem.fifo", "Falta"].map(embedded_queue_url);
    let routes = json!({"a": [standard], "b": [fifo], "both": [standard, fifo],
        "broken": [missing], "broken_and_a": [standard, missing]});
    EventRoutes::parse(&routes.to_string()).unwrap()
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let folder = tempfile::TempDir::new().unwrap();
            let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
                .await
                .unwrap();
            let names = ["Padrao", "Ordem.fifo"];
            queues
                .define(&names.map(QueueDefinition::new))
                .await
                .unwrap();
            scenes.push(Self {
                publisher: PublishOutbox::new(
                    store.clone(),
                    Queues::Embedded(queues.clone()),
                    routes(),
                    now,
                ),
                store,
                queues,
                database,
                _folder: folder,
            });
        }
        scenes
    }

    async fn commit(&self, events: &[(&'static str, &str, i64)]) {
        let events: Vec<NewEvent> = events
            .iter()
            .map(|(event_type, key, version)| NewEvent {
                event_type,
                aggregate_key: (*key).to_owned(),
                version: *version,
                payload: json!({"chave": key, "versao": version}).to_string(),
            })
            .collect();
        self.store
            .transact(async |tx: &Tx| tx.publish(&events, now()).await)
            .await
            .unwrap();
    }

    async fn publish(&self) -> Published {
        let deadline = now().plus_millis(60_000);
        self.publisher.publish("one", deadline).await.unwrap()
    }

    /// Key and version of all that lies in a queue, in its order.
    async fn arrived(&self, queue: &str) -> Vec<(String, i64)> {
        let bodies = self.bodies(queue).await;
        bodies
            .iter()
            .map(|body| {
                let key = body["chave"].as_str().unwrap().to_owned();
                (key, body["versao"].as_i64().unwrap())
            })
            .collect()
    }

    async fn bodies(&self, queue: &str) -> Vec<Value> {
        let peeked = self.queues.peek(&embedded_queue_url(queue), 10_000).await;
        let bodies = peeked.unwrap().into_iter();
        bodies
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect()
    }

    async fn left(&self) -> usize {
        let types = ["a", "b", "both", "broken", "broken_and_a", "x.novo"];
        let mut left = 0;
        for shard in 0..SHARDS {
            let none = Default::default();
            let waiting = outbox::unsent(&self.store, shard, &types, &none, 10_000).await;
            left += waiting.unwrap().len();
        }
        left
    }
}

fn of(arrived: &[(String, i64)], key: &str) -> Vec<i64> {
    let of_key = arrived.iter().filter(|(of, _)| of == key);
    of_key.map(|(_, version)| *version).collect()
}

#[tokio::test]
async fn events_of_an_aggregate_arrive_in_order_in_every_kind_of_queue() {
    for scene in Scene::everywhere().await {
        for version in [2, 1, 3] {
            for key in ["k/1", "k/2", "k/3"] {
                scene.commit(&[("both", key, version)]).await;
            }
        }
        assert_eq!(scene.publish().await.enviados, 9);
        for queue in ["Padrao", "Ordem.fifo"] {
            let arrived = scene.arrived(queue).await;
            assert_eq!(arrived.len(), 9, "{}", scene.database.label());
            for key in ["k/1", "k/2", "k/3"] {
                assert_eq!(of(&arrived, key), [1, 2, 3], "{queue} {key}");
            }
        }
        assert_eq!(scene.left().await, 0);
    }
}

#[tokio::test]
async fn a_second_invocation_sends_nothing_again() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("a", "k/1", 1), ("b", "k/2", 1)]).await;
        assert_eq!(scene.publish().await.enviados, 2);
        assert_eq!(scene.publish().await, Published::default());
        assert_eq!(scene.arrived("Padrao").await.len(), 1);
        assert_eq!(scene.arrived("Ordem.fifo").await.len(), 1);
    }
}

#[tokio::test]
async fn after_an_event_that_a_queue_refused_no_later_one_of_its_key_leaves() {
    for scene in Scene::everywhere().await {
        scene
            .commit(&[
                ("a", "k/1", 1),
                ("broken", "k/1", 2),
                ("a", "k/1", 3),
                ("a", "k/2", 1),
            ])
            .await;
        let published = scene.publish().await;
        assert_eq!((published.enviados, published.adiados), (2, 2));
        assert_eq!(of(&scene.arrived("Padrao").await, "k/1"), [1]);
        assert_eq!(of(&scene.arrived("Padrao").await, "k/2"), [1]);

        let mended = QueueDefinition::new("Falta");
        scene.queues.define(&[mended]).await.unwrap();
        assert_eq!(scene.publish().await.enviados, 2);
        assert_eq!(scene.arrived("Falta").await, [("k/1".to_owned(), 2)]);
        assert_eq!(of(&scene.arrived("Padrao").await, "k/1"), [1, 3]);
        assert_eq!(scene.left().await, 0);
    }
}

#[tokio::test]
async fn an_event_for_two_queues_stays_until_both_have_it_and_keeps_its_id() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("broken_and_a", "k/1", 1)]).await;
        assert_eq!(scene.publish().await.adiados, 1);
        scene
            .queues
            .define(&[QueueDefinition::new("Falta")])
            .await
            .unwrap();
        assert_eq!(scene.publish().await.enviados, 1);
        let ids: Vec<Value> = [scene.bodies("Padrao").await, scene.bodies("Falta").await]
            .concat()
            .iter()
            .map(|body| body["id_evento"].clone())
            .collect();
        assert_eq!(ids.len(), 3, "the first queue has it twice");
        assert!(
            ids[0].is_string() && ids.iter().all(|id| *id == ids[0]),
            "{ids:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_queue_holds_up_no_events_of_others() {
    for scene in Scene::everywhere().await {
        let keys: Vec<String> = (0..)
            .map(|n| format!("k/{n}"))
            .filter(|key| shard_of(key) == 5)
            .take(260)
            .collect();
        for key in keys.iter().take(250) {
            scene.commit(&[("broken", key, 1)]).await;
        }
        pass_seconds(1);
        for key in keys.iter().skip(250) {
            scene.commit(&[("a", key, 1)]).await;
        }
        let published = scene.publish().await;
        assert_eq!(
            (published.enviados, published.adiados),
            (10, 250),
            "{}",
            scene.database.label()
        );
        assert_eq!(scene.arrived("Padrao").await.len(), 10);
        assert_eq!(scene.left().await, 250);
    }
}

#[tokio::test]
async fn a_shard_of_another_publisher_is_left_alone_until_its_lease_ends() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("a", "k/1", 1)]).await;
        let shard = shard_of("k/1");
        let until = now().plus_millis(30_000);
        let leased = outbox::lease_shard(&scene.store, shard, "dead", now(), until).await;
        assert_eq!(leased, Ok(true));
        assert_eq!(scene.publish().await, Published::default());
        assert_eq!(scene.left().await, 1);
        pass_seconds(30);
        assert_eq!(scene.publish().await.enviados, 1);
        let other = outbox::lease_shard(&scene.store, shard, "next", now(), until).await;
        assert_eq!(other, Ok(true), "it was given back at once");
    }
}

#[tokio::test]
async fn shortly_before_the_deadline_no_batch_begins() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("a", "k/1", 1)]).await;
        let soon = now().plus_millis(9_000);
        let published = scene.publisher.publish("one", soon).await.unwrap();
        assert_eq!(published, Published::default());
        assert_eq!(scene.publish().await.enviados, 1);
    }
}

#[tokio::test]
async fn two_publishers_at_once_send_each_event_and_keep_the_order() {
    for scene in Scene::everywhere().await {
        let other_store = Store::open(scene.database.url()).await.unwrap();
        let queues = Queues::Embedded(scene.queues.clone());
        let other = PublishOutbox::new(other_store, queues, routes(), now);
        for version in 1..=4 {
            for key in 0..20 {
                scene.commit(&[("a", &format!("k/{key}"), version)]).await;
            }
        }
        let deadline = now().plus_millis(60_000);
        let (one, two) = tokio::join!(
            scene.publisher.publish("one", deadline),
            other.publish("two", deadline)
        );
        assert_eq!(one.unwrap().enviados + two.unwrap().enviados, 80);
        let arrived = scene.arrived("Padrao").await;
        for key in 0..20 {
            assert_eq!(of(&arrived, &format!("k/{key}")), [1, 2, 3, 4]);
        }
    }
}

#[tokio::test]
async fn events_without_a_route_stay_and_hold_up_nobody() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("x.novo", "k/1", 1), ("a", "k/1", 2)]).await;
        let sweep = event("publish-outbox", "accepted-sweep");
        let swept = scene.publisher.handle(sweep, &Invocation::at(now())).await;
        assert_eq!(swept.unwrap().enviados, 1);
        assert_eq!(scene.left().await, 1);
        let routed = outbox::unrouted(&scene.store, &routes().types()).await;
        assert_eq!(routed, Ok(1), "the sweep counts it as an error");
    }
}

#[tokio::test]
async fn an_event_whose_payload_is_broken_is_neither_sent_nor_lost() {
    for scene in Scene::everywhere().await {
        scene.commit(&[("a", "k/1", 1), ("a", "k/2", 1)]).await;
        let sql = "UPDATE outbox SET payload = '[]' WHERE aggregate_key = 'k/1'";
        scene
            .store
            .transact(async |tx: &Tx| tx.execute(sql, values![]).await)
            .await
            .unwrap();
        let published = scene.publish().await;
        assert_eq!((published.enviados, published.adiados), (1, 1));
        assert_eq!(scene.arrived("Padrao").await, [("k/2".to_owned(), 1)]);
        assert_eq!(scene.left().await, 1);
    }
}

#[tokio::test]
async fn every_event_file_publishes_and_only_the_sweep_cleans_up() {
    for scene in Scene::everywhere().await {
        let cases = event_cases("publish-outbox");
        assert_eq!(
            cases,
            [
                "accepted-after-a-commit",
                "accepted-any-payload",
                "accepted-sweep"
            ]
        );
        for case in cases {
            scene.commit(&[("a", &case, 1)]).await;
            let sql = "INSERT INTO handled_messages VALUES ('c', ?, 0)";
            scene
                .store
                .transact(async |tx: &Tx| tx.execute(sql, values![case.as_str()]).await)
                .await
                .unwrap();
            let payload = event("publish-outbox", &case);
            let answer = scene
                .publisher
                .handle(payload, &Invocation::at(now()))
                .await;
            let expected = if case == "accepted-sweep" { 3 } else { 0 };
            let answer = serde_json::to_value(answer.unwrap()).unwrap();
            assert_eq!(
                answer,
                json!({"enviados": 1, "adiados": 0, "expurgados": expected}),
                "{case}"
            );
        }
    }
}

#[test]
fn a_broken_table_of_routes_says_what_to_mend() {
    for (table, words) in [
        ("", "JSON object"),
        ("[]", "JSON object"),
        (r#"{"a": "one"}"#, "list of queue URLs"),
        ("{}", "empty"),
        (r#"{"a": ["kafka:"]}"#, "kafka:<topic>"),
    ] {
        let refused = EventRoutes::parse(table).unwrap_err().to_string();
        assert!(refused.contains(words), "{table}: {refused}");
        assert!(refused.contains("template.yaml"), "{refused}");
    }
}

#[test]
fn every_event_type_has_a_route_in_the_template() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let template = std::fs::read_to_string(format!("{root}/template.yaml")).unwrap();
    let (_, table) = template.split_once("EVENT_ROUTES: !Sub").unwrap();
    let (_, table) = table.split_once("- |-").unwrap();
    let (table, _) = table.split_once("- CustomersTopic").unwrap();
    let table = table.replace("${StockAlerts}", "\"${AlertasEstoqueQueue}\"");
    for topic in ["", "\"kafka:clientes\""] {
        let table = table.replace("${CustomersTopic}", topic);
        let routes = EventRoutes::parse(table.trim()).unwrap();
        for event_type in EventType::ALL.map(EventType::as_str) {
            assert_eq!(routes.targets(event_type).len(), 1, "{event_type}");
        }
        let to_kafka = usize::from(!topic.is_empty());
        assert_eq!(routes.targets(CHANGED).len(), to_kafka);
        assert_eq!(routes.has_topics(), !topic.is_empty());
        assert!(routes.types().contains(&CHANGED));
    }
}
