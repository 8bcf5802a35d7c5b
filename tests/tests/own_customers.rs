//! Where Feira is the customers' master: each change leaves through the outbox for the topic
//! `clientes`, in order, and its readers find in it what they take.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    changes::Shape,
    customers::{CHANGED, write},
    telesales::Telesales,
};
use domain::{
    customers::Profile,
    identity::CustomerId,
    personal::{PersonName, Phone},
    pseudonym::PseudonymKey,
    time::UtcMillis,
};
use kafka_producer::KafkaProducer;
use kafka_settings::Cluster;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed, kafka};
use project_customer::{ProjectCustomer, project_customer};
use publish_outbox::{EventRoutes, PublishOutbox, Published};
use queues::{EmbeddedQueues, Queues};
use rdkafka::{
    Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::{Value, json};
use sql_store::{
    FromQueryResult, Store, Tx, customers,
    migrate::{TELESALES, migrate, migrate_by},
    values,
};
use testkit::databases;

const LIMIT: Duration = Duration::from_secs(8);

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

fn agreeing(name: &str) -> Profile {
    Profile {
        name: Some(PersonName::parse(name).unwrap()),
        phone: Some(Phone::parse("11964166764").unwrap()),
        telesales_consent: true,
        ..Profile::default()
    }
}

fn cluster(brokers: &str) -> Cluster {
    let given = |name: &str| (name == "KAFKA_BROKERS").then(|| brokers.to_owned());
    Cluster::read(given).unwrap()
}

/// A topic of this test's own.
struct Topic {
    brokers: String,
    name: String,
}

impl Topic {
    async fn new() -> Option<Self> {
        let kafka = testkit::kafka()?;
        let (brokers, name) = (kafka.brokers().to_owned(), kafka.name("clientes"));
        let admin: AdminClient<DefaultClientContext> = cluster(&brokers).client().create().unwrap();
        let topic = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new()).await;
        made.unwrap().remove(0).unwrap();
        Some(Self { brokers, name })
    }

    /// Its records as Lambda hands them on, once there are as many.
    fn records(&self, count: usize) -> Vec<Value> {
        let consumer: BaseConsumer = cluster(&self.brokers)
            .client()
            .set("group.id", &self.name)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        consumer.subscribe(&[&self.name]).unwrap();
        let (started, mut found) = (Instant::now(), Vec::new());
        while found.len() < count {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", self.name);
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let base64 = |bytes: Option<&[u8]>| bytes.map(|bytes| STANDARD.encode(bytes));
            found.push(
                json!({"topic": "clientes", "partition": message.partition(),
                "offset": message.offset(), "timestamp": message.timestamp().to_millis(),
                "timestampType": "CREATE_TIME", "key": base64(message.key()),
                "value": base64(message.payload()), "headers": []}),
            );
        }
        // Partitions come in any order; within one, offsets rise.
        found.sort_by_key(|one| (one["partition"].as_i64(), one["offset"].as_i64()));
        found
    }
}

/// Database 1 with what leaves it.
struct Master {
    store: Store,
    publisher: PublishOutbox,
    _folder: tempfile::TempDir,
}

impl Master {
    async fn new(url: &str, topic: &Topic, brokers: &str, limit: Duration) -> Self {
        let store = Store::open(url).await.unwrap();
        migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("filas.sqlite");
        let queues = Queues::Embedded(EmbeddedQueues::open(&file).await.unwrap());
        let routes = json!({CHANGED: [format!("kafka:{}", topic.name)]}).to_string();
        let routes = EventRoutes::parse(&routes).unwrap();
        let kafka = KafkaProducer::new(&cluster(brokers), limit).unwrap();
        Self {
            publisher: PublishOutbox::new(store.clone(), queues, routes, now).with_kafka(kafka),
            store,
            _folder: folder,
        }
    }

    async fn change(&self, customer: &str, profile: Option<&Profile>) -> Option<i64> {
        let changed = customers::change(&self.store, &id(customer), profile, now()).await;
        changed.unwrap()
    }

    async fn publish(&self) -> Published {
        let deadline = now().plus_millis(60_000);
        self.publisher.publish("one", deadline).await.unwrap()
    }
}

struct NoLetters(SealKey);

impl DeadLetters for NoLetters {
    fn seal_key(&self) -> &SealKey {
        &self.0
    }

    async fn send_dead_letter(&self, _: String) -> Result<(), SendFailed> {
        Err(SendFailed)
    }
}

async fn contacts(reader: &ProjectCustomer, store: &Store, records: &[Value]) -> Vec<String> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
    }
    let letters = NoLetters(SealKey::new(&[5; 32]).unwrap());
    let mut partitions = serde_json::Map::new();
    for record in records {
        let partition = format!("clientes-{}", record["partition"]);
        let list = partitions.entry(partition).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(record.clone());
    }
    let event = json!({"eventSource": "SelfManagedKafka", "bootstrapServers": "k:9092",
        "records": partitions});
    let answer = kafka::answer("project-customer", &letters, reader, &event, now()).await;
    assert_eq!(answer.unwrap()["batchItemFailures"], json!([]));
    let sql = "SELECT name FROM contacts WHERE deleted = 0 ORDER BY name";
    let rows = store.transact(async |tx: &Tx| tx.all::<Row>(sql, values![]).await);
    rows.await
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect()
}

