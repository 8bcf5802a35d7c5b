//! Every event file of clean-lake, on every database and a folder.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use clean_lake::CleanLake;
use domain::{
    lake::{ColumnSummary, Table, WrittenFile},
    time::UtcMillis,
};
use files::{FileAddress, Files, FolderFiles, Overwrite};
use lake::Lake;
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, read},
};
use serde_json::{Value, json};
use sql_store::{
    Store, Tx,
    lake::{self as catalogue, Change},
};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "clean-lake";
const BUCKET: &str = "feira-vendas";

/// The files of a test are as old as the test: the job runs days later.
fn now() -> UtcMillis {
    lambda_kit::clock::now().plus_days(5)
}

struct Scene {
    function: CleanLake,
    store: Store,
    lake: Lake,
    _folder: TempDir,
}

impl Scene {
    async fn new(database: &TestDatabase) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let lake = Lake::new(files, BUCKET);
        let path = lake.data_path().unwrap();
        let written = now().minus_days(3);
        catalogue::register(&store, &path, written).await.unwrap();
        let scene = Self {
            function: CleanLake::new(store.clone(), lake.clone(), now),
            store,
            lake,
            _folder: folder,
        };
        for name in ["a", "b", "c"] {
            scene.put(Table::Sales, name).await;
        }
        scene.commit(&["a", "b"], &[], written).await;
        scene.commit(&["c"], &[0], written).await;
        scene.commit(&[], &[1], now()).await;
        scene
    }

    async fn put(&self, table: Table, name: &str) {
        let name = format!("{name}.parquet");
        let mut addresses = vec![self.lake.address(table, &name).unwrap()];
        if table == Table::Sales {
            addresses.push(self.lake.totals_address(&name).unwrap());
        }
        for address in addresses {
            let content = b"x".to_vec();
            let put = self
                .lake
                .files()
                .put(&address, content, "x", Overwrite::Replace);
            put.await.unwrap();
        }
    }

    async fn commit(&self, added: &[&str], ended: &[i64], at: UtcMillis) {
        let added: Vec<WrittenFile> = added.iter().map(|name| file(name)).collect();
        let base = catalogue::newest_snapshot(&self.store).await.unwrap();
        let change = Change {
            added: &added,
            ended,
            note: "a test",
        };
        let base = base.unwrap().id;
        let work = async |tx: &Tx| catalogue::commit(tx, base, &[], change, at).await;
        self.store.transact(work).await.unwrap();
    }

    /// What lies in the lake, without its folder's name.
    async fn keys(&self) -> Vec<String> {
        let page = self
            .lake
            .files()
            .list(BUCKET, "lago/", None, 100)
            .await
            .unwrap();
        let keys = page.files.into_iter().map(|file| file.key);
        keys.map(|key| key.strip_prefix("lago/").unwrap().to_owned())
            .collect()
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        let run = read(&event(FUNCTION, case))?;
        let report = self.function.handle(run, &Invocation::at(now())).await?;
        Ok(serde_json::to_value(report).unwrap())
    }
}

fn file(name: &str) -> WrittenFile {
    let columns = Table::Sales.columns().iter().map(|column| ColumnSummary {
        column: column.name,
        least: None,
        greatest: None,
        nulls: 1,
        size_bytes: 1,
    });
    WrittenFile {
        table: Table::Sales,
        name: format!("{name}.parquet"),
        rows: 1,
        size_bytes: 1,
        footer_bytes: 1,
        columns: columns.collect(),
    }
}

#[tokio::test]
async fn what_ended_a_day_ago_and_what_nobody_committed_goes_and_the_rest_stays() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        scene.put(Table::Sales, "orphan").await;
        scene.put(Table::OrdersWithoutSale, "orphan").await;
        let report = scene.send("accepted-schedule").await.unwrap();
        let label = database.label();
        assert_eq!(report["situacao"], "feito", "{label}");
        let counts = json!({"arquivos_removidos": 1, "orfaos_removidos": 3});
        assert_eq!(report["contagens"], counts, "{label}");
        // b ended just now: who reads an older snapshot needs it for another day.
        assert_eq!(
            scene.keys().await,
            [
                "main/vendas/b.parquet",
                "main/vendas/c.parquet",
                "main/vendas_totais/b.parquet",
                "main/vendas_totais/c.parquet",
                "manifestos/vendas/manifest",
            ],
            "{label}"
        );
        let manifest = FileAddress::new(BUCKET, "lago/manifestos/vendas/manifest").unwrap();
        let list =
            String::from_utf8(scene.lake.files().get(&manifest, 9_999).await.unwrap()).unwrap();
        assert!(list.ends_with("/lago/main/vendas/c.parquet\n"), "{list}");
        assert_eq!(list.lines().count(), 1, "{list}");
        let again = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(again["situacao"], "ja_feito");
        let once_more = scene.send("accepted-date-again").await.unwrap();
        let counts = json!({"arquivos_removidos": 0, "orfaos_removidos": 0});
        assert_eq!(once_more["contagens"], counts, "{label}");
    }
}

#[tokio::test]
async fn a_file_of_a_load_that_is_still_running_stays() {
    for database in databases().await {
        let mut scene = Scene::new(&database).await;
        scene.put(Table::Sales, "fresh").await;
        let clock = || lambda_kit::clock::now().plus_millis(3_600_000);
        scene.function = CleanLake::new(scene.store.clone(), scene.lake.clone(), clock);
        let run = read(&event(FUNCTION, "accepted-schedule")).unwrap();
        let done = scene.function.handle(run, &Invocation::at(clock())).await;
        assert!(done.is_ok());
        let fresh = "main/vendas/fresh.parquet".to_owned();
        assert!(scene.keys().await.contains(&fresh), "{}", database.label());
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field_and_removes_nothing() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let before = scene.keys().await;
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let field = if case.contains("date") {
                    "data"
                } else {
                    "horario"
                };
                let error = scene.send(&case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        assert_eq!(scene.keys().await, before, "{}", database.label());
    }
}
