//! A database whose machine is gone answers nothing, not even an error.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use consumer::{ChangeStore, Consumer};
use contracts::changes::{Change, Projection, Shape};
use contracts::telesales::Telesales;
use domain::{telesales::Contact, time::UtcMillis};
use kafka_consumer::{KafkaDeadLetters, Settings};
use lambda_kit::{SealKey, clock};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};
use sql_store::{StoreError, projection::Applied};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(60);

/// Silent when it is asked first.
#[derive(Clone, Default)]
struct Silent {
    asked: Arc<AtomicUsize>,
    applied: Arc<AtomicUsize>,
}

impl ChangeStore<Contact> for Silent {
    async fn apply(
        &self,
        changes: &[Change<Contact>],
        _: UtcMillis,
    ) -> Result<Applied, StoreError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            std::future::pending::<()>().await;
        }
        self.applied.fetch_add(changes.len(), Ordering::Relaxed);
        Ok(Applied::default())
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_again() {
    let Some(kafka) = testkit::kafka() else {
        return;
    };
    let topic = kafka.name("clientes");
    let mut settings = Settings::read(Telesales::NAME, |name| match name {
        "KAFKA_BROKERS" => Some(kafka.brokers().to_owned()),
        "KAFKA_TOPIC" | "KAFKA_GROUP" => Some(topic.clone()),
        "HEALTH_ADDRESS" => Some("127.0.0.1:0".to_owned()),
        _ => None,
    })
    .unwrap();
    settings.apply_limit = Duration::from_millis(500);
    let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    let made = admin.create_topics(&[new], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
    let producer: BaseProducer = settings.client().create().unwrap();
    let json = r#"{"id_cliente":"c1","versao":1,"nome":"Ana","telefone":"11964166764",
        "consentimentos":["televendas"]}"#;
    let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).payload(json);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(LIMIT).unwrap();

    let store = Silent::default();
    let shape = Shape::parse::<Telesales>("").unwrap();
    let consumer = Consumer::<Telesales, _>::new(shape, store.clone(), clock::now);
    let letters = KafkaDeadLetters::new(&settings, SealKey::new(&[1; 32]).unwrap());
    let applied = async {
        while store.applied.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (_never, stopping) = watch::channel(false);
    tokio::select! {
        ended = kafka_consumer::run(stopping, settings, consumer, letters) => panic!("{ended:?}"),
        outcome = tokio::time::timeout(LIMIT, applied) => outcome.unwrap(),
    }
    assert_eq!(store.asked.load(Ordering::Relaxed), 2);
    assert_eq!(store.applied.load(Ordering::Relaxed), 1);
}
