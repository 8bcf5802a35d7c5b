//! Every event file of collect-events, into the queues and onto Kafka.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::time::Duration;

use collect_events::CollectEvents;
use contracts::{
    collect::{EVENTS_TOPIC, STOCK_TOPIC},
    envelope::Message,
};
use domain::time::UtcMillis;
use event_door::Door;
use kafka_producer::KafkaProducer;
use kafka_settings::Cluster;
use lambda_kit::{Invocation, http};
use queues::{EmbeddedQueues, QueueDefinition, Queues, embedded_queue_url};
use rdkafka::{
    Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::{Value, json};
use testkit::{event, event_cases};

const FUNCTION: &str = "collect-events";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

struct Scene {
    handler: CollectEvents,
    queues: EmbeddedQueues,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// With the queues of these names.
    async fn with(names: &[&str]) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
            .await
            .unwrap();
        let defined: Vec<_> = names
            .iter()
            .map(|name| QueueDefinition::new(*name))
            .collect();
        queues.define(&defined).await.unwrap();
        let door = Door::Queues {
            queues: Queues::Embedded(queues.clone()),
            urls: [(EVENTS_TOPIC, "Eventos"), (STOCK_TOPIC, "Estoque")]
                .map(|(topic, queue)| (topic, embedded_queue_url(queue)))
                .into(),
        };
        Self {
            handler: CollectEvents::new(door),
            queues,
            _folder: folder,
        }
    }

    async fn send(&self, event: Value) -> (u64, Value) {
        answer(&self.handler, event).await
    }

    async fn arrived(&self, queue: &str) -> Vec<Message> {
        let peeked = self.queues.peek(&embedded_queue_url(queue), 1_000).await;
        let bodies = peeked.unwrap().into_iter();
        bodies
            .map(|message| Message::open(&message.body).unwrap())
            .collect()
    }
}

async fn answer(handler: &CollectEvents, event: Value) -> (u64, Value) {
    let answer = http::answer(handler, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// What each event file is answered: accepted ones, and the field of each refused one.
const ACCEPTED: [(&str, usize, &[&str]); 6] = [
    ("accepted-guest-click", 1, &[]),
    (
        "accepted-guest-list",
        2,
        &["tipo_evento", "timestamp", "evento"],
    ),
    ("accepted-retry-by-key", 2, &[]),
    ("accepted-service-purchase", 1, &[]),
    ("accepted-stock", 1, &[]),
    (
        "accepted-stock-list",
        2,
        &["nivel_estoque", "ultima_atualizacao"],
    ),
];

const REFUSED: [(&str, u64, &str); 5] = [
    ("refused-empty-list", 400, "body"),
    ("refused-not-json", 400, "body"),
    ("refused-too-many", 400, "body"),
    ("refused-unknown-parameter", 400, "canal"),
    ("refused-without-principal", 401, ""),
];

#[tokio::test]
async fn each_object_is_taken_or_refused_alone() {
    let files = event_cases(FUNCTION);
    let cases = ACCEPTED.map(|(case, ..)| case);
    let all: Vec<&str> = cases
        .into_iter()
        .chain(REFUSED.map(|(case, ..)| case))
        .collect();
    assert_eq!(files, all, "each file is listed here");
    for (case, accepted, fields) in ACCEPTED {
        let scene = Scene::with(&["Eventos", "Estoque"]).await;
        let (status, body) = scene.send(event(FUNCTION, case)).await;
        assert_eq!(status, 202, "{case}: {body}");
        assert_eq!(body["aceitos"], json!(accepted), "{case}: {body}");
        let refused = body["recusas"].as_array().unwrap().iter();
        let refused: Vec<&str> = refused.map(|one| one["campo"].as_str().unwrap()).collect();
        assert_eq!(refused, fields, "{case}");
        assert_eq!(body["recusados"], json!(fields.len()), "{case}");
        let queue = if case.contains("stock") {
            "Estoque"
        } else {
            "Eventos"
        };
        assert_eq!(scene.arrived(queue).await.len(), accepted, "{case}");
    }
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let scene = Scene::with(&["Eventos", "Estoque"]).await;
    for (case, expected, field) in REFUSED {
        let (status, problem) = scene.send(event(FUNCTION, case)).await;
        assert_eq!(status, expected, "{case}: {problem}");
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(named, field, "{case}");
    }
    assert!(scene.arrived("Eventos").await.is_empty());
}

#[tokio::test]
async fn a_retry_with_its_key_has_the_same_ids_and_another_request_has_others() {
    let scene = Scene::with(&["Eventos", "Estoque"]).await;
    let mut request = event(FUNCTION, "accepted-retry-by-key");
    scene.send(request.clone()).await;
    scene.send(request.clone()).await;
    request["headers"]["idempotency-key"] = json!("outra");
    scene.send(request.clone()).await;
    request["headers"]["idempotency-key"] = Value::Null;
    request["headers"]
        .as_object_mut()
        .unwrap()
        .remove("idempotency-key");
    scene.send(request.clone()).await;
    scene.send(request).await;
    let arrived = scene.arrived("Eventos").await;
    let ids: Vec<String> = arrived
        .iter()
        .map(|message| message.fields.text("id_evento").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 10);
    assert_eq!(ids[..2], ids[2..4]);
    assert_eq!(arrived[0].coordinates, arrived[2].coordinates);
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), 8, "two requests of one key, three others");
    assert!(ids.iter().all(|id| id.len() == 26), "{ids:?}");
}

