//! Every event file of compact-lake, on every database that there is.
#![cfg(test)]

use std::collections::BTreeSet;

use compact_lake::{CompactLake, Compacted};
use documents::Documents;
use domain::{
    lake::{DataFile, SnapshotId, Table},
    time::UtcMillis,
};
use files::{Files, FolderFiles};
use lake::{
    Lake,
    rows::{EventRow, StockRow, write_events, write_stock},
};
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, read},
};
use mongodb::{Client, bson::Document, bson::doc};
use secrets::Stage;
use sql_store::{
    Store, StoreError, Tx,
    lake::{self as catalogue, Change, CommitError},
    values,
};
use tempfile::TempDir;
use testkit::{databases, event};

const FUNCTION: &str = "compact-lake";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:20:00Z").unwrap()
}

struct Shop {
    store: Store,
    lake: Lake,
    files: TempDir,
    documents: Documents,
}

impl Shop {
    async fn open(url: &str) -> Self {
        let store = Store::open(url).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let files = TempDir::new().unwrap();
        let folder = FolderFiles::open(files.path()).unwrap();
        let lake = Lake::new(Files::Folder(folder), "vendas-teste");
        let path = lake.data_path().unwrap();
        catalogue::register(&store, &path, now()).await.unwrap();
        Self {
            documents: Documents::in_sql(store.clone()),
            store,
            lake,
            files,
        }
    }

    async fn commit(&self, file: domain::lake::WrittenFile) {
        let change = Change {
            added: std::slice::from_ref(&file),
            ended: &[],
            note: "a test",
        };
        let work = async |tx: &Tx| catalogue::commit(tx, SnapshotId(0), &[], change, now()).await;
        self.store
            .transact::<_, CommitError, _>(work)
            .await
            .unwrap();
    }

    /// A small file of events of two days.
    async fn events(&self, number: i64) {
        let row = |place: i64| EventRow {
            user: format!("u{number}"),
            kind: "clique".into(),
            product: Some(format!("p{place}")),
            occurred: now().plus_millis(-number * 60_000 - place * 43_200_000),
            event_id: format!("e{number}-{place}"),
            session: None,
            quantity: None,
            price_centavos: Some(number),
            reference: None,
            region: None,
            source: None,
        };
        let rows = vec![row(0), row(1), row(2)];
        let file = write_events(&self.lake, rows, now())
            .await
            .unwrap()
            .unwrap();
        self.commit(file).await;
    }

    async fn files(&self, table: Table) -> Vec<DataFile> {
        let snapshot = catalogue::latest(&self.store, &[table])
            .await
            .unwrap()
            .unwrap();
        catalogue::files_at(&self.store, table, snapshot.id)
            .await
            .unwrap()
    }

    async fn run(&self, case: &str) -> Result<Compacted, InvocationFailed> {
        let function = CompactLake::new(
            self.store.clone(),
            self.documents.clone(),
            self.lake.clone(),
            now,
        );
        let run = read(&event(FUNCTION, case))?;
        function.handle(run, &Invocation::at(now())).await
    }

    fn exists(&self, table: Table, file: &DataFile) -> bool {
        let folder = self.files.path().join("vendas-teste/lago/main");
        folder.join(table.name()).join(&file.name).exists()
    }
}

#[tokio::test]
async fn small_files_become_one_and_old_questions_still_find_theirs() {
    for database in databases().await {
        let label = database.label();
        let shop = Shop::open(database.url()).await;
        for number in 0..12 {
            shop.events(number).await;
        }
        let stock = |level| StockRow {
            product: "p".into(),
            level,
            updated: now(),
            source: None,
        };
        for level in [5, 4] {
            let file = write_stock(&shop.lake, vec![stock(level)], now())
                .await
                .unwrap();
            shop.commit(file.unwrap()).await;
        }
        let before = catalogue::latest(&shop.store, &[Table::CustomerEvents])
            .await
            .unwrap()
            .unwrap();
        let done = shop.run("accepted-schedule").await.unwrap();
        assert_eq!(
            (done.arquivos_juntados, done.arquivos_escritos),
            (14, 2),
            "{label}"
        );
        for (table, rows) in [(Table::CustomerEvents, 36), (Table::Stock, 2)] {
            let files = shop.files(table).await;
            assert_eq!(files.len(), 1, "{label}");
            assert_eq!(files[0].rows, rows);
            assert!(shop.exists(table, &files[0]));
        }
        let old = catalogue::files_at(&shop.store, Table::CustomerEvents, before.id)
            .await
            .unwrap();
        assert_eq!(old.len(), 12);
        assert!(
            old.iter()
                .all(|file| shop.exists(Table::CustomerEvents, file)),
            "{label}"
        );
        let again = shop.run("accepted-schedule").await.unwrap();
        assert_eq!(
            again,
            Compacted::default(),
            "{label}: one file is left alone"
        );
    }
}

