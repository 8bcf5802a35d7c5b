//! Migrations: from nothing, twice, cut off anywhere, two at once.

use std::collections::BTreeMap;

use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx,
    migrate::{SHOP, migrate},
    values,
};
use testkit::databases;

use crate::stores::{NOON, Scissors, fresh, run, together};

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

/// Every index and the columns of every table, from the database's own catalogue.
async fn schema(store: &Store, url: &str) -> BTreeMap<String, Vec<String>> {
    let (tables, columns, indexes) = if url.starts_with("sqlite") {
        (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            "SELECT name || ' ' || type || ' ' || \"notnull\" AS name FROM pragma_table_info(?) ORDER BY name",
            "SELECT name || ' ' || \"unique\" AS name FROM pragma_index_list(?) \
             WHERE origin = 'c' ORDER BY name",
        )
    } else {
        (
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()",
            "SELECT CONCAT(column_name, ' ', column_type, ' ', is_nullable) AS name \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
             ORDER BY 1",
            "SELECT DISTINCT CONCAT(index_name, ' ', 1 - non_unique) AS name \
             FROM information_schema.statistics WHERE table_schema = DATABASE() \
             AND table_name = ? AND index_name <> 'PRIMARY' ORDER BY 1",
        )
    };
    store
        .transact(async |tx: &Tx| {
            let mut schema = BTreeMap::new();
            for table in tx.all::<Name>(tables, values![]).await? {
                let mut lines = Vec::new();
                for sql in [columns, indexes] {
                    let found = tx.all::<Name>(sql, values![table.name.as_str()]).await?;
                    lines.extend(found.into_iter().map(|row| row.name));
                }
                schema.insert(table.name, lines);
            }
            Ok::<_, StoreError>(schema)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn from_nothing_the_schema_is_made_and_a_second_run_does_nothing() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        let applied = migrate(&store, NOON).await.unwrap();
        let all = SHOP.map(|(_, name, _)| name);
        assert_eq!(applied, all, "{}", database.label());
        let made = schema(&store, database.url()).await;
        assert!(made.len() >= 20, "{}: {:?}", database.label(), made.keys());
        assert!(made["outbox"].iter().any(|line| line == "outbox_by_key 0"));
        assert_eq!(migrate(&store, NOON).await, Ok(vec![]));
        assert_eq!(schema(&store, database.url()).await, made);
    }
}

#[tokio::test]
async fn both_backends_get_the_same_tables_columns_and_indexes() {
    let mut names = Vec::new();
    for fresh in fresh().await {
        let made = schema(&fresh.store, fresh.database.url()).await;
        let named: BTreeMap<String, Vec<String>> = made
            .into_iter()
            .map(|(table, lines)| {
                let first = |line: &String| line.split(' ').next().unwrap().to_owned();
                let mut lines: Vec<String> = lines.iter().map(first).collect();
                lines.sort();
                (table, lines)
            })
            .collect();
        names.push(named);
    }
    assert!(
        names.windows(2).all(|pair| pair[0] == pair[1]),
        "{names:#?}"
    );
}

#[tokio::test]
async fn a_migration_that_is_cut_off_anywhere_goes_on_where_it_stopped() {
    let mut whole = None;
    for fresh in fresh().await {
        whole = Some(schema(&fresh.store, fresh.database.url()).await);
        if fresh.label() == "SQLite" {
            // A statement has eight points: every third point is every kind of them.
            cut_everywhere(whole.as_ref().unwrap(), 3, 0).await;
        } else {
            // A database a point would take minutes there.
            cut_everywhere(whole.as_ref().unwrap(), 29, 1).await;
        }
    }
    assert!(whole.is_some());
}

async fn cut_everywhere(whole: &BTreeMap<String, Vec<String>>, step: usize, backend: usize) {
    let mut point = 0;
    loop {
        let database = databases().await.swap_remove(backend);
        let scissors = Scissors::cutting_at(point);
        let cut = Store::open_with(database.url(), scissors.options())
            .await
            .unwrap();
        let finished = scissors.around(migrate(&cut, NOON)).await;
        drop(cut);
        let store = Store::open(database.url()).await.unwrap();
        if let Err(error) = migrate(&store, NOON).await {
            panic!("{} cut at {point}: {error}", database.label());
        }
        let made = schema(&store, database.url()).await;
        assert_eq!(&made, whole, "{} cut at {point}", database.label());
        assert_eq!(migrate(&store, NOON).await, Ok(vec![]));
        if finished.is_some() {
            assert!(point > 100, "only {point} points");
            break;
        }
        point += step;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_what_to_do() {
    for fresh in fresh().await {
        run(
            &fresh.store,
            &["INSERT INTO schema_migrations VALUES (999, 1, 1)"],
        )
        .await;
        let refused = migrate(&fresh.store, NOON).await.unwrap_err().to_string();
        assert!(refused.contains("newer version"), "{refused}");
    }
}

#[tokio::test]
async fn two_migrators_at_once_make_the_schema_once() {
    for database in databases().await {
        let mut migrators = Vec::new();
        for _ in 0..2 {
            let store = Store::open_with(database.url(), Options::default())
                .await
                .unwrap();
            migrators.push(async move { migrate(&store, NOON).await });
        }
        for outcome in together(migrators).await {
            assert!(outcome.is_ok(), "{}: {outcome:?}", database.label());
        }
        let store = Store::open(database.url()).await.unwrap();
        assert_eq!(migrate(&store, NOON).await, Ok(vec![]));
    }
}
