//! `cargo local` on a Kafka of its own choice: the same promises as on the embedded log.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;

use crate::stage::Stage;

const PARTITIONS: i32 = 3;

/// Apache Kafka where it can be had, else librdkafka's stand-in for it.
enum Cluster {
    Real(testkit::Kafka),
    StandIn(MockCluster<'static, DefaultProducerContext>),
}

impl Cluster {
    fn get() -> Self {
        match testkit::kafka() {
            Some(kafka) => Self::Real(kafka),
            None => Self::StandIn(MockCluster::new(1).expect("a stand-in")),
        }
    }

    fn brokers(&self) -> String {
        match self {
            Self::Real(kafka) => kafka.brokers().to_owned(),
            Self::StandIn(cluster) => cluster.bootstrap_servers(),
        }
    }

    /// A name that no other test has.
    fn name(&self, begins: &str) -> String {
        match self {
            Self::Real(kafka) => kafka.name(begins),
            Self::StandIn(_) => format!("{begins}-um"),
        }
    }

    async fn make(&self, topic: &str) {
        match self {
            Self::Real(kafka) => {
                let mut client = ClientConfig::new();
                client.set("bootstrap.servers", kafka.brokers());
                let admin: AdminClient<DefaultClientContext> = client.create().expect("a client");
                let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
                let made = admin.create_topics([&new], &AdminOptions::new()).await;
                made.expect("Kafka answers").remove(0).expect("a topic");
            }
            Self::StandIn(cluster) => {
                let made = cluster.create_topic(topic, PARTITIONS, 1);
                made.expect("a topic");
            }
        }
    }
}

/// An instance's stage on a topic that no other test has, in the place of `clientes`.
struct Scene {
    stage: Stage,
    topic: String,
    template: String,
}

impl Scene {
    async fn on(kafka: &Cluster) -> Self {
        let topic = kafka.name("clientes");
        kafka.make(&topic).await;
        let mut stage = Stage::empty();
        stage.set("KAFKA_BROKERS", &kafka.brokers());
        let template = stage.own_template();
        let text = std::fs::read_to_string(&template).expect("a file");
        let text = text.replace("[clientes]", &format!("[{topic}]"));
        std::fs::write(&template, text).expect("a file");
        Self {
            stage,
            topic,
            template,
        }
    }

    fn start(&mut self) {
        let template = self.template.clone();
        self.stage.start_with(&["--template", &template]);
    }

    /// Writes lines by the command; their `id` is the key.
    fn produce(&self, lines: &str, with_key: bool) {
        let file = self.stage.project().join("linhas.ndjson");
        std::fs::write(&file, lines).expect("a file");
        let file = file.display().to_string();
        let mut arguments = vec!["--template", &self.template, "produce", &self.topic, &file];
        if with_key {
            arguments.extend(["--key", "id"]);
        }
        let produced = self.stage.run(&arguments);
        assert!(produced.status.success(), "{produced:?}");
    }

    fn done(&self) -> Vec<Value> {
        self.stage.lines("done", "CustomersFunction")
    }
}

#[tokio::test]
async fn a_clusters_topic_is_read_as_a_mapping_reads_it() {
    let kafka = Cluster::get();
    let mut scene = Scene::on(&kafka).await;
    scene.start();
    let lines = (0..40).map(|n| format!("{{\"id\":\"c{}\",\"n\":{n}}}\n", n % 7));
    scene.produce(&lines.collect::<String>(), true);
    // The command ends when the group has committed them.
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    for record in scene.done() {
        let place = |field: &str| record[field].as_i64().expect("a number");
        let expected = next.entry(place("partition")).or_default();
        assert_eq!(place("offset"), *expected, "no gap, no repetition");
        *expected += 1;
    }
    assert_eq!(next.values().sum::<i64>(), 40);
    let seen = scene.stage.lines("seen", "CustomersFunction");
    let event = &seen.first().expect("an event")["event"];
    assert_eq!(event["eventSource"], "SelfManagedKafka");
    assert_eq!(event["bootstrapServers"], kafka.brokers());
    for event in &seen {
        let batches = event["event"]["records"].as_object().expect("a map");
        assert!(
            batches
                .values()
                .all(|batch| batch.as_array().expect("a list").len() <= 10)
        );
    }

    // What comes while nothing runs waits, and a poisoned record stands aside alone.
    scene.stage.stop();
    scene.produce("\"good\"\n\"poison\"\n\"better\"\n", false);
    scene.start();
    scene.stage.until_holds("AsyncDeadLetters", 1).await;
    scene
        .stage
        .until("the others", || (scene.done().len() == 42).then_some(()));
    let queues = scene.stage.queues().await;
    let letters = queues.peek("feira://queues/AsyncDeadLetters", 1).await;
    let letter: Value = serde_json::from_str(&letters.expect("looks")[0].body).expect("JSON");
    assert_eq!(letter["KafkaBatchInfo"]["batchSize"], 1);
    assert_eq!(
        letter["KafkaBatchInfo"]["bootstrapServers"],
        kafka.brokers()
    );
    let condition = &letter["requestContext"]["condition"];
    assert_eq!(condition, "RetryAttemptsExhausted");

    // A command that would write elsewhere is told so.
    let mut astray = scene
        .stage
        .command(&["--template", &scene.template, "produce", "x", "-"]);
    let astray = astray.env_remove("KAFKA_BROKERS").output().expect("runs");
    let told = String::from_utf8_lossy(&astray.stderr).into_owned();
    assert!(
        told.contains(&format!("set KAFKA_BROKERS={}", kafka.brokers())),
        "{told}"
    );
    assert_eq!(astray.status.code(), Some(2));

    // An empty state folder has a group of its own, which begins at the start.
    let mut second = Scene {
        stage: Stage::empty(),
        topic: scene.topic.clone(),
        template: scene.template.clone(),
    };
    second.stage.set("KAFKA_BROKERS", &kafka.brokers());
    second.start();
    second
        .stage
        .until("all of them", || (second.done().len() == 42).then_some(()));
}

#[tokio::test]
async fn two_instances_of_one_group_share_the_partitions_and_take_over() {
    let kafka = Cluster::get();
    let mut first = Scene::on(&kafka).await;
    let group = kafka.name("grupo");
    let mut second = Scene {
        stage: Stage::empty(),
        topic: first.topic.clone(),
        template: first.template.clone(),
    };
    second.stage.set("KAFKA_BROKERS", &kafka.brokers());
    for scene in [&mut first, &mut second] {
        scene.stage.set("KAFKA_GROUP", &group);
        scene.start();
    }
    let numbers = |scene: &Scene| -> BTreeSet<i64> {
        let done = scene.done();
        let offsets = done.iter().map(|record| {
            let place = |field: &str| record[field].as_i64().expect("a number");
            place("partition") * 1_000_000 + place("offset")
        });
        offsets.collect()
    };
    let mut produced = 0;
    first.stage.until("both at work", || {
        let lines = (0..30).map(|n| format!("{{\"id\":\"c{n}\"}}\n"));
        first.produce(&lines.collect::<String>(), true);
        produced += 30;
        (!first.done().is_empty() && !second.done().is_empty()).then_some(())
    });
    second.stage.stop();
    let lines = (0..30).map(|n| format!("{{\"id\":\"c{n}\"}}\n"));
    first.produce(&lines.collect::<String>(), true);
    produced += 30;
    let all: BTreeSet<i64> = numbers(&first).union(&numbers(&second)).copied().collect();
    assert_eq!(all.len(), produced, "each was handled by one of them");
}
