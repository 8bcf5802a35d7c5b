//! Commands on database 2, and on a stack that has none.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consumer::Consumer;
use contracts::changes::Shape;
use contracts::fields::BadMessage;
use documents::Documents;
use domain::jobs::{TELESALES_EXPIRE_CONTACTS, TELESALES_RECONCILE};
use domain::pseudonym::PseudonymKey;
use domain::time::{Day, UtcMillis};
use lambda_kit::dead_letter::DeadLetter;
use lambda_kit::direct::Handler;
use lambda_kit::{Invocation, InvocationFailed, SealKey};
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Queues, embedded_queue_url};
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand, ShopSettings, Telesales};
use serde_json::{Value, json};
use sql_store::projection::ProjectionTable;
use sql_store::{Store, StoreError, Tx, jobs, telesales::CONSUMER, values};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event};

const FUNCTION: &str = "run-command";
const SHOP_KEY: [u8; 32] = [7; 32];
const TELESALES_KEY: [u8; 32] = [8; 32];
const LETTERS: &str = "mortas";

struct Scene {
    command: RunCommand,
    shop: Store,
    telesales: Store,
    queues: Queues,
    _folder: TempDir,
    _databases: [TestDatabase; 2],
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:00:00Z").unwrap()
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for (one, two) in databases().await.into_iter().zip(databases().await) {
            let shop = Store::open(one.url()).await.unwrap();
            let telesales = Store::open(two.url()).await.unwrap();
            let folder = TempDir::new().unwrap();
            let file = folder.path().join("filas.sqlite");
            let embedded = EmbeddedQueues::open(&file).await.unwrap();
            let letters = QueueDefinition {
                name: LETTERS.to_owned(),
                fifo: false,
                deduplicates_content: false,
                visibility_seconds: 60,
                retention_seconds: 86_400,
                delay_seconds: 0,
                redrive: None,
            };
            embedded.define(&[letters]).await.unwrap();
            let queues = Queues::Embedded(embedded);
            let pseudonyms = PseudonymKey::new(&[9; 32]).unwrap();
            let table = ProjectionTable::new(telesales.clone(), pseudonyms, CONSUMER);
            let shape = Shape::parse::<contracts::telesales::Telesales>("").unwrap();
            let consumer = Consumer::new(shape, table, now);
            let key = SealKey::new(&TELESALES_KEY).unwrap();
            let route = [embedded_queue_url(LETTERS), "televendas".to_owned()];
            let routes = json!({"TelesalesDeadLetters": route}).to_string();
            let command = RunCommand {
                store: shop.clone(),
                documents: Documents::in_sql(shop.clone()),
                settings: ShopSettings::default(),
                telesales: Some(Telesales::new(consumer, key)),
                queues: queues.clone(),
                seal_key: SealKey::new(&SHOP_KEY).unwrap(),
                dead_letter_routes: DeadLetterRoutes::parse(["{}", routes.as_str()]).unwrap(),
                invoker: None,
                batches: None,
                job_functions: JobFunctions::parse(["{}"]).unwrap(),
                clock: now,
            };
            let scene = Self {
                command,
                shop,
                telesales,
                queues,
                _folder: folder,
                _databases: [one, two],
            };
            let applied = scene.send("accepted-migrate").await.unwrap();
            for list in ["aplicadas", "aplicadas_televendas"] {
                assert!(!applied[list].as_array().unwrap().is_empty(), "{applied}");
            }
            scenes.push(scene);
        }
        scenes
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        let invocation = Invocation::at(now());
        self.command
            .handle(event(FUNCTION, case), &invocation)
            .await
    }

    async fn bury(&self, key: [u8; 32], offset: i64, value: &str) {
        let record = json!({"topic": "clientes", "partition": 0, "offset": offset,
            "timestamp": 1, "value": STANDARD.encode(value)});
        let (key, why) = (SealKey::new(&key).unwrap(), BadMessage::NOT_JSON);
        let (id, content) = (format!("clientes-0@{offset}"), record.to_string());
        let content = content.as_bytes();
        let letter = DeadLetter::seal(&key, "f", &id, None, &why, content, now()).unwrap();
        let letter = OutgoingMessage::new(serde_json::to_string(&letter).unwrap());
        let url = embedded_queue_url(LETTERS);
        let sent = self.queues.send(&url, &[letter], now().get()).await;
        assert!(sent[0].is_ok());
    }

    async fn names(&self) -> Vec<Value> {
        let sql = "SELECT name FROM contacts WHERE deleted = 0 ORDER BY name";
        let work = async |tx: &Tx| tx.all::<Value>(sql, values![]).await;
        let rows = self.telesales.transact::<_, StoreError, _>(work).await;
        rows.unwrap()
            .iter()
            .map(|row| row["name"].clone())
            .collect()
    }
}

