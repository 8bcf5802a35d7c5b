//! Every event file of update-stock, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{cell::RefCell, path::Path};

use domain::{lake::Table, stock::Limits, time::UtcMillis};
use files::{Files, FolderFiles};
use lake::Lake;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed, sqs::answer};
use serde_json::{Value, json};
use sql_store::{Store, lake as catalogue, stock};
use testkit::{databases, event, event_cases};
use update_stock::UpdateStock;

const FUNCTION: &str = "update-stock";

struct Letters {
    key: SealKey,
    sent: RefCell<Vec<Value>>,
}

impl DeadLetters for Letters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let letter = serde_json::from_str(&body).unwrap();
        self.sent.borrow_mut().push(letter);
        Ok(())
    }
}

/// A file, the levels that it leaves, the rows of the lake and the fields of its dead letters.
type Expected = (
    &'static str,
    &'static [(&'static str, i64)],
    u64,
    &'static [&'static str],
);

const EXPECTED: [Expected; 4] = [
    ("accepted-bare", &[("p-1", 12)], 1, &[]),
    ("accepted-newest-first", &[("p-1", 3), ("p-2", 9)], 3, &[]),
    (
        "refused-among-good",
        &[("p-1", 12)],
        1,
        &["nivel_estoque", "id_produto", "valor", "ultima_atualizacao"],
    ),
    ("refused-not-json", &[], 0, &[""]),
];

const USUAL: Limits = Limits {
    threshold_units: 5,
    cover_days: 7,
};

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

fn lake(folder: &Path) -> Lake {
    let files = Files::Folder(FolderFiles::open(folder).unwrap());
    Lake::new(files, "vendas-teste")
}

/// Rows of `estoque` that readers of the lake see.
async fn lake_rows(store: &Store) -> u64 {
    let newest = catalogue::latest(store, &[Table::Stock]).await.unwrap();
    let Some(newest) = newest else { return 0 };
    let files = catalogue::files_at(store, Table::Stock, newest.id).await;
    files.unwrap().iter().map(|file| file.rows).sum()
}

fn letters() -> Letters {
    Letters {
        key: SealKey::new(&[7; 32]).unwrap(),
        sent: RefCell::default(),
    }
}

#[tokio::test]
async fn each_event_file_leaves_what_it_says_however_often_it_comes() {
    let now = now();
    assert_eq!(event_cases(FUNCTION), EXPECTED.map(|(name, ..)| name));
    for (name, expected, rows, fields) in EXPECTED {
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let handler = UpdateStock::new(store.clone(), lake(folder.path()), USUAL);
            for round in 1..=2 {
                let letters = letters();
                let answer = answer(FUNCTION, &letters, &handler, event(FUNCTION, name), now).await;
                assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}));
                let label = format!("{name} on {}, round {round}", database.label());
                let page = stock::levels(&store, None, None, 10).await.unwrap();
                let found = page
                    .rows
                    .iter()
                    .map(|row| (row.product_id.as_str(), row.units));
                assert_eq!(found.collect::<Vec<_>>(), expected, "{label}");
                assert_eq!(lake_rows(&store).await, rows, "{label}");
                let sent = letters.sent.borrow();
                let blamed = sent
                    .iter()
                    .map(|letter| letter["campo"].as_str().unwrap_or_default());
                assert_eq!(blamed.collect::<Vec<_>>(), fields, "{label}");
                let text = format!("{sent:?}");
                assert!(!text.contains("segredo"), "{label}: {text}");
            }
            let alerts = stock::alerts(&store, false, None, 10).await.unwrap().rows;
            let low = expected.iter().filter(|(_, units)| *units <= 5).count();
            assert_eq!(alerts.len(), low, "{name}");
        }
    }
}

/// The same levels in batches that overlap, to several instances at once.
#[tokio::test]
async fn whoever_gets_a_level_the_lake_has_it_once() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let batch = |from: i64| {
            let records: Vec<Value> = (from..from + 20)
                .map(|number| {
                    let level = json!({"id_produto": format!("p{}", number % 7),
                        "nivel_estoque": number, "ultima_atualizacao": "2026-11-20T11:00:00Z"});
                    json!({"messageId": format!("m{from}-{number}"), "body": level.to_string(),
                        "attributes": {}, "messageAttributes": {}})
                })
                .collect();
            json!({ "Records": records })
        };
        let instances = (0..4).map(async |nth| {
            let store = Store::open(database.url()).await.unwrap();
            let handler = UpdateStock::new(store, lake(folder.path()), USUAL);
            for from in [nth * 10, 30 - nth * 10] {
                let mut tries = 0;
                loop {
                    let answer = answer(FUNCTION, &letters(), &handler, batch(from), now()).await;
                    if answer.unwrap() == json!({"batchItemFailures": []}) {
                        break;
                    }
                    tries += 1;
                    assert!(tries < 20, "a batch fails for ever");
                }
            }
        });
        futures::future::join_all(instances).await;
        assert_eq!(lake_rows(&store).await, 50, "{}", database.label());
    }
}

#[tokio::test]
async fn levels_that_did_not_reach_the_lake_come_again() {
    let database = databases().await.remove(0);
    let store = Store::open(database.url()).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("arquivos");
    let handler = UpdateStock::new(store.clone(), lake(&place), USUAL);
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "no folder").unwrap();
    let sent = || event(FUNCTION, "accepted-bare");
    let failed = answer(FUNCTION, &letters(), &handler, sent(), now()).await;
    let failures = failed.unwrap()["batchItemFailures"].clone();
    assert_eq!(failures.as_array().unwrap().len(), 1);
    std::fs::remove_file(&place).unwrap();
    let handler = UpdateStock::new(store.clone(), lake(&place), USUAL);
    let done = answer(FUNCTION, &letters(), &handler, sent(), now()).await;
    assert_eq!(done.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(lake_rows(&store).await, 1);
}