#[tokio::test]
async fn what_comes_while_files_are_put_together_stays_beside() {
    for database in databases().await {
        let shop = Shop::open(database.url()).await;
        for number in 0..4 {
            shop.events(number).await;
        }
        let (done, ()) = tokio::join!(shop.run("accepted-schedule"), shop.events(4));
        done.unwrap();
        let files = shop.files(Table::CustomerEvents).await;
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        assert_eq!(rows, 15, "{}", database.label());
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names.len(), files.len());
    }
}

#[tokio::test]
async fn views_of_a_day_have_one_file_with_all_of_them() {
    for database in databases().await {
        let label = database.label();
        let shop = Shop::open(database.url()).await;
        let today = now().day().epoch_days();
        let append = async |parts: &[(i32, &str, &str, i64)]| {
            let work = async |tx: &Tx| {
                for (day, product, part, views) in parts {
                    tx.execute(
                        "INSERT INTO product_views (view_day, product_id, part_id, views) \
                         VALUES (?, ?, ?, ?)",
                        values![*day, *product, *part, *views],
                    )
                    .await?;
                }
                Ok(())
            };
            shop.store.transact::<_, StoreError, _>(work).await.unwrap();
        };
        append(&[
            (today, "a", "A", 2),
            (today, "a", "B", 3),
            (today - 1, "b", "A", 1),
        ])
        .await;
        let done = shop.run("accepted-schedule").await.unwrap();
        assert_eq!(done.dias_de_visualizacoes, 2, "{label}");
        assert_eq!(shop.files(Table::MostViewed).await.len(), 2);
        append(&[(today, "a", "C", 4), (today, "c", "C", 1)]).await;
        let done = shop.run("accepted-schedule").await.unwrap();
        assert_eq!(done.dias_de_visualizacoes, 1, "{label}");
        let files = shop.files(Table::MostViewed).await;
        let rows: Vec<u64> = files.iter().map(|file| file.rows).collect();
        assert_eq!(
            rows,
            [1, 2],
            "{label}: yesterday's stays, today's is a new one"
        );
        let days = (now().day(), now().day());
        let views = sql_store::events::views::most_viewed(&shop.store, days, None, 10)
            .await
            .unwrap();
        let views: Vec<(&str, i64)> = views
            .iter()
            .map(|row| (row.product_id.as_str(), row.views))
            .collect();
        assert_eq!(views, [("a", 9), ("c", 1)], "{label}");
        assert_eq!(
            shop.run("accepted-schedule").await.unwrap(),
            Compacted::default()
        );
    }
}

#[tokio::test]
async fn views_of_a_day_and_what_is_past_its_time_are_told_to_mongodb() {
    let Some(uri) = testkit::mongodb() else {
        return;
    };
    let database = databases().await.swap_remove(0);
    let mut shop = Shop::open(database.url()).await;
    let documents = Documents::in_mongodb(shop.store.clone(), &uri, Stage::Dev).await;
    shop.documents = documents.unwrap();
    let mongodb = Client::with_uri_str(&uri).await.unwrap();
    let mongodb = mongodb.default_database().unwrap();
    let clicks = mongodb.collection::<Document>("cliques");
    for (id, days) in [("a", 31), ("b", 29)] {
        let noted = mongodb::bson::DateTime::from_millis(now().minus_days(days).get());
        let click = doc! {"_id": id, "registrado_em": noted};
        clicks.insert_one(click).await.unwrap();
    }
    let views = mongodb.collection::<Document>("produtos_mais_vistos");
    for (part, sum) in [("A", 2_i64), ("B", 5)] {
        let work = async |tx: &Tx| {
            tx.execute(
                "INSERT INTO product_views (view_day, product_id, part_id, views) \
                 VALUES (?, 'p', ?, ?)",
                values![
                    now().day().epoch_days(),
                    part,
                    if part == "A" { 2 } else { 3 }
                ],
            )
            .await
        };
        shop.store.transact::<_, StoreError, _>(work).await.unwrap();
        shop.run("accepted-schedule").await.unwrap();
        let found = views.find_one(doc! {"_id": "2026-11-20/p"}).await.unwrap();
        assert_eq!(found.unwrap().get_i64("count").unwrap(), sum);
    }
    let left = clicks.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(left.get_str("_id").unwrap(), "b");
    assert_eq!(clicks.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn a_schedule_without_a_time_is_refused() {
    let database = databases().await.swap_remove(0);
    let shop = Shop::open(database.url()).await;
    let refusal = shop.run("refused-without-time").await.unwrap_err();
    assert!(refusal.code.contains("horario"));
}