#[tokio::test]
async fn both_databases_are_migrated_once() {
    for scene in Scene::everywhere().await {
        let again = scene.send("accepted-migrate").await.unwrap();
        assert_eq!(again, json!({"aplicadas": [], "aplicadas_televendas": []}));
    }
}

#[tokio::test]
async fn jobs_of_telesales_have_their_ledger_in_database_2() {
    for scene in Scene::everywhere().await {
        let paused = scene.send("accepted-pause-telesales").await.unwrap();
        assert_eq!(paused["mudou"], true);
        let date = Day::parse("2026-11-18").unwrap();
        let reconcile = &TELESALES_RECONCILE;
        let held = jobs::start(&scene.telesales, reconcile, date, false, "t", now()).await;
        assert!(held.is_err(), "the pause stands in database 2");
        let free = jobs::start(&scene.shop, reconcile, date, false, "t", now()).await;
        assert!(free.is_ok(), "and not in database 1");
        let expire = &TELESALES_EXPIRE_CONTACTS;
        let run = jobs::start(&scene.telesales, expire, date, false, "t", now()).await;
        run.unwrap().finish(&scene.telesales, now()).await.unwrap();
        let history = scene.send("accepted-history-telesales").await.unwrap();
        assert_eq!(history["execucoes"][0]["situacao"], "feito", "{history}");
        let plan = scene.send("accepted-backfill-dry-run-telesales").await;
        let starts: Vec<Value> = plan.unwrap()["datas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|date| date["inicia"].clone())
            .collect();
        assert_eq!(starts, [json!(true), json!(false), json!(true)]);
    }
}

#[tokio::test]
async fn a_record_is_taken_over_by_its_consumer_and_what_cannot_be_stays() {
    for scene in Scene::everywhere().await {
        let customer = |id: &str, name: &str| {
            json!({"id_cliente": id, "versao": 1, "nome": name, "telefone": "11 96416-6764",
                "regiao": "SP", "consentimentos": {"televendas": true}})
            .to_string()
        };
        scene.bury(TELESALES_KEY, 1, &customer("c1", "Ana")).await;
        scene.bury(TELESALES_KEY, 2, "{\"id_cliente\":").await;
        scene.bury(SHOP_KEY, 3, &customer("c3", "Bia")).await;
        let answer = scene.send("accepted-replay-telesales").await.unwrap();
        let expected = json!({"reenviadas": 1, "nao_abertas": 1, "recusadas": 1});
        assert_eq!(answer, expected);
        assert_eq!(scene.names().await, [json!("Ana")]);
    }
}

#[tokio::test]
async fn a_verification_checks_the_receipts_too() {
    for scene in Scene::everywhere().await {
        let whole = scene.send("accepted-verify").await.unwrap();
        assert_eq!(whole["recibos"], json!({"integro": true, "recibos": 0}));
        let sql = "INSERT INTO erasure_receipts (place, consumer, subject, erased_ms, erased, \
                   reason, previous_hash, hash) VALUES (1, 'televendas', 's', 0, 'name', 'prazo', \
                   '', 'h')";
        let work = async |tx: &Tx| tx.execute(sql, values![]).await.map(|_| ());
        let telesales = &scene.telesales;
        telesales.transact::<_, StoreError, _>(work).await.unwrap();
        let broken = scene.send("accepted-verify").await.unwrap();
        let expected = json!({"integro": false, "primeiro_recibo_quebrado": 1});
        assert_eq!(
            (&broken["recibos"], &broken["integro"]),
            (&expected, &json!(true))
        );
    }
}

#[tokio::test]
async fn without_database_2_its_jobs_and_letters_are_not_there() {
    for mut scene in Scene::everywhere().await {
        scene.command.telesales = None;
        for case in ["accepted-pause-telesales", "accepted-history-telesales"] {
            let error = scene.send(case).await.unwrap_err();
            assert!(error.code.starts_with("sem_televendas"), "{}", error.code);
        }
        let error = scene.send("accepted-run-telesales").await.unwrap_err();
        assert!(error.code.starts_with("job_sem_funcao"), "{}", error.code);
        let migrated = scene.send("accepted-migrate").await.unwrap();
        assert_eq!(migrated, json!({"aplicadas": []}));
        let verified = scene.send("accepted-verify").await.unwrap();
        assert!(verified.get("recibos").is_none());
    }
}
