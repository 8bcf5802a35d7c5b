//! Every event file of update-stock, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::cell::RefCell;

use domain::{stock::Limits, time::UtcMillis};
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed, sqs::answer};
use serde_json::{Value, json};
use sql_store::{Store, stock};
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

/// A file, the levels that it leaves and the fields of its dead letters.
type Expected = (
    &'static str,
    &'static [(&'static str, i64)],
    &'static [&'static str],
);

const EXPECTED: [Expected; 4] = [
    ("accepted-bare", &[("p-1", 12)], &[]),
    ("accepted-newest-first", &[("p-1", 3), ("p-2", 9)], &[]),
    (
        "refused-among-good",
        &[("p-1", 12)],
        &["nivel_estoque", "id_produto", "valor", "ultima_atualizacao"],
    ),
    ("refused-not-json", &[], &[""]),
];

#[tokio::test]
async fn each_event_file_leaves_what_it_says_however_often_it_comes() {
    let now = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
    let usual = Limits {
        threshold_units: 5,
        cover_days: 7,
    };
    assert_eq!(event_cases(FUNCTION), EXPECTED.map(|(name, ..)| name));
    for (name, expected, fields) in EXPECTED {
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now).await.unwrap();
            let handler = UpdateStock::new(store.clone(), usual);
            for round in 1..=2 {
                let letters = Letters {
                    key: SealKey::new(&[7; 32]).unwrap(),
                    sent: RefCell::default(),
                };
                let answer = answer(FUNCTION, &letters, &handler, event(FUNCTION, name), now).await;
                assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}));
                let label = format!("{name} on {}, round {round}", database.label());
                let page = stock::levels(&store, None, None, 10).await.unwrap();
                let found = page
                    .rows
                    .iter()
                    .map(|row| (row.product_id.as_str(), row.units));
                assert_eq!(found.collect::<Vec<_>>(), expected, "{label}");
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
