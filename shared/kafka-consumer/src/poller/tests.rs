use super::*;
use crate::runner::group_member;
use consumer::ChangeStore;
use contracts::{changes::Shape, telesales::Telesales};
use domain::{telesales::Contact, time::UtcMillis};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};
use sql_store::{StoreError, projection::Applied};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

const RECORDS: i64 = 50;
const LIMIT: Duration = Duration::from_secs(30);

/// Nothing is applied in these tests.
struct NoStore;

impl ChangeStore<Contact> for NoStore {
    async fn apply(&self, _: &[Change<Contact>], _: UtcMillis) -> Result<Applied, StoreError> {
        Ok(Applied::default())
    }
}

fn settings(kafka: &testkit::Kafka) -> Settings {
    let given = |name: &str| match name {
        "KAFKA_BROKERS" => Some(kafka.brokers().to_owned()),
        "KAFKA_TOPIC" | "KAFKA_GROUP" => Some(kafka.name("clientes")),
        "KAFKA_SESSION_TIMEOUT_MS" => Some("2000".to_owned()),
        _ => None,
    };
    Settings::read("televendas", given).unwrap()
}

async fn create_topic(settings: &Settings) {
    let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
    let topic = NewTopic::new(&settings.topic, 2, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

fn member(settings: &Settings) -> Member {
    let context = settings.cluster.context();
    let member: Member = group_member(settings).create_with_context(context).unwrap();
    member.subscribe(&[&settings.topic]).unwrap();
    member
}

fn partitions(member: &Member) -> usize {
    member.assignment().unwrap().count()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "{what} does not happen");
    }
}

fn produce(settings: &Settings) {
    let producer: BaseProducer = settings.client().create().unwrap();
    for offset in 0..RECORDS {
        let json = format!(
            r#"{{"id_cliente":"c{offset}","versao":1,"nome":"Ana","telefone":"11964166764",
            "consentimentos":["televendas"]}}"#
        );
        for partition in 0..2 {
            let record: BaseRecord<'_, (), String> = BaseRecord::to(&settings.topic)
                .partition(partition)
                .payload(&json);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(LIMIT).unwrap();
}

/// The store is busy for so long that the partitions are paused; another member leaves meanwhile,
/// and its partition, which is not paused, comes here with what nobody has read.
#[tokio::test]
async fn what_comes_while_partitions_are_paused_is_kept() {
    let Some(kafka) = testkit::kafka() else {
        return;
    };
    let settings = settings(&kafka);
    create_topic(&settings).await;
    let (ours, other) = (Arc::new(member(&settings)), member(&settings));
    until("sharing", || {
        for one in [ours.as_ref(), &other] {
            let nothing = one.poll(Duration::from_millis(20));
            assert!(!matches!(nothing, Some(Ok(_))), "nothing was produced");
        }
        partitions(&ours) == 1 && partitions(&other) == 1
    });
    produce(&settings);

    let (stop, stopping) = watch::channel(false);
    let shape = Shape::parse::<Telesales>("").unwrap();
    let poller: Poller<Telesales, NoStore> = Poller {
        kafka: Arc::clone(&ours),
        consumer: Arc::new(Consumer::new(shape, NoStore, clock::now)),
        settings,
        key: SealKey::new(&[1; 32]).unwrap(),
        health: Health::new(),
        stopping,
        patience: Duration::ZERO,
        said: Said::default(),
    };
    let (sender, mut batches) = mpsc::channel(1);
    sender.try_send(Batch::new(0)).ok().unwrap();
    let polling = std::thread::spawn(move || poller.run(&sender));
    std::thread::sleep(Duration::from_millis(500));
    drop(other);
    until("the other's partition", || {
        std::thread::sleep(Duration::from_millis(100));
        partitions(&ours) == 2
    });
    std::thread::sleep(Duration::from_secs(1));

    let mut read = BTreeSet::new();
    until("the end", || {
        if let Ok(batch) = batches.try_recv() {
            let places = batch.changes.iter().map(|change| change.stamp.place);
            read.extend(places.map(|place| (place.partition, place.offset)));
        }
        let missing = (0..2).flat_map(|partition| (0..RECORDS).map(move |at| (partition, at)));
        missing.into_iter().all(|place| read.contains(&place))
    });
    stop.send_replace(true);
    drop(batches);
    polling.join().unwrap().unwrap();
}
