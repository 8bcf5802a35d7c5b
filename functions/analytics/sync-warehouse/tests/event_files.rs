//! Every event file of sync-warehouse, on PostgreSQL in Redshift's place.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::jobs::{SALES_CHECK_QUALITY, SALES_EXPORT};
use domain::lake::{ColumnSummary, DataFile, Table, WrittenFile};
use domain::time::UtcMillis;
use files::{FileAddress, Files, FolderFiles};
use lambda_kit::schedule::{Handler, read};
use lambda_kit::{Invocation, InvocationFailed};
use serde_json::{Value, json};
use sql_store::{
    Store, Tx, jobs,
    lake::{self, Change},
};
use sync_warehouse::{CopyByManifest, SyncWarehouse};
use tempfile::TempDir;
use testkit::{databases, event, event_cases, postgres_schema};
use warehouse::{
    Tls, Warehouse, WarehouseError, sales,
    sync::{LoadStep, Statements},
};

const FUNCTION: &str = "sync-warehouse";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T08:00:00Z").unwrap()
}

/// INSERT of one row a file, in the place of COPY.
struct OneRow;

impl LoadStep for OneRow {
    fn create_statement(&self, statement: &str) -> String {
        testkit::without_redshift_keys(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        _: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        for file in files {
            let row = format!(
                "INSERT INTO {staging} VALUES ('{}', 'p1', 2, 10.00, '2026-11-19 15:00:00', 'SP', \
                 NULL, '2026-11-19', 1, 1)",
                file.name
            );
            database.run(&row).await?;
        }
        Ok(())
    }
}

/// A lake with two files of `vendas`.
async fn lake_of_two_files(url: &str) -> Store {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    lake::register(&store, "s3://feira-vendas/lago/", now())
        .await
        .unwrap();
    let base = lake::newest_snapshot(&store).await.unwrap().unwrap().id;
    let added: Vec<WrittenFile> = ["A.parquet", "B.parquet"].map(written).to_vec();
    let commit = async |tx: &Tx| {
        let change = Change {
            added: &added,
            ended: &[],
            note: "two files",
        };
        lake::commit(tx, base, &[Table::Sales], change, now()).await
    };
    store.transact(commit).await.unwrap();
    for job in [SALES_EXPORT, SALES_CHECK_QUALITY] {
        let date = now().day();
        let run = jobs::start(&store, &job, date, false, "test", now()).await;
        run.unwrap().finish(&store, now()).await.unwrap();
    }
    store
}

fn written(name: &str) -> WrittenFile {
    let columns = Table::Sales.columns().iter().map(|column| ColumnSummary {
        column: column.name,
        least: None,
        greatest: None,
        nulls: 1,
        size_bytes: 8,
    });
    WrittenFile {
        table: Table::Sales,
        name: name.to_owned(),
        rows: 1,
        size_bytes: 100,
        footer_bytes: 10,
        columns: columns.collect(),
    }
}

async fn send<S: LoadStep>(
    function: &SyncWarehouse<S>,
    case: &str,
) -> Result<Value, InvocationFailed> {
    let run = read(&event(FUNCTION, case))?;
    let report = function.handle(run, &Invocation::at(now())).await?;
    Ok(serde_json::to_value(report).unwrap())
}

#[tokio::test]
async fn the_schedule_brings_each_file_once() {
    for database in databases().await {
        let Some(url) = postgres_schema().await else {
            return;
        };
        let store = lake_of_two_files(database.url()).await;
        let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
        let function = SyncWarehouse::new(store, warehouse, OneRow, now);
        let report = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], "feito", "{}", database.label());
        assert_eq!(report["contagens"]["arquivos_novos"], 2);
        assert_eq!(report["contagens"]["linhas_inseridas"], 2);
        let again = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(again["situacao"], "ja_feito");
        let once_more = send(&function, "accepted-date-again").await.unwrap();
        let nothing = json!({"arquivos_novos": 0, "arquivos_encerrados": 0, "linhas_apagadas": 0,
            "linhas_inseridas": 0});
        assert_eq!(once_more["contagens"], nothing);
        let held = Warehouse::open(&url, Tls::Never).unwrap();
        assert!(sales::version(&held).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field_and_a_warehouse_that_is_away_fails_the_run() {
    for database in databases().await {
        let store = lake_of_two_files(database.url()).await;
        let away = Warehouse::open("redshift://a:b@127.0.0.1:1/vendas", Tls::Never).unwrap();
        let function = SyncWarehouse::new(store, away, OneRow, now);
        for case in event_cases(FUNCTION) {
            let error = send(&function, &case).await.unwrap_err();
            let field = match case.as_str() {
                "refused-wrong-date" => "data",
                "refused-without-time" => "horario",
                _ => "armazem_sem_resposta",
            };
            assert!(error.code.contains(field), "{case}: {}", error.code);
        }
    }
}

/// PostgreSQL refuses Redshift's COPY: what it is told by then is seen, and nothing has changed.
#[tokio::test]
async fn a_copy_that_is_refused_leaves_its_manifest_and_no_row() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    for database in databases().await {
        let folder = TempDir::new().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let step = CopyByManifest {
            files: files.clone(),
            bucket: "feira-vendas".to_owned(),
            role: "arn:aws:iam::123456789012:role/feira-copy".to_owned(),
        };
        let store = lake_of_two_files(database.url()).await;
        let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
        let function = SyncWarehouse::new(store, warehouse, Plain(step), now);
        let error = send(&function, "accepted-schedule").await.unwrap_err();
        assert_eq!(error.code, "armazem_recusou");
        let key = "lago/manifestos/armazem/vendas.json";
        let address = FileAddress::new("feira-vendas", key).unwrap();
        let manifest = files.get(&address, 10_000).await.unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let expected = json!({"entries": [
            {"url": "s3://feira-vendas/lago/main/vendas/A.parquet", "mandatory": true,
                "meta": {"content_length": 100}},
            {"url": "s3://feira-vendas/lago/main/vendas/B.parquet", "mandatory": true,
                "meta": {"content_length": 100}},
        ]});
        assert_eq!(manifest, expected);
    }
}

/// COPY with tables that PostgreSQL can make.
struct Plain(CopyByManifest);

impl LoadStep for Plain {
    fn create_statement(&self, statement: &str) -> String {
        OneRow.create_statement(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        self.0.load(database, staging, table, files).await
    }
}
