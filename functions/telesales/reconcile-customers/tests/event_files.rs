//! Every event file of reconcile-customers, on every database that there is, by view and by file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use contracts::changes::Change;
use domain::changes::{Place, Stamp};
use domain::identity::CustomerId;
use domain::personal::{PersonName, Phone, Region};
use domain::pseudonym::PseudonymKey;
use domain::telesales::Contact;
use domain::time::UtcMillis;
use files::{FileAddress, Files, FolderFiles, Overwrite};
use lambda_kit::schedule::{Handler, read};
use lambda_kit::{Invocation, InvocationFailed};
use reconcile_customers::{Origin, ReconcileCustomers, SnapshotFile, limits};
use serde_json::{Value, json};
use sql_store::migrate::{TELESALES, migrate_by};
use sql_store::projection::ProjectionTable;
use sql_store::telesales::source::SqlView;
use sql_store::{Store, StoreError, Tx, telesales::CONSUMER, values};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "reconcile-customers";
const PLACE: &str = "empresa/clientes/hoje.ndjson";
const QUERY: &str = "SELECT id AS id_cliente, rev AS versao, nome, telefone, uf AS regiao, \
    aceita AS consentimento FROM pessoas WHERE id > ? ORDER BY id LIMIT ?";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T05:30:00Z").unwrap()
}

/// Before what a view may miss.
fn earlier() -> UtcMillis {
    now().plus_millis(-600_000)
}

fn pseudonyms() -> PseudonymKey {
    PseudonymKey::new(&[9; 32]).unwrap()
}

struct Scene {
    store: Store,
    /// The company's database.
    company: Store,
    folder: TempDir,
    _databases: [TestDatabase; 2],
}

impl Scene {
    /// Database 2 knows ana (of an old version), bia and 20 others; the source comes by the test.
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        let pairs = databases().await.into_iter().zip(databases().await);
        for (database, company) in pairs {
            let store = Store::open(database.url()).await.unwrap();
            migrate_by(&store, &TELESALES, earlier()).await.unwrap();
            let table = ProjectionTable::new(store.clone(), pseudonyms(), CONSUMER);
            let others = (10..30).map(|number| format!("cli-{number}"));
            let all = ["cli-ana".to_owned(), "cli-bia".to_owned()].into_iter();
            let changes: Vec<_> = all.chain(others).map(|id| change(&id)).collect();
            table.apply(&changes, earlier()).await.unwrap();
            let company_store = Store::open(company.url()).await.unwrap();
            let sql = "CREATE TABLE pessoas (id VARCHAR(20) PRIMARY KEY, rev BIGINT, \
                       nome VARCHAR(200), telefone VARCHAR(30), uf VARCHAR(2), aceita INTEGER)";
            execute(&company_store, sql, values![]).await;
            scenes.push(Self {
                store,
                company: company_store,
                folder: TempDir::new().unwrap(),
                _databases: [database, company],
            });
        }
        scenes
    }

    /// The customers that database 2 should know.
    fn right() -> Vec<Value> {
        let mut rows: Vec<Value> = (10..30)
            .map(|number| row(&format!("cli-{number}"), 1))
            .collect();
        rows.push(row("cli-ana", 2));
        let mut without = row("cli-bia", 2);
        without["consentimentos"]["televendas"] = json!(false);
        rows.push(without);
        rows.push(row("cli-nova", 1));
        let mut unreachable = row("cli-sem", 1);
        unreachable["telefone"] = json!("12345");
        rows.push(unreachable);
        rows
    }

    async fn fill_view(&self, rows: &[Value]) {
        for row in rows {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let agrees = row["consentimentos"]["televendas"].as_bool().unwrap();
            let all = values![
                text("id_cliente"),
                row["versao"].as_i64().unwrap(),
                text("nome"),
                text("telefone"),
                text("regiao"),
                i32::from(agrees),
            ];
            let sql = "INSERT INTO pessoas VALUES (?, ?, ?, ?, ?, ?)";
            execute(&self.company, sql, all).await;
        }
    }

    fn view(&self, query: &str) -> Origin {
        Origin::View(SqlView::new(self.company.clone(), query, now).unwrap())
    }

    async fn file(&self, content: &str) -> Origin {
        let files = Files::Folder(FolderFiles::open(self.folder.path()).unwrap());
        let (bucket, key) = PLACE.split_once('/').unwrap();
        let address = FileAddress::new(bucket, key).unwrap();
        let (bytes, kind) = (content.as_bytes().to_vec(), "application/x-ndjson");
        files
            .put(&address, bytes, kind, Overwrite::Replace)
            .await
            .unwrap();
        Origin::File(SnapshotFile::new(files, PLACE).unwrap())
    }

    async fn send(&self, origin: Origin, case: &str) -> Result<Value, InvocationFailed> {
        let run = read(&event(FUNCTION, case))?;
        let limits = limits(None).unwrap();
        let store = self.store.clone();
        let function = ReconcileCustomers::new(store, pseudonyms(), origin, limits, now);
        let report = function.handle(run, &Invocation::at(now())).await?;
        Ok(serde_json::to_value(report).unwrap())
    }

    async fn contacts(&self) -> usize {
        let sql = "SELECT subject FROM contacts WHERE deleted = 0";
        let work = async |tx: &Tx| tx.all::<Value>(sql, values![]).await;
        let rows = self.store.transact::<_, StoreError, _>(work).await;
        rows.unwrap().len()
    }
}

