//! Commands about customers whose master Feira is, and about events that were kept aside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;

use contracts::{envelope::Message, events::read};
use documents::Documents;
use domain::{customers::Profile, identity::CustomerId, time::UtcMillis};
use lambda_kit::{Invocation, SealKey, direct::Handler};
use mongodb::{Client, bson::Document, bson::doc};
use queues::{EmbeddedQueues, QueueDefinition, Queues, embedded_queue_url};
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand, ShopSettings};
use secrets::Stage;
use serde_json::{Value, json};
use sql_store::{
    Store, customers,
    events::{Batch, EventKey, Incoming, commit, sort},
    outbox::{SHARDS, unsent},
};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event};

const FUNCTION: &str = "run-command";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

struct Scene {
    command: RunCommand,
    queues: EmbeddedQueues,
    _folder: TempDir,
    _database: TestDatabase,
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let folder = TempDir::new().unwrap();
            let file = folder.path().join("filas.sqlite");
            let queues = EmbeddedQueues::open(&file).await.unwrap();
            let queue = QueueDefinition::new("Eventos");
            queues.define(&[queue]).await.unwrap();
            let command = RunCommand {
                documents: Documents::in_sql(store.clone()),
                store,
                settings: ShopSettings {
                    owns_customers: true,
                    events_queue_url: embedded_queue_url("Eventos"),
                },
                telesales: None,
                queues: Queues::Embedded(queues.clone()),
                seal_key: SealKey::new(&[7; 32]).unwrap(),
                dead_letter_routes: DeadLetterRoutes::parse(["{}"]).unwrap(),
                invoker: None,
                batches: None,
                job_functions: JobFunctions::parse(["{}"]).unwrap(),
                clock: now,
            };
            scenes.push(Self {
                command,
                queues,
                _folder: folder,
                _database: database,
            });
        }
        scenes
    }

    async fn send(&self, payload: Value) -> Result<Value, String> {
        let invocation = Invocation::at(now());
        let answer = self.command.handle(payload, &invocation);
        answer.await.map_err(|failed| failed.code)
    }

    /// Ingests an event of this user under this id.
    async fn ingest(&self, id: &str, user: &str) {
        let event = json!({"id_usuario": user, "tipo_evento": "clique", "id_produto": "p",
            "timestamp": "2026-11-21T11:59:00Z", "id_evento": id});
        let message = Message::open(&event.to_string()).unwrap();
        let incoming = [Incoming {
            key: EventKey::of(&format!("e/{id}")),
            event: read(&message.fields).unwrap(),
        }];
        let store = &self.command.store;
        let sorted = sort(store, &incoming).await.unwrap();
        let batch = Batch {
            incoming: &incoming,
            sorted: &sorted,
            profiles: &BTreeMap::new(),
            file: None,
            logs_clicks: true,
        };
        commit(store, &batch, now()).await.unwrap();
    }

    async fn conflicts(&self) -> Vec<Value> {
        let answer = self.send(event(FUNCTION, "accepted-conflicts")).await;
        answer.unwrap()["conflitos"].as_array().unwrap().clone()
    }

    /// Types and keys of what waits in the outbox.
    async fn announced(&self) -> Vec<(String, i64)> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let types = ["cliente.alterado"];
            let none = Default::default();
            let waiting = unsent(&self.command.store, shard, &types, &none, 100).await;
            let waiting = waiting.unwrap().into_iter();
            all.extend(waiting.map(|event| (event.aggregate_key, event.version)));
        }
        all.sort();
        all
    }
}

#[tokio::test]
async fn an_event_that_was_kept_aside_is_listed_and_taken_or_discarded() {
    for scene in Scene::everywhere().await {
        for (id, user) in [("e1", "ana"), ("e1", "rui"), ("e2", "eva"), ("e2", "leo")] {
            scene.ingest(id, user).await;
        }
        let aside = scene.conflicts().await;
        let mut users: Vec<&str> = aside
            .iter()
            .map(|one| one["evento"]["id_usuario"].as_str().unwrap())
            .collect();
        users.sort_unstable();
        assert_eq!(users, ["leo", "rui"]);
        let first = json!({"comando": "conflitos", "limite": 1});
        let page = scene.send(first).await.unwrap();
        assert_eq!(page["ha_mais"], true);
        let after = page["conflitos"][0]["id_conflito"].clone();
        let next = json!({"comando": "conflitos", "depois_de": after});
        let page = scene.send(next).await.unwrap();
        assert_eq!(page["conflitos"], json!([aside[1]]));

        let settle = |place: usize, decision: &str| {
            let id = aside[place]["id_conflito"].clone();
            scene.send(json!({"comando": "resolver_conflito", "id_conflito": id,
                "decisao": decision}))
        };
        settle(0, "aceitar").await.unwrap();
        settle(1, "descartar").await.unwrap();
        assert!(scene.conflicts().await.is_empty());
        let gone = settle(0, "aceitar").await.unwrap_err();
        assert!(gone.contains("id_conflito"), "{gone}");
        let url = embedded_queue_url("Eventos");
        let queued = scene.queues.peek(&url, 10).await.unwrap();
        assert_eq!(queued.len(), 1);
        let taken: Value = serde_json::from_str(&queued[0].body).unwrap();
        assert_eq!(taken, aside[0]["evento"]);
        let id = aside[0]["id_conflito"].as_str().unwrap();
        assert_eq!(taken["id_evento"], format!("conflito-{id}"));
        Message::open(&queued[0].body).unwrap();
    }
}

