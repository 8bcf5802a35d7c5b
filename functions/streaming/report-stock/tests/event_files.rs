//! Every event file of report-stock, on every database that there is.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::{
    identity::ProductId,
    stock::{Level, Limits},
    time::UtcMillis,
};
use lambda_kit::{Invocation, http};
use report_stock::ReportStock;
use serde_json::{Value, json};
use sql_store::{Store, stock::record_level};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "report-stock";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

/// Three products, of which `p-2` is low and `p-3` was.
async fn everywhere() -> Vec<(ReportStock, TestDatabase)> {
    let mut all = Vec::new();
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let usual = Limits {
            threshold_units: 5,
            cover_days: 7,
        };
        for (product, units, seconds) in
            [("p-1", 9, 1), ("p-2", 5, 2), ("p-3", 0, 3), ("p-3", 8, 4)]
        {
            let told = now().plus_millis(seconds * 1_000 - 10_000);
            let level = Level::new(ProductId::parse(product).unwrap(), units, told).unwrap();
            let at = now().plus_millis(seconds);
            record_level(&store, &level, usual, at).await.unwrap();
        }
        all.push((ReportStock::new(store), database));
    }
    all
}

async fn answer(handler: &ReportStock, event: Value) -> (u64, Value) {
    let answer = http::answer(handler, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// Each file: its status, and the products that it shows or the field that it names.
const EXPECTED: [(&str, u64, &[&str]); 8] = [
    ("accepted-alerts", 200, &["p-3", "p-2"]),
    ("accepted-open-alerts", 200, &["p-2"]),
    ("accepted-product", 200, &["p-2"]),
    ("accepted-stock", 200, &["p-1", "p-2", "p-3"]),
    ("refused-made-up-cursor", 400, &["cursor"]),
    ("refused-open-maybe", 400, &["abertos"]),
    ("refused-page-size", 400, &["limite"]),
    ("refused-unknown-parameter", 400, &["produto"]),
];

#[tokio::test]
async fn each_event_file_is_answered() {
    assert_eq!(event_cases(FUNCTION), EXPECTED.map(|(name, ..)| name));
    for (handler, _database) in everywhere().await {
        for (name, status, expected) in EXPECTED {
            let (found, body) = answer(&handler, event(FUNCTION, name)).await;
            assert_eq!(found, status, "{name}: {body}");
            let (list, field) = if status == 200 {
                (&body["itens"], "id_produto")
            } else {
                (&body["errors"], "field")
            };
            let list = list.as_array().unwrap().iter();
            let named: Vec<&str> = list.map(|one| one[field].as_str().unwrap()).collect();
            assert_eq!(named, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    for (handler, _database) in everywhere().await {
        for (name, expected) in [
            ("accepted-stock", vec!["p-1", "p-2", "p-3"]),
            ("accepted-alerts", vec!["p-3", "p-2"]),
        ] {
            let mut request = event(FUNCTION, name);
            request["queryStringParameters"] = json!({"limite": "1"});
            let mut seen = Vec::new();
            loop {
                let (status, body) = answer(&handler, request.clone()).await;
                assert_eq!(status, 200, "{body}");
                seen.push(body["itens"][0]["id_produto"].as_str().unwrap().to_owned());
                if body["tem_mais"] == json!(false) {
                    break;
                }
                request["queryStringParameters"]["cursor"] = body["proximo"].clone();
            }
            assert_eq!(seen, expected);
        }
    }
}

#[tokio::test]
async fn a_product_shows_what_may_be_sold() {
    for (handler, _database) in everywhere().await {
        let (_, body) = answer(&handler, event(FUNCTION, "accepted-product")).await;
        let expected = json!({
            "id_produto": "p-2", "nivel_estoque": 5, "reservado": 0, "disponivel": 5,
            "ultima_atualizacao": "2026-11-20T11:59:52.000Z", "alerta": "limite",
        });
        assert_eq!(body["itens"][0], expected);
    }
}
