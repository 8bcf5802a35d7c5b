//! The producer on Apache Kafka, with the broker stopped and started in between.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, OutgoingRecord, SendError};
use kafka_settings::Cluster;
use rdkafka::{
    Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use testkit::{SecuredListener, kafka, own_kafka, own_secured_kafka};

const LIMIT: Duration = Duration::from_secs(20);
/// What a consumer saw: key, value and the value of the header `id`.
type Seen = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

fn cluster(brokers: &str) -> Cluster {
    let given = |name: &str| (name == "KAFKA_BROKERS").then(|| brokers.to_owned());
    Cluster::read(given).unwrap()
}

/// A cluster that asks who comes, and proves itself by a certificate.
fn secured(listener: &SecuredListener, password: &str, ca_file: Option<&Path>) -> Cluster {
    Cluster::read(|name| match name {
        "KAFKA_BROKERS" => Some(listener.brokers.clone()),
        "KAFKA_SECURITY" => Some("sasl_tls".to_owned()),
        "KAFKA_USER" => Some(listener.user.to_owned()),
        "KAFKA_PASSWORD" => Some(password.to_owned()),
        "KAFKA_CA_FILE" => ca_file.map(|file| file.display().to_string()),
        _ => None,
    })
    .unwrap()
}

async fn make_topic(cluster: &Cluster, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let topic = NewTopic::new(topic, 2, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

fn record(key: &str, value: Option<&str>) -> OutgoingRecord {
    OutgoingRecord {
        key: Some(key.into()),
        value: value.map(Into::into),
        headers: vec![("id".to_owned(), vec![0xC3, 0xAB])],
    }
}

/// All that lies in a topic, by partition and offset, when `count` records are there.
fn read(cluster: &Cluster, topic: &str, count: usize) -> Vec<Seen> {
    let consumer: BaseConsumer = cluster
        .client()
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let started = Instant::now();
    let mut found = BTreeMap::new();
    let mut quiet_since = Instant::now();
    // A second without news after the last one: none is there twice.
    while found.len() < count || quiet_since.elapsed() < Duration::from_secs(1) {
        assert!(started.elapsed() < Duration::from_secs(60), "{topic}");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            quiet_since = Instant::now();
            let header = message.headers().map(|headers| headers.get(0));
            let header = header.and_then(|header| header.value.map(<[u8]>::to_vec));
            let seen = (
                message.key().map(<[u8]>::to_vec),
                message.payload().map(<[u8]>::to_vec),
                header,
            );
            found.insert((message.partition(), message.offset()), seen);
        }
    }
    found.into_values().collect()
}

#[tokio::test]
async fn records_arrive_with_key_headers_and_tombstones_in_order_per_key() {
    let Some(kafka) = kafka() else { return };
    let producer = KafkaProducer::new(&cluster(kafka.brokers()), LIMIT).unwrap();
    let topic = kafka.name("produtor");
    make_topic(&cluster(kafka.brokers()), &topic).await;
    let mut records: Vec<_> = (0..300)
        .map(|number| record(&format!("c{}", number % 7), Some(&number.to_string())))
        .collect();
    records.push(record("c0", None));
    let answers = producer.send(&topic, &records).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let cluster = cluster(kafka.brokers());
    let seen = tokio::task::spawn_blocking(move || read(&cluster, &topic, 301));
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 301);
    for key in 0..7 {
        let key = format!("c{key}").into_bytes();
        let of_key = |(of, value, header): &Seen| {
            assert_eq!(header.as_deref(), Some(&[0xC3, 0xAB][..]));
            (of.as_ref() == Some(&key)).then(|| value.clone())
        };
        let arrived: Vec<_> = seen.iter().filter_map(of_key).collect();
        let sent = records
            .iter()
            .filter(|sent| sent.key.as_ref() == Some(&key));
        let sent: Vec<_> = sent.map(|sent| sent.value.clone()).collect();
        assert_eq!(arrived, sent);
    }
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_alone() {
    let Some(kafka) = kafka() else { return };
    let producer = KafkaProducer::new(&cluster(kafka.brokers()), LIMIT).unwrap();
    let large = "x".repeat(kafka_producer::LARGEST_RECORD_BYTES + 1);
    let records = [record("a", Some(&large)), record("a", Some("b"))];
    let topic = kafka.name("grande");
    make_topic(&cluster(kafka.brokers()), &topic).await;
    let answers = producer.send(&topic, &records).await;
    assert_eq!(answers, [Err(SendError::TooLarge), Ok(())]);
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_in_time_and_nothing_acknowledged_is_lost() {
    let Some(mut kafka) = own_kafka() else { return };
    let brokers = kafka.brokers();
    let patient = KafkaProducer::new(&cluster(&brokers), Duration::from_secs(60)).unwrap();
    let hasty = KafkaProducer::new(&cluster(&brokers), Duration::from_secs(2)).unwrap();
    make_topic(&cluster(&brokers), "paradas").await;
    let first = patient.send("paradas", &[record("a", Some("1"))]).await;
    assert_eq!(first, [Ok(())]);

    kafka.stop();
    let began = Instant::now();
    let answers = hasty.send("paradas", &[record("a", Some("never"))]).await;
    assert!(matches!(answers[..], [Err(SendError::NotAcknowledged(_))]));
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");

    let records: Vec<_> = (2..500)
        .map(|number| record("a", Some(&number.to_string())))
        .collect();
    let waiting = tokio::spawn(async move { patient.send("paradas", &records).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kafka = tokio::task::spawn_blocking(move || {
        kafka.start();
        kafka
    });
    let kafka = kafka.await.unwrap();
    let answers = waiting.await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let seen = tokio::task::spawn_blocking(move || read(&cluster(&brokers), "paradas", 499));
    let values = seen.await.unwrap().into_iter().map(|(_, value, _)| value);
    let expected = (1..500).map(|number: i32| Some(number.to_string().into_bytes()));
    assert!(values.eq(expected), "each once, and in order");
    drop(kafka);
}

#[tokio::test]
async fn a_broker_lets_in_by_password_over_tls_and_nobody_else() {
    let Some((_kafka, listener)) = own_secured_kafka() else {
        return;
    };
    let ca_file = Some(listener.ca_file.as_path());
    let known = secured(&listener, &listener.password, ca_file);
    make_topic(&known, "segredo").await;
    let producer = KafkaProducer::new(&known, LIMIT).unwrap();
    let answers = producer.send("segredo", &[record("a", Some("1"))]).await;
    assert_eq!(answers, [Ok(())]);
    for stranger in [
        secured(&listener, "outra", ca_file),
        // Nobody proves who this broker is.
        secured(&listener, &listener.password, None),
        cluster(&listener.brokers),
    ] {
        let producer = KafkaProducer::new(&stranger, Duration::from_secs(2)).unwrap();
        let answers = producer.send("segredo", &[record("a", Some("2"))]).await;
        assert!(matches!(answers[..], [Err(SendError::NotAcknowledged(_))]));
    }
    let seen = tokio::task::spawn_blocking(move || read(&known, "segredo", 1));
    assert_eq!(seen.await.unwrap().len(), 1);
}