#[tokio::test]
async fn an_event_that_no_queue_takes_stays_aside() {
    let mut scene = Scene::everywhere().await.remove(0);
    scene.command.settings.events_queue_url = embedded_queue_url("Falta");
    for user in ["ana", "rui"] {
        scene.ingest("e1", user).await;
    }
    let id = scene.conflicts().await[0]["id_conflito"].clone();
    let settle = json!({"comando": "resolver_conflito", "id_conflito": id, "decisao": "aceitar"});
    assert_eq!(scene.send(settle).await, Err("fila_falhou".to_owned()));
    assert_eq!(scene.conflicts().await.len(), 1);
}

#[tokio::test]
async fn customers_are_published_and_deleted_where_feira_is_their_master() {
    for mut scene in Scene::everywhere().await {
        for id in ["ana", "rui"] {
            let id = CustomerId::parse(id).unwrap();
            let profile = Profile::default();
            customers::change(&scene.command.store, &id, Some(&profile), now())
                .await
                .unwrap();
        }
        let delete = event(FUNCTION, "accepted-delete-customer");
        let answer = scene.send(delete.clone()).await.unwrap();
        assert_eq!(
            answer,
            json!({"id_cliente": "ana", "apagado": true, "versao": 2})
        );
        assert_eq!(scene.send(delete.clone()).await.unwrap()["apagado"], false);
        let publish = event(FUNCTION, "accepted-publish-customers");
        let answer = scene.send(publish.clone()).await.unwrap();
        assert_eq!(answer, json!({"publicados": 2, "ha_mais": false}));
        let one = json!({"comando": "publicar_clientes", "maximo": 1});
        let answer = scene.send(one).await.unwrap();
        let expected = json!({"publicados": 1, "ha_mais": true, "depois_de": "ana"});
        assert_eq!(answer, expected);
        let expected = [
            ("ana", 1),
            ("ana", 2),
            ("ana", 2),
            ("ana", 2),
            ("rui", 1),
            ("rui", 1),
        ];
        let expected = expected.map(|(id, version)| (format!("cliente/{id}"), version));
        assert_eq!(scene.announced().await, expected);

        scene.command.settings.owns_customers = false;
        for payload in [delete, publish] {
            let refused = scene.send(payload).await.unwrap_err();
            assert!(refused.starts_with("outro_mestre"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_deleted_customers_documents_go_too_and_again_where_that_had_failed() {
    let Some(uri) = testkit::mongodb() else {
        return;
    };
    let mut scene = Scene::everywhere().await.remove(0);
    let store = scene.command.store.clone();
    let documents = Documents::in_mongodb(store.clone(), &uri, Stage::Dev).await;
    let documents = documents.unwrap();
    let id = CustomerId::parse("ana").unwrap();
    customers::change(&store, &id, Some(&Profile::default()), now())
        .await
        .unwrap();
    let mongodb = Client::with_uri_str(&uri).await.unwrap();
    let mongodb = mongodb.default_database().unwrap();
    let clicks = mongodb.collection::<Document>("cliques");
    clicks
        .insert_many([doc! {"id_usuario": "ana"}, doc! {"id_usuario": "rui"}])
        .await
        .unwrap();

    let away = testkit::unreachable_mongodb("segredo", "segredo");
    let away = Documents::in_mongodb(store, &away, Stage::Dev).await;
    scene.command.documents = away.unwrap();
    let delete = event(FUNCTION, "accepted-delete-customer");
    let failed = scene.send(delete.clone()).await.unwrap_err();
    assert_eq!(failed, "documentos_falharam: MongoDB is not reachable");
    scene.command.documents = documents;
    assert_eq!(scene.send(delete).await.unwrap()["apagado"], false);
    let left = clicks.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(left.get_str("id_usuario").unwrap(), "rui");
    assert_eq!(clicks.count_documents(doc! {}).await.unwrap(), 1);

    let migrated = scene.send(json!({"comando": "migrar"})).await.unwrap();
    assert_eq!(migrated["aplicadas"], json!([]));
    let indexes = clicks.list_index_names().await.unwrap();
    assert_eq!(indexes.len(), 3);
}
