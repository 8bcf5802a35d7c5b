//! Every event file of run-command, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::fields::BadMessage;
use documents::Documents;
use domain::identity::CustomerId;
use domain::jobs::{MGM_SET_PROMOTERS, SALES_CHECK_QUALITY, SALES_EXPORT};
use domain::lake::SnapshotId;
use domain::time::{Day, UtcMillis};
use lambda_kit::dead_letter::DeadLetter;
use lambda_kit::direct::Handler;
use lambda_kit::{Invocation, InvocationFailed, SealKey};
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Queues, embedded_queue_url};
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand, ShopSettings};
use serde_json::{Value, json};
use sql_store::{
    Store, Tx, customers, jobs,
    sales_export::{Export, note_export},
    sales_loads::{self, FileVersion},
    values,
};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "run-command";
const KEY: [u8; 32] = [7; 32];
/// A bundle without a warehouse.
const JOBS: &str = r#"{"mgm_set_promoters": "f", "vendas_exportar": "g",
    "vendas_verificar_qualidade": "h"}"#;

struct Scene {
    command: RunCommand,
    store: Store,
    queues: Queues,
    _folder: TempDir,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:00:00Z").unwrap()
}

fn fifo(name: &str) -> QueueDefinition {
    QueueDefinition {
        name: name.to_owned(),
        fifo: true,
        deduplicates_content: false,
        visibility_seconds: 60,
        retention_seconds: 86_400,
        delay_seconds: 0,
        redrive: None,
    }
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            let folder = TempDir::new().unwrap();
            let embedded = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
                .await
                .unwrap();
            embedded
                .define(&[fifo("mortas.fifo"), fifo("pedidos.fifo")])
                .await
                .unwrap();
            let queues = Queues::Embedded(embedded);
            let routes = json!({"PedidosDeadLetters":
                [embedded_queue_url("mortas.fifo"), embedded_queue_url("pedidos.fifo")],
                "ClientesDeadLetters": [embedded_queue_url("mortas.fifo"), "clientes"]});
            let command = RunCommand {
                store: store.clone(),
                documents: Documents::in_sql(store.clone()),
                settings: ShopSettings::default(),
                telesales: None,
                queues: queues.clone(),
                seal_key: SealKey::new(&KEY).unwrap(),
                dead_letter_routes: DeadLetterRoutes::parse([routes.to_string().as_str()]).unwrap(),
                invoker: None,
                batches: None,
                job_functions: JobFunctions::parse([JOBS]).unwrap(),
                clock: now,
            };
            let scene = Self {
                command,
                store,
                queues,
                _folder: folder,
                _database: database,
            };
            let applied = scene.send("accepted-migrate").await.unwrap();
            assert!(!applied["aplicadas"].as_array().unwrap().is_empty());
            scenes.push(scene);
        }
        scenes
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        self.command
            .handle(event(FUNCTION, case), &Invocation::at(now()))
            .await
    }

    async fn bury(&self, body: String, group: &str) {
        let id = queues::group_id(&[body.as_bytes()]);
        let letter = OutgoingMessage::fifo(body, group, id);
        let url = embedded_queue_url("mortas.fifo");
        assert!(self.queues.send(&url, &[letter], now().get()).await[0].is_ok());
    }
}

#[tokio::test]
async fn migrating_again_applies_nothing() {
    for scene in Scene::everywhere().await {
        assert_eq!(
            scene.send("accepted-migrate").await.unwrap(),
            json!({"aplicadas": []})
        );
    }
}

