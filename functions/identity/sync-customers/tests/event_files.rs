//! Every event file of sync-customers, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::cell::RefCell;

use documents::Documents;
use domain::customers::Customer;
use domain::identity::CustomerId;
use domain::personal::PersonName;
use domain::time::UtcMillis;
use lambda_kit::dead_letter::SendFailed;
use lambda_kit::{DeadLetters, SealKey, kafka};
use mongodb::{Client, Database, bson::Document, bson::doc};
use secrets::Stage;
use serde_json::{Value, json};
use sql_store::{Store, Tx, customers};
use sync_customers::SyncCustomers;
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "sync-customers";
const DELETES_EVA: &str = "accepted-msk";

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
        self.sent
            .borrow_mut()
            .push(serde_json::from_str(&body).unwrap());
        Ok(())
    }
}

struct Scene {
    handler: SyncCustomers,
    store: Store,
    letters: Letters,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let key = SealKey::new(&[5; 32]).unwrap();
            let letters = Letters {
                key,
                sent: RefCell::default(),
                works: true,
            };
            let handler = SyncCustomers::new(Documents::in_sql(store.clone()));
            scenes.push(Self {
                handler,
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

    async fn customer(&self, id: &str) -> Option<Customer> {
        let id = CustomerId::parse(id).unwrap();
        let load = async |tx: &Tx| customers::load(tx, &id).await;
        self.store.transact(load).await.unwrap()
    }
}

fn name(customer: &Customer) -> Option<&str> {
    customer
        .profile
        .as_ref()?
        .name
        .as_ref()
        .map(PersonName::expose)
}

#[tokio::test]
async fn customers_are_taken_over_and_deleted_and_twice_is_once() {
    for scene in Scene::everywhere().await {
        for _ in 0..2 {
            assert_eq!(scene.send("accepted-msk").await, json!([]));
            assert_eq!(scene.send("accepted-self-managed").await, json!([]));
        }
        let ana = scene.customer("cli-ana").await.unwrap();
        assert_eq!((name(&ana), ana.version), (Some("Ana Lima"), Some(2)));
        assert!(ana.profile.unwrap().referral_consent);
        let rui = scene.customer("cli-rui").await.unwrap();
        let updated = UtcMillis::parse("2026-11-20T09:00:00-03:00").unwrap();
        assert_eq!(rui.version, Some(updated.get()));
        let eva = scene.customer("cli-eva").await.unwrap();
        assert_eq!((eva.profile, eva.version), (None, None));
        assert!(scene.customer("cli-bia").await.unwrap().profile.is_some());
        assert_eq!(*scene.letters.sent.borrow(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn bad_records_reach_dead_letters_alone_and_show_no_value() {
    for scene in Scene::everywhere().await {
        assert_eq!(
            scene.send("refused-records-among-good-ones").await,
            json!([])
        );
        let letters = scene.letters.sent.take();
        let reasons: Vec<(&str, Option<&str>)> = letters
            .iter()
            .map(|letter| (letter["motivo"].as_str().unwrap(), letter["campo"].as_str()))
            .collect();
        assert_eq!(
            reasons,
            [
                ("json_invalido", None),
                ("campo_invalido", Some("cpf")),
                ("campo_invalido", Some("versao")),
                ("campo_ausente", Some("chave")),
                ("campo_invalido", Some("consentimentos")),
                ("campo_invalido", Some("value")),
                ("campo_invalido", Some("offset")),
                ("campo_invalido", Some("id_cliente")),
                ("campo_invalido", Some("nome")),
            ]
        );
        for letter in &letters {
            let text = letter.to_string();
            for value in ["52998224724", "Ana Lima", "example.com", "cli-"] {
                assert!(!text.contains(value), "{text}");
            }
        }
        assert!(scene.customer("cli-a").await.is_some());
        assert!(scene.customer("cli-f").await.is_some());
        assert!(scene.customer("cli-c").await.is_none());
    }
}

#[tokio::test]
async fn a_record_whose_dead_letter_is_lost_comes_again() {
    for mut scene in Scene::everywhere().await {
        scene.letters.works = false;
        let expected = json!([{"itemIdentifier": {"partition": "clientes-0", "offset": 31}}]);
        assert_eq!(
            scene.send("refused-records-among-good-ones").await,
            expected
        );
        scene.letters.works = true;
        assert_eq!(
            scene.send("refused-records-among-good-ones").await,
            json!([])
        );
        assert!(scene.customer("cli-f").await.is_some());
    }
}

#[tokio::test]
async fn while_the_database_is_away_every_partition_comes_again() {
    let scene = Scene::everywhere().await.remove(0);
    let lost = Store::open("mysql://nobody@127.0.0.1:1/none")
        .await
        .unwrap();
    let handler = SyncCustomers::new(Documents::in_sql(lost));
    let event = event(FUNCTION, "accepted-msk");
    let answer = kafka::answer(FUNCTION, &scene.letters, &handler, &event, now())
        .await
        .unwrap();
    let expected = json!([
        {"itemIdentifier": {"partition": "clientes-0", "offset": 10}},
        {"itemIdentifier": {"partition": "clientes-1", "offset": 5}},
    ]);
    assert_eq!(answer["batchItemFailures"], expected);
}

#[tokio::test]
async fn what_is_no_event_of_kafka_fails_as_a_whole() {
    assert!(event_cases(FUNCTION).contains(&"refused-no-kafka-event".to_owned()));
    let scene = Scene::everywhere().await.remove(0);
    let event = event(FUNCTION, "refused-no-kafka-event");
    let answer = kafka::answer(FUNCTION, &scene.letters, &scene.handler, &event, now()).await;
    assert!(answer.is_err());
}

/// On SQLite, with documents in MongoDB.
struct WithDocuments {
    scene: Scene,
    mongodb: Database,
}

impl WithDocuments {
    async fn open() -> Option<Self> {
        let uri = testkit::mongodb()?;
        let mut scene = Scene::everywhere().await.remove(0);
        let documents = Documents::in_mongodb(scene.store.clone(), &uri, Stage::Dev).await;
        scene.handler = SyncCustomers::new(documents.unwrap());
        let client = Client::with_uri_str(&uri).await.unwrap();
        let mongodb = client.default_database().unwrap();
        Some(Self { scene, mongodb })
    }

    /// What ingest-customer-events left about these customers.
    async fn left(&self, customers: &[&str]) {
        let profiles = customers.iter().map(|id| doc! {"_id": *id});
        let clicks = customers.iter().map(|id| doc! {"id_usuario": *id});
        for (collection, documents) in [
            ("perfis", profiles.collect::<Vec<Document>>()),
            ("cliques", clicks.collect()),
        ] {
            let collection = self.mongodb.collection::<Document>(collection);
            collection.delete_many(doc! {}).await.unwrap();
            collection.insert_many(documents).await.unwrap();
        }
    }

    /// Of how many there is a profile, and of how many a click.
    async fn remain(&self) -> [u64; 2] {
        let count = async |name| {
            let found = self.mongodb.collection::<Document>(name);
            found.count_documents(doc! {}).await.unwrap()
        };
        [count("perfis").await, count("cliques").await]
    }
}

#[tokio::test]
async fn documents_of_the_deleted_are_erased_also_when_the_record_comes_again() {
    let Some(shop) = WithDocuments::open().await else {
        return;
    };
    for _ in 0..2 {
        // The second time as after a crash between the two databases.
        shop.left(&["cli-ana", "cli-eva"]).await;
        assert_eq!(shop.scene.send(DELETES_EVA).await, json!([]));
        assert_eq!(shop.scene.send("accepted-self-managed").await, json!([]));
        assert_eq!(shop.remain().await, [1, 1]);
    }
}

#[tokio::test]
async fn while_mongodb_is_away_a_deletion_comes_again() {
    let scene = Scene::everywhere().await.remove(0);
    let uri = testkit::unreachable_mongodb("feira", "feira");
    let away = Documents::in_mongodb(scene.store.clone(), &uri, Stage::Dev).await;
    let away = SyncCustomers::new(away.unwrap());
    let event = event(FUNCTION, DELETES_EVA);
    let answer = kafka::answer(FUNCTION, &scene.letters, &away, &event, now()).await;
    let expected = json!([
        {"itemIdentifier": {"partition": "clientes-0", "offset": 10}},
        {"itemIdentifier": {"partition": "clientes-1", "offset": 5}},
    ]);
    assert_eq!(answer.unwrap()["batchItemFailures"], expected);
    assert!(scene.letters.sent.borrow().is_empty());
    // SQL took it over; that does not acknowledge it.
    assert_eq!(scene.customer("cli-eva").await.unwrap().profile, None);
    assert_eq!(scene.send(DELETES_EVA).await, json!([]));
}
