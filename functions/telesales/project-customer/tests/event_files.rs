//! Every event file of project-customer, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::cell::RefCell;

use contracts::changes::Shape;
use contracts::telesales::Telesales;
use domain::identity::CustomerId;
use domain::pseudonym::PseudonymKey;
use domain::time::UtcMillis;
use lambda_kit::dead_letter::SendFailed;
use lambda_kit::{DeadLetters, SealKey, kafka};
use project_customer::{ProjectCustomer, project_customer};
use serde_json::{Value, json};
use sql_store::migrate::{TELESALES, migrate_by};
use sql_store::projection::receipts;
use sql_store::{Store, StoreError, Tx, values};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "project-customer";
/// The mapping of accepted-debezium.
const DEBEZIUM: &str = r#"{"envelope": "debezium", "campos": {"id_cliente": "codigo",
    "versao": "rev", "telefone": "contato.celular", "regiao": "uf"}}"#;

struct Letters {
    key: SealKey,
    sent: RefCell<Vec<Value>>,
    works: bool,
}

impl DeadLetters for Letters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        if !self.works {
            return Err(SendFailed);
        }
        let letter = serde_json::from_str(&body).unwrap();
        self.sent.borrow_mut().push(letter);
        Ok(())
    }
}

struct Scene {
    handler: ProjectCustomer,
    store: Store,
    letters: Letters,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

fn pseudonyms() -> PseudonymKey {
    PseudonymKey::new(&[9; 32]).unwrap()
}

fn handler(store: Store, mapping: &str) -> ProjectCustomer {
    let shape = Shape::parse::<Telesales>(mapping).unwrap();
    project_customer(store, pseudonyms(), shape, now)
}

impl Scene {
    async fn everywhere(mapping: &str) -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            migrate_by(&store, &TELESALES, now()).await.unwrap();
            let letters = Letters {
                key: SealKey::new(&[5; 32]).unwrap(),
                sent: RefCell::default(),
                works: true,
            };
            scenes.push(Self {
                handler: handler(store.clone(), mapping),
                store,
                letters,
                _database: database,
            });
        }
        scenes
    }

    async fn send(&self, case: &str) -> Value {
        let event = event(FUNCTION, case);
        let answer = kafka::answer(FUNCTION, &self.letters, &self.handler, &event, now()).await;
        answer.unwrap()["batchItemFailures"].clone()
    }

    /// Name, phone and region of a customer; nothing of one who is not kept.
    async fn contact(&self, customer: &str) -> Value {
        let customer = CustomerId::parse(customer).unwrap();
        let subject = pseudonyms().of_customer(&customer).unwrap();
        let sql = "SELECT name, phone, region FROM contacts WHERE subject = ? AND deleted = 0";
        let keys = values![subject.as_str()];
        let work = async |tx: &Tx| tx.one::<Value>(sql, keys.clone()).await;
        let row = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        row.map_or(Value::Null, |row| {
            json!([row["name"], row["phone"], row["region"]])
        })
    }
}