#[tokio::test]
async fn a_job_is_paused_resumed_and_its_history_and_backfill_are_told_by_the_ledger() {
    for scene in Scene::everywhere().await {
        let paused = scene.send("accepted-pause").await.unwrap();
        assert_eq!(
            (&paused["pausado"], &paused["mudou"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(scene.send("accepted-pause").await.unwrap()["mudou"], false);
        let resumed = scene.send("accepted-resume").await.unwrap();
        assert_eq!(
            (&resumed["pausado"], &resumed["mudou"]),
            (&json!(false), &json!(true))
        );
        let date = Day::parse("2026-11-18").unwrap();
        let mut run = jobs::start(&scene.store, &MGM_SET_PROMOTERS, date, false, "test", now())
            .await
            .unwrap();
        run.count("promotores", 3);
        run.finish(&scene.store, now()).await.unwrap();
        let history = scene.send("accepted-history").await.unwrap();
        let only = &history["execucoes"][0];
        assert_eq!(
            (&only["data"], &only["situacao"]),
            (&json!("2026-11-18"), &json!("feito"))
        );
        assert_eq!(only["contagens"], json!({"promotores": 3}));
        let plan = scene.send("accepted-backfill-dry-run").await.unwrap();
        assert_eq!(
            plan["datas"],
            json!([
                {"data": "2026-11-17", "antes": "nunca", "inicia": true},
                {"data": "2026-11-18", "antes": "feito", "inicia": false},
                {"data": "2026-11-19", "antes": "nunca", "inicia": true},
            ])
        );
    }
}

#[tokio::test]
async fn a_graph_tells_its_steps_and_starts_the_first_that_is_not_done() {
    for scene in Scene::everywhere().await {
        let words = |answer: &Value| -> Vec<String> {
            let steps = answer["etapas"].as_array().unwrap().iter();
            steps
                .map(|step| format!("{}: {}", step["etapa"].as_str().unwrap(), step["situacao"]))
                .collect()
        };
        let date = Day::parse("2026-11-19").unwrap();
        let told = scene.send("accepted-graph").await.unwrap();
        assert_eq!(
            (&told["grafo"], &told["data"]),
            (&json!("pipeline_ecommerce"), &json!("2026-11-19"))
        );
        let expected = [
            "vendas_exportar: \"nunca\"",
            "carga: \"nada_exportado\"",
            "vendas_verificar_qualidade: \"nunca\"",
            "vendas_sincronizar_armazem: \"sem_funcao\"",
        ];
        assert_eq!(words(&told), expected);
        assert_eq!(told["iniciada"], Value::Null);
        // What would be started shows by the failure: here is no Lambda to ask.
        let starts = scene.send("accepted-run-graph").await.unwrap_err();
        assert!(starts.code.starts_with("job_sem_funcao"), "{}", starts.code);

        let run = jobs::start(&scene.store, &SALES_EXPORT, date, false, "t", now()).await;
        let run = run.unwrap();
        let running = scene.send("accepted-run-graph").await.unwrap();
        assert_eq!(running["iniciada"], Value::Null, "it is running already");
        run.finish(&scene.store, now()).await.unwrap();
        let file = FileVersion {
            bucket: "feira-vendas".to_owned(),
            key: "vendas/exportadas/2026-11-19.csv".to_owned(),
            modified_ms: 5,
            etag: "e".to_owned(),
            size_bytes: 1,
        };
        let export = Export {
            sha256: "0".to_owned(),
            lines_written: 1,
            orders_written: 1,
        };
        let noted = note_export(&scene.store, date, &export, &file, now()).await;
        noted.unwrap();
        let waiting = scene.send("accepted-run-graph").await.unwrap();
        assert_eq!(
            words(&waiting)[..2],
            ["vendas_exportar: \"feito\"", "carga: \"pendente\""]
        );
        assert_eq!(waiting["iniciada"], Value::Null, "the load comes first");

        let load = sales_loads::begin(&scene.store, &file, now())
            .await
            .unwrap();
        let report = sales_loads::Report {
            counts: sales_loads::LoadCounts::default(),
            quarantine_key: None,
            json: "{}",
        };
        let finish = async |tx: &Tx| {
            sales_loads::finish(tx, load.number, report, SnapshotId(1), now()).await
        };
        scene.store.transact(finish).await.unwrap();
        let told = scene.send("accepted-graph").await.unwrap();
        assert_eq!(words(&told)[1], "carga: \"carregada\"");
        let starts = scene.send("accepted-run-graph").await.unwrap_err();
        assert!(starts.code.starts_with("job_sem_funcao"), "{}", starts.code);
        let check = jobs::start(&scene.store, &SALES_CHECK_QUALITY, date, false, "t", now()).await;
        check.unwrap().finish(&scene.store, now()).await.unwrap();
        let done = scene.send("accepted-run-graph").await.unwrap();
        assert_eq!(done["iniciada"], Value::Null, "all of it is done");
    }
}

#[tokio::test]
async fn without_a_lambda_to_ask_no_job_is_started() {
    for scene in Scene::everywhere().await {
        for case in ["accepted-run", "accepted-run-again", "accepted-backfill"] {
            let error = scene.send(case).await.unwrap_err();
            assert!(
                error.code.starts_with("job_sem_funcao"),
                "{case}: {}",
                error.code
            );
        }
        let history = scene.send("accepted-history").await.unwrap();
        assert_eq!(history["execucoes"], json!([]));
    }
}

#[tokio::test]
async fn dead_letters_go_back_as_they_were_and_what_no_key_opens_stays() {
    for scene in Scene::everywhere().await {
        let seal = |key: &[u8], content: &str| {
            let (key, why) = (SealKey::new(key).unwrap(), BadMessage::NOT_JSON);
            let group = Some("cliente-1");
            DeadLetter::seal(&key, "f", "m1", group, &why, content.as_bytes(), now()).unwrap()
        };
        let sealed = serde_json::to_string(&seal(&KEY, "{\"id_pedido\":")).unwrap();
        scene.bury(sealed, "sealed").await;
        scene
            .bury("{\"id_pedido\":\"p2\"}".to_owned(), "cliente-2")
            .await;
        scene
            .bury(
                serde_json::to_string(&seal(&[8; 32], "{}")).unwrap(),
                "other",
            )
            .await;
        let answer = scene.send("accepted-replay").await.unwrap();
        assert_eq!(
            answer,
            json!({"reenviadas": 2, "nao_abertas": 1, "recusadas": 0})
        );
        let url = embedded_queue_url("pedidos.fifo");
        let mut back = scene.queues.receive(&url, 10, now().get()).await.unwrap();
        back.sort_by(|a, b| a.message_group_id.cmp(&b.message_group_id));
        let back: Vec<(&str, &str)> = back
            .iter()
            .map(|m| (m.message_group_id.as_deref().unwrap(), m.body.as_str()))
            .collect();
        let expected = [
            ("cliente-1", "{\"id_pedido\":"),
            ("cliente-2", "{\"id_pedido\":\"p2\"}"),
        ];
        assert_eq!(back, expected);
        let left = scene
            .queues
            .counts(&embedded_queue_url("mortas.fifo"), now().get())
            .await;
        assert_eq!(
            left.unwrap().in_flight,
            1,
            "what could not be opened is not lost"
        );
    }
}

#[tokio::test]
async fn a_message_buried_in_parts_goes_back_whole_and_a_lone_part_stays() {
    for scene in Scene::everywhere().await {
        let key = SealKey::new(&KEY).unwrap();
        let content = "x".repeat(500_000);
        let why = BadMessage::NOT_JSON;
        for (id, lost) in [("m1", None), ("m2", Some(1))] {
            let content = content.as_bytes();
            let group = Some("cliente-1");
            let letters =
                DeadLetter::seal_in_parts(&key, "f", id, group, &why, content, now()).unwrap();
            // The last part first: their order does not matter.
            for (place, letter) in letters.iter().enumerate().rev() {
                if lost != Some(place) {
                    let body = serde_json::to_string(letter).unwrap();
                    scene.bury(body, &format!("{id}-{place}")).await;
                }
            }
        }
        let answer = scene.send("accepted-replay").await.unwrap();
        assert_eq!(
            answer,
            json!({"reenviadas": 1, "nao_abertas": 2, "recusadas": 0})
        );
        let url = embedded_queue_url("pedidos.fifo");
        let back = scene.queues.receive(&url, 10, now().get()).await.unwrap();
        assert_eq!(back.len(), 1);
        assert!(back[0].body == content, "it is the message as it was");
        assert_eq!(back[0].message_group_id.as_deref(), Some("cliente-1"));
    }
}

#[tokio::test]
async fn records_of_customers_are_taken_over_and_a_bad_one_stays() {
    for scene in Scene::everywhere().await {
        let key = SealKey::new(&KEY).unwrap();
        for (offset, value) in [(1, "{\"id_cliente\":\"c1\"}"), (2, "{\"id_cliente\":")] {
            let record = json!({"topic": "clientes", "partition": 0, "offset": offset,
                "timestamp": 0, "value": STANDARD.encode(value)});
            let (why, content) = (BadMessage::NOT_JSON, record.to_string());
            let id = format!("clientes-0@{offset}");
            let letter =
                DeadLetter::seal(&key, "f", &id, None, &why, content.as_bytes(), now()).unwrap();
            scene
                .bury(serde_json::to_string(&letter).unwrap(), &id)
                .await;
        }
        let answer = scene.send("accepted-replay-customers").await.unwrap();
        assert_eq!(
            answer,
            json!({"reenviadas": 1, "nao_abertas": 0, "recusadas": 1})
        );
        let id = CustomerId::parse("c1").unwrap();
        let load = async |tx: &Tx| customers::load(tx, &id).await;
        assert!(scene.store.transact(load).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_verification_tells_the_first_broken_link() {
    for scene in Scene::everywhere().await {
        let whole = scene.send("accepted-verify").await.unwrap();
        assert_eq!(
            (&whole["integro"], &whole["cadeias"]),
            (&json!(true), &json!(0))
        );
        let sql = "INSERT INTO audit_log (entity, entity_id, version, changed_ms, event, details, \
                   previous_hash, hash) VALUES ('voucher', 'V1', 1, 0, 'x', '{}', '', 'h')";
        scene
            .store
            .transact(async |tx: &Tx| tx.execute(sql, values![]).await)
            .await
            .unwrap();
        let broken = scene.send("accepted-verify").await.unwrap();
        assert_eq!(broken["integro"], false);
        let first = &broken["primeiro_elo_quebrado"];
        assert_eq!((&first["id"], &first["versao"]), (&json!("V1"), &json!(1)));
    }
}

#[tokio::test]
async fn every_refused_command_names_its_field() {
    for scene in Scene::everywhere().await {
        for case in event_cases(FUNCTION) {
            let field = match case.as_str() {
                "refused-unknown-command" => "comando",
                "refused-unknown-job" => "job",
                "refused-unknown-graph" => "grafo",
                "refused-wrong-date" => "data",
                "refused-range-backwards" => "ate",
                "refused-unknown-queue" => "fila",
                "refused-too-many" => "maximo",
                "refused-decision" => "decisao",
                other => {
                    assert!(other.starts_with("accepted-"), "{other}");
                    continue;
                }
            };
            let error = scene.send(&case).await.unwrap_err();
            assert!(
                error.code.starts_with(&format!("campo_invalido: {field} ")),
                "{}",
                error.code
            );
        }
    }
}