#[tokio::test]
async fn what_changes_here_is_what_telesales_reads_from_the_topic() {
    for database in databases().await {
        let Some(topic) = Topic::new().await else {
            return;
        };
        let master = Master::new(database.url(), &topic, &topic.brokers, LIMIT).await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("banco2.sqlite").display());
        let store = Store::open(&url).await.unwrap();
        migrate_by(&store, &TELESALES, now()).await.unwrap();
        let shape = Shape::parse::<Telesales>("").unwrap();
        let key = PseudonymKey::new(&[9; 32]).unwrap();
        let reader = project_customer(store.clone(), key, shape, now);

        let (ana, rui) = (agreeing("Ana"), agreeing("Rui"));
        assert_eq!(master.change("ana", Some(&ana)).await, Some(1));
        assert_eq!(master.change("rui", Some(&rui)).await, Some(1));
        assert_eq!(master.change("rui", Some(&rui)).await, None);
        assert_eq!(master.publish().await.enviados, 2);
        let records = topic.records(2);
        assert_eq!(contacts(&reader, &store, &records).await, ["Ana", "Rui"]);

        let renamed = agreeing("Ana Lima");
        let silent = Profile {
            telesales_consent: false,
            ..rui
        };
        assert_eq!(master.change("ana", Some(&renamed)).await, Some(2));
        assert_eq!(master.change("rui", Some(&silent)).await, Some(2));
        assert_eq!(master.publish().await.enviados, 2);
        let records = topic.records(4);
        assert_eq!(contacts(&reader, &store, &records).await, ["Ana Lima"]);

        assert_eq!(master.change("ana", None).await, Some(3));
        assert_eq!(master.change("ana", None).await, None);
        assert_eq!(master.publish().await.enviados, 1);
        let records = topic.records(5);
        let mut of_ana = records
            .iter()
            .filter(|one| one["key"] == STANDARD.encode("ana"));
        let last = of_ana.next_back().unwrap();
        assert_eq!(last["value"], Value::Null, "a tombstone");
        assert!(contacts(&reader, &store, &records).await.is_empty());
    }
}

#[tokio::test]
async fn what_kafka_did_not_take_leaves_later_as_it_is_then() {
    for database in databases().await {
        let Some(topic) = Topic::new().await else {
            return;
        };
        let nowhere = "127.0.0.1:1";
        let limit = Duration::from_millis(500);
        let master = Master::new(database.url(), &topic, nowhere, limit).await;
        for version in 1..=3 {
            let name = ["Um", "Dois", "Tres"][version - 1];
            let changed = master.change("ana", Some(&agreeing(name))).await;
            assert_eq!(changed, i64::try_from(version).ok());
        }
        let published = master.publish().await;
        assert_eq!((published.enviados, published.adiados), (0, 3));

        let master = Master::new(database.url(), &topic, &topic.brokers, LIMIT).await;
        assert_eq!(master.publish().await.enviados, 3);
        assert_eq!(master.publish().await, Published::default());
        let load = async |tx: &Tx| customers::load(tx, &id("ana")).await;
        let ana = master.store.transact(load).await.unwrap().unwrap();
        let newest = Value::String(STANDARD.encode(write(&ana).unwrap()));
        for record in topic.records(3) {
            assert_eq!(record["value"], newest);
        }
    }
}

#[tokio::test]
async fn customers_are_announced_page_by_page_with_their_versions() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        migrate(&store, now()).await.unwrap();
        for name in ["a", "b", "c"] {
            let profile = agreeing(name);
            customers::change(&store, &id(name), Some(&profile), now())
                .await
                .unwrap();
        }
        let gone = customers::change(&store, &id("b"), None, now()).await;
        assert_eq!(gone.unwrap(), Some(2));
        let page = customers::announce(&store, None, 2, now()).await.unwrap();
        assert_eq!(page, (2, Some("b".to_owned())));
        let page = customers::announce(&store, Some("b"), 2, now()).await;
        assert_eq!(page.unwrap(), (1, Some("c".to_owned())));
        let page = customers::announce(&store, Some("c"), 2, now()).await;
        assert_eq!(page.unwrap(), (0, None));
        let none = Default::default();
        let mut waiting = Vec::new();
        for shard in 0..sql_store::outbox::SHARDS {
            let events = sql_store::outbox::unsent(&store, shard, &[CHANGED], &none, 100).await;
            waiting.extend(events.unwrap());
        }
        let mut versions: Vec<_> = waiting
            .iter()
            .map(|event| (event.aggregate_key.as_str(), event.version))
            .collect();
        versions.sort_unstable();
        let expected = [("cliente/a", 1), ("cliente/a", 1), ("cliente/b", 1)];
        assert_eq!(versions[..3], expected);
        assert_eq!(
            versions[3..],
            [
                ("cliente/b", 2),
                ("cliente/b", 2),
                ("cliente/c", 1),
                ("cliente/c", 1)
            ]
        );
        for event in waiting {
            assert!(!event.payload.contains("nome"), "ids only");
        }
    }
}