#[tokio::test]
async fn who_guesses_an_id_takes_it_from_nobody() {
    let scene = Scene::with(&["Eventos", "Estoque"]).await;
    let with_id = |case: &str, subject: &str| {
        let mut request = event(FUNCTION, case);
        let mut body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        body["id_evento"] = json!("pedido-1");
        request["body"] = json!(body.to_string());
        request["requestContext"]["authorizer"]["lambda"]["sub"] = json!(subject);
        request
    };
    for (case, subject) in [
        ("accepted-guest-click", "visitante-1"),
        ("accepted-guest-click", "visitante-1"),
        ("accepted-guest-click", "visitante-2"),
        ("accepted-service-purchase", "loja"),
    ] {
        assert_eq!(scene.send(with_id(case, subject)).await.0, 202);
    }
    let arrived = scene.arrived("Eventos").await.into_iter();
    let ids: Vec<String> = arrived
        .map(|message| message.fields.text("id_evento").unwrap().to_owned())
        .collect();
    assert_eq!(ids[0], ids[1], "a retry is the same event");
    assert_ne!(ids[1], ids[2]);
    assert_eq!(ids[3], "pedido-1");
}

#[tokio::test]
async fn what_cannot_be_sent_is_named_and_may_come_again() {
    let scene = Scene::with(&["Estoque"]).await;
    let (status, problem) = scene.send(event(FUNCTION, "accepted-guest-list")).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["aceitos"], json!([]));
    assert_eq!(problem["pendentes"], json!([0, 4]));
    assert_eq!(problem["recusas"].as_array().unwrap().len(), 3);
    let mended = QueueDefinition::new("Eventos");
    scene.queues.define(&[mended]).await.unwrap();
    let (status, _) = scene.send(event(FUNCTION, "accepted-guest-list")).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn without_a_broker_the_caller_is_told_in_time() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let cluster = Cluster::read(|name| (name == "KAFKA_BROKERS").then(|| address.clone()));
    let limit = Duration::from_secs(1);
    let producer = KafkaProducer::new(&cluster.unwrap(), limit).unwrap();
    let handler = CollectEvents::new(Door::Kafka(producer));
    let began = std::time::Instant::now();
    let (status, problem) = answer(&handler, event(FUNCTION, "accepted-guest-click")).await;
    assert_eq!((status, &problem["pendentes"]), (503, &json!([0])));
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// Waits for the record of this key in a topic, whose value it gives.
fn record_of(cluster: &Cluster, topic: &str, key: &str) -> Value {
    let consumer: BaseConsumer = cluster
        .client()
        .set("group.id", key)
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let began = std::time::Instant::now();
    loop {
        let in_time = began.elapsed() < Duration::from_secs(30);
        assert!(in_time, "no record of the key in {topic}");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100))
            && message.key() == Some(key.as_bytes())
        {
            return serde_json::from_slice(message.payload().unwrap()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_lies_in_its_topic_by_user_and_by_product() {
    let Some(kafka) = testkit::kafka() else {
        return;
    };
    let brokers = kafka.brokers().to_owned();
    let cluster = Cluster::read(|name| (name == "KAFKA_BROKERS").then(|| brokers.clone())).unwrap();
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let topics = [EVENTS_TOPIC, STOCK_TOPIC]
        .map(|topic| NewTopic::new(topic, 2, TopicReplication::Fixed(1)));
    // Another test may have made them.
    admin
        .create_topics(&topics, &AdminOptions::new())
        .await
        .unwrap();
    let producer = KafkaProducer::new(&cluster, Duration::from_secs(20)).unwrap();
    let handler = CollectEvents::new(Door::Kafka(producer));
    for (case, topic, field) in [
        ("accepted-guest-click", EVENTS_TOPIC, "id_usuario"),
        ("accepted-stock", STOCK_TOPIC, "id_produto"),
    ] {
        let key = kafka.name("chave");
        let mut request = event(FUNCTION, case);
        let mut body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        body[field] = json!(key);
        request["body"] = json!(body.to_string());
        let (status, answer) = answer(&handler, request).await;
        assert_eq!((status, &answer["aceitos"]), (202, &json!(1)), "{answer}");
        let found = tokio::task::block_in_place(|| record_of(&cluster, topic, &key));
        assert_eq!(found[field], json!(key));
    }
}