#[tokio::test]
async fn contacts_are_kept_and_deleted_and_twice_is_once() {
    for scene in Scene::everywhere("").await {
        for _ in 0..2 {
            assert_eq!(scene.send("accepted-msk").await, json!([]));
            assert_eq!(scene.send("accepted-self-managed").await, json!([]));
        }
        let kept = [
            ("cli-ana", json!(["Ana Lima", "+5511964166764", "SP"])),
            ("cli-rio", json!(["Rui Prado", "+552132221234", "RJ"])),
            ("cli-leo", json!(["Leo Reis", "+5511964166764", "SP"])),
            ("cli-eva", Value::Null),
            ("cli-sem", Value::Null),
            ("cli-bia", Value::Null),
        ];
        for (customer, contact) in kept {
            assert_eq!(scene.contact(customer).await, contact, "{customer}");
        }
        // In one batch the deleted ones were never kept, so there is nothing to write a receipt of.
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Ok(0));
        assert_eq!(*scene.letters.sent.borrow(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn debeziums_envelope_is_read_by_its_mapping() {
    for scene in Scene::everywhere(DEBEZIUM).await {
        assert_eq!(scene.send("accepted-debezium").await, json!([]));
        let ana = json!(["Ana Lima", "+5511964166764", "SP"]);
        assert_eq!(scene.contact("cli-deb").await, ana);
        assert_eq!(scene.contact("cli-fim").await, Value::Null);
        assert_eq!(*scene.letters.sent.borrow(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn bad_records_reach_dead_letters_alone_and_show_no_value() {
    for scene in Scene::everywhere("").await {
        let case = "refused-records-among-good-ones";
        assert_eq!(scene.send(case).await, json!([]));
        let letters = scene.letters.sent.take();
        let reasons: Vec<(&str, Option<&str>)> = letters
            .iter()
            .map(|letter| (letter["motivo"].as_str().unwrap(), letter["campo"].as_str()))
            .collect();
        let expected = [
            ("json_invalido", None),
            ("campo_invalido", Some("telefone")),
            ("campo_ausente", Some("nome")),
            ("campo_ausente", Some("chave")),
            ("campo_invalido", Some("consentimentos")),
            ("utf8_invalido", None),
            ("campo_invalido", Some("value")),
            ("campo_invalido", Some("offset")),
            ("campo_invalido", Some("id_cliente")),
            ("campo_invalido", Some("telefone")),
            ("versao_no_futuro", Some("atualizado_em")),
            ("campo_invalido", Some("versao")),
            ("campo_invalido", Some("regiao")),
        ];
        assert_eq!(reasons, expected);
        for letter in &letters {
            let text = letter.to_string();
            for value in ["52998224725", "Ana Lima", "example.com", "cli-", "Flores"] {
                assert!(!text.contains(value), "{text}");
            }
        }
        for customer in ["cli-a", "cli-f"] {
            assert!(scene.contact(customer).await.is_array(), "{customer}");
        }
        assert_eq!(scene.contact("cli-c").await, Value::Null);
    }
}

#[tokio::test]
async fn a_record_whose_dead_letter_is_lost_comes_again() {
    for mut scene in Scene::everywhere("").await {
        scene.letters.works = false;
        let case = "refused-records-among-good-ones";
        let first_bad = json!([{"itemIdentifier": {"partition": "clientes-0", "offset": 31}}]);
        assert_eq!(scene.send(case).await, first_bad);
        scene.letters.works = true;
        assert_eq!(scene.send(case).await, json!([]));
        assert!(scene.contact("cli-f").await.is_array());
    }
}

#[tokio::test]
async fn while_the_database_is_away_every_partition_comes_again() {
    let scene = Scene::everywhere("").await.remove(0);
    let lost = Store::open("mysql://nobody@127.0.0.1:1/none")
        .await
        .unwrap();
    let handler = handler(lost, "");
    let event = event(FUNCTION, "accepted-msk");
    let answer = kafka::answer(FUNCTION, &scene.letters, &handler, &event, now()).await;
    let expected = json!([
        {"itemIdentifier": {"partition": "clientes-0", "offset": 10}},
        {"itemIdentifier": {"partition": "clientes-1", "offset": 5}},
    ]);
    assert_eq!(answer.unwrap()["batchItemFailures"], expected);
}

#[tokio::test]
async fn what_is_no_event_of_kafka_fails_as_a_whole() {
    assert!(event_cases(FUNCTION).contains(&"refused-no-kafka-event".to_owned()));
    let scene = Scene::everywhere("").await.remove(0);
    let event = event(FUNCTION, "refused-no-kafka-event");
    let answer = kafka::answer(FUNCTION, &scene.letters, &scene.handler, &event, now()).await;
    assert!(answer.is_err());
}