async fn execute(store: &Store, sql: &str, values: Vec<sql_store::Value>) {
    let work = async |tx: &Tx| tx.execute(sql, values.clone()).await.map(|_| ());
    store.transact::<_, StoreError, _>(work).await.unwrap();
}

fn change(customer: &str) -> Change<Contact> {
    Change {
        customer: CustomerId::parse(customer).unwrap(),
        stamp: Stamp {
            version: Some(1),
            place: Place {
                partition: 0,
                offset: 0,
                recorded: earlier(),
            },
        },
        row: Some(Contact {
            name: PersonName::parse("Ana Lima").unwrap(),
            phone: Phone::parse("11 96416-6764").unwrap(),
            region: Region::parse("SP").unwrap(),
        }),
    }
}

fn row(customer: &str, version: i64) -> Value {
    json!({"id_cliente": customer, "versao": version, "nome": "Ana Lima", "cpf": "52998224725",
        "telefone": "+5511964166764", "regiao": "SP", "consentimentos": {"televendas": true}})
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[tokio::test]
async fn a_view_and_a_file_repair_alike_and_the_date_is_done_once() {
    for scene in Scene::everywhere().await {
        let mut rows = Scene::right();
        rows.sort_by_key(|row| row["id_cliente"].as_str().unwrap().to_owned());
        scene.fill_view(&rows).await;
        let report = scene.send(scene.view(QUERY), "accepted-schedule").await;
        let counts = json!({"origem": 24, "faltando": 1, "desatualizados": 1, "sobrando": 1});
        assert_eq!(report.unwrap()["contagens"], counts);
        assert_eq!(scene.contacts().await, 22);
        let again = scene.send(scene.view(QUERY), "accepted-schedule").await;
        assert_eq!(again.unwrap()["situacao"], "ja_feito");
        let file = scene.file(&lines(&rows)).await;
        let told = scene.send(file, "accepted-date-again").await.unwrap();
        let nothing = json!({"origem": 24, "faltando": 0, "desatualizados": 0, "sobrando": 0});
        assert_eq!(told["contagens"], nothing);
        assert_eq!(scene.contacts().await, 22);
    }
}

#[tokio::test]
async fn a_source_in_doubt_deletes_nothing_and_says_why() {
    for scene in Scene::everywhere().await {
        let few = lines(&[row("cli-10", 1)]);
        let backwards = lines(&[row("cli-b", 1), row("cli-a", 1)]);
        let mut unversioned = row("cli-a", 1);
        unversioned.as_object_mut().unwrap().remove("versao");
        let mut nameless = row("cli-a", 1);
        nameless.as_object_mut().unwrap().remove("nome");
        let huge = format!("{}\n", "x".repeat(2_000_000));
        for (content, code) in [
            ("", "origem_vazia"),
            ("\n\n", "origem_vazia"),
            (few.as_str(), "exclusoes_demais"),
            (&backwards, "origem_sem_ordem"),
            (&lines(&[unversioned]), "origem_sem_versao"),
            (&lines(&[nameless]), "origem_ilegivel"),
            ("{\"id_cliente\":\n", "origem_ilegivel"),
            (&huge, "origem_ilegivel"),
        ] {
            let origin = scene.file(content).await;
            let failed = scene.send(origin, "accepted-date-again").await.unwrap_err();
            assert_eq!(failed.code, code);
            assert_eq!(scene.contacts().await, 22, "{code}");
        }
        let files = || Files::Folder(FolderFiles::open(scene.folder.path()).unwrap());
        let absent = Origin::File(SnapshotFile::new(files(), "empresa/outro").unwrap());
        let broken = scene.view("SELECT x FROM nada WHERE id > ? LIMIT ?");
        let away = Store::open("mysql://nobody@127.0.0.1:1/none")
            .await
            .unwrap();
        let away = Origin::View(SqlView::new(away, QUERY, now).unwrap());
        for (origin, code) in [
            (absent, "origem_ausente"),
            (broken, "origem_recusou"),
            (away, "origem_inacessivel"),
            (Origin::Unset, "origem_nao_configurada"),
            (scene.view(QUERY), "origem_vazia"),
        ] {
            let failed = scene.send(origin, "accepted-schedule").await.unwrap_err();
            assert_eq!(failed.code, code);
            assert_eq!(scene.contacts().await, 22, "{code}");
        }
    }
}

#[tokio::test]
async fn a_file_tells_of_when_it_was_written_and_an_old_one_of_nothing() {
    for scene in Scene::everywhere().await {
        let rows: Vec<Value> = Scene::right();
        let mut rows: Vec<Value> = rows.into_iter().filter(|row| row["versao"] == 1).collect();
        rows.sort_by_key(|row| row["id_cliente"].as_str().unwrap().to_owned());
        let path = scene.folder.path().join(PLACE);
        let written = async |hours: u64| {
            let origin = scene.file(&lines(&rows)).await;
            let now = u64::try_from(now().get()).unwrap() / 1_000;
            let time = UNIX_EPOCH + Duration::from_secs(now - hours * 3_600);
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
            scene.send(origin, "accepted-date-again").await
        };
        assert_eq!(written(49).await.unwrap_err().code, "origem_velha");
        assert_eq!(
            scene.contacts().await,
            22,
            "not even what is missing is repaired"
        );
        // ana and bia, whom it lacks, came after it, or while it was written.
        let told = written(1).await.unwrap();
        assert_eq!(told["contagens"]["sobrando"], 0);
        assert_eq!(scene.contacts().await, 23);
    }
}

#[tokio::test]
async fn a_view_of_a_replica_that_is_behind_neither_revives_nor_deletes() {
    for scene in Scene::everywhere().await {
        let just_now = now().plus_millis(-30_000);
        let mut gone = change("cli-bia");
        gone.row = None;
        let mut came = change("cli-veio");
        for change in [&mut gone, &mut came] {
            change.stamp.place.offset = 9;
            change.stamp.place.recorded = just_now;
        }
        gone.stamp.version = None;
        let table = ProjectionTable::new(scene.store.clone(), pseudonyms(), CONSUMER);
        table.apply(&[gone, came], just_now).await.unwrap();
        // It has news of bia that the stream has not told, and has not heard of her end.
        let ids = ["cli-ana".to_owned(), "cli-bia".to_owned()].into_iter();
        let others = (10..30).map(|number| format!("cli-{number}"));
        let mut rows: Vec<Value> = ids.chain(others).map(|id| row(&id, 1)).collect();
        rows.sort_by_key(|row| row["id_cliente"].as_str().unwrap().to_owned());
        for row in &mut rows {
            if row["id_cliente"] == "cli-bia" {
                row["versao"] = json!(2);
            }
        }
        scene.fill_view(&rows).await;
        let report = scene.send(scene.view(QUERY), "accepted-schedule").await;
        let nothing = json!({"origem": 22, "faltando": 0, "desatualizados": 0, "sobrando": 0});
        assert_eq!(report.unwrap()["contagens"], nothing);
        assert_eq!(scene.contacts().await, 22, "all but bia, and who came");
    }
}

#[tokio::test]
async fn ids_that_are_numbers_are_read_as_texts_and_a_view_may_hold_only_who_agreed() {
    const NUMBERS: &str = "SELECT CAST(id AS CHAR) AS id_cliente, rev AS versao, nome, telefone, \
        NULL AS regiao FROM numeros WHERE CAST(id AS CHAR) > ? ORDER BY CAST(id AS CHAR) LIMIT ?";
    for scene in Scene::everywhere().await {
        let sql = "CREATE TABLE numeros (id INTEGER PRIMARY KEY, rev INTEGER, nome VARCHAR(50), \
                   telefone VARCHAR(30))";
        execute(&scene.company, sql, values![]).await;
        for id in [9, 10, 100] {
            let sql = "INSERT INTO numeros VALUES (?, 1, 'Bia Reis', '21 3222-1234')";
            execute(&scene.company, sql, values![id]).await;
        }
        // All that it knew is extra now: too much to delete, but the new ones are there.
        let failed = scene.send(scene.view(NUMBERS), "accepted-schedule").await;
        assert_eq!(failed.unwrap_err().code, "exclusoes_demais");
        assert_eq!(scene.contacts().await, 25);
        let by_number = NUMBERS.replace("ORDER BY CAST(id AS CHAR)", "ORDER BY id");
        let failed = scene
            .send(scene.view(&by_number), "accepted-schedule")
            .await;
        assert_eq!(failed.unwrap_err().code, "origem_sem_ordem");
    }
}

#[tokio::test]
async fn settings_that_are_none_are_refused() {
    for percent in ["-1", "101", "cinco", "5%"] {
        assert!(limits(Some(percent)).is_err(), "{percent}");
    }
    assert_eq!(limits(Some("0")).unwrap().deleted_percent, 0);
    assert_eq!(limits(None).unwrap().deleted_percent, 5);
    let folder = TempDir::new().unwrap();
    for place in ["", "empresa", "empresa/", "/x", "empresa/../x"] {
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        assert!(SnapshotFile::new(files, place).is_err(), "{place}");
    }
    let store = Store::open("mysql://nobody@127.0.0.1:1/none")
        .await
        .unwrap();
    for query in [
        "",
        "SELECT 1",
        "SELECT a FROM b WHERE c > ?",
        "DELETE FROM b WHERE c > ? LIMIT ?",
        "SELECT a FROM b WHERE c > ? LIMIT ?; DROP TABLE b",
    ] {
        assert!(SqlView::new(store.clone(), query, now).is_err(), "{query}");
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field_and_changes_nothing() {
    for scene in Scene::everywhere().await {
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let is_date = case.contains("date");
                let field = if is_date { "data" } else { "horario" };
                let error = scene.send(Origin::Unset, &case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        assert_eq!(scene.contacts().await, 22);
    }
}
