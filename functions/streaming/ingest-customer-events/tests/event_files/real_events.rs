//! The real events beside the project, each delivered twice, give the file's own totals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::shop::{Shop, sqs};
use serde_json::Value;

/// Real events beside the project; their licence keeps them out of it.
const REAL_EVENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../../shared/data/olist/eventos_clientes.ndjson"
);
const BATCH: usize = 1_000;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn real_events_delivered_twice_are_counted_once() {
    if !Path::new(REAL_EVENTS).exists() {
        return;
    }
    let text = std::fs::read_to_string(REAL_EVENTS).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (mut ids, mut users) = (BTreeSet::new(), BTreeSet::new());
    let mut kinds: BTreeMap<String, i64> = BTreeMap::new();
    for line in &lines {
        let event: Value = serde_json::from_str(line).unwrap();
        if ids.insert(event["id_evento"].as_str().unwrap().to_owned()) {
            users.insert(event["id_usuario"].as_str().unwrap().to_owned());
            *kinds
                .entry(event["tipo_evento"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    for shop in Shop::everywhere().await {
        let label = shop.label;
        // The second time half a batch later, so that batches hold old and new ones.
        let late = BATCH / 2;
        for from in (0..lines.len() + late).step_by(BATCH) {
            let until = (from + BATCH).min(lines.len());
            let first = lines.get(from.min(lines.len())..until).unwrap_or_default();
            let again = lines
                .get(from.saturating_sub(late)..(from + BATCH - late).min(lines.len()))
                .unwrap_or_default();
            let bodies = first.iter().chain(again).map(|line| (*line).to_owned());
            let answer = shop.receive(sqs(bodies)).await;
            assert_eq!(
                answer["batchItemFailures"],
                serde_json::json!([]),
                "{label}"
            );
        }
        let distinct = i64::try_from(ids.len()).unwrap();
        assert_eq!(shop.sum("events").await, distinct, "{label}");
        let all_twice = 2 * i64::try_from(lines.len()).unwrap();
        assert_eq!(
            shop.sum("duplicates").await,
            all_twice - distinct,
            "{label}"
        );
        for (column, kind) in [
            ("clicks", "clique"),
            ("carts", "carrinho"),
            ("purchases", "compra"),
        ] {
            assert_eq!(
                shop.sum(column).await,
                kinds.get(kind).copied().unwrap_or(0),
                "{label}: {kind}"
            );
        }
        assert_eq!(shop.sum("conflicts").await, 0);
        assert_eq!(shop.lake_rows().await, ids.len() as u64, "{label}");
        let clicks = kinds.get("clique").copied().unwrap_or(0);
        assert_eq!(shop.clicks(&[]).await, clicks);
        assert_eq!(
            shop.number("SELECT SUM(views) FROM product_views").await,
            clicks
        );
        let clickers = shop
            .number("SELECT COUNT(DISTINCT user_id) FROM click_log")
            .await;
        assert!(usize::try_from(clickers).unwrap() <= users.len());
        assert!(shop.letters.sent.borrow().is_empty());
        let folder = shop
            .files
            .path()
            .join("vendas-teste/lago/main/eventos_clientes");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert!(
            files <= lines.len() / BATCH + 2,
            "{label}: one file a batch"
        );
    }
}
