//! Engines of other makers read what we wrote: DuckDB by the catalogue, Spark by the list of files.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod scene;

use domain::lake::{SnapshotId, Table};
use serde_json::{Value, json};
use testkit::lake_engines;

use crate::scene::{Line, scenes};

/// Between two loads, so that readers come on beside them.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
const MOST_LOADS: u32 = 400;

/// What DuckDB and Spark say of lines: rows, orders, units, revenue, first and last day.
fn totals(lines: &[Line]) -> Value {
    let orders: std::collections::BTreeSet<&str> = lines.iter().map(|line| line.order).collect();
    let units: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
    let centavos: i64 = lines
        .iter()
        .map(|line| i64::from(line.quantity) * line.centavos)
        .sum();
    let days = || lines.iter().map(|line| line.day);
    json!([
        lines.len().to_string(),
        orders.len().to_string(),
        units.to_string(),
        format!("{}.{:02}", centavos / 100, centavos % 100),
        days().min().unwrap(),
        days().max().unwrap(),
    ])
}

const fn line(order: &'static str, quantity: i32, centavos: i64, day: &'static str) -> Line {
    Line {
        order,
        quantity,
        centavos,
        day,
    }
}

const FIRST: [Line; 3] = [
    line("p1", 2, 1_050, "2026-11-01"),
    line("p1", -1, 1_050, "2026-11-03"),
    line("p2", 7, 3, "2026-11-03"),
];
const SECOND: [Line; 2] = [
    line("p3", 1, 999_999, "2026-11-19"),
    line("p4", 40, 25, "2026-10-31"),
];

#[tokio::test]
async fn duckdb_sees_the_newest_snapshot_and_the_older_ones() {
    let Some(python) = lake_engines() else { return };
    for scene in scenes(&python).await {
        let first = scene.load(1, &FIRST, &[]).await;
        let second = scene.load(2, &SECOND, &[]).await;
        let third = scene.load(3, &SECOND[..1], &[1]).await;
        let versions = [first, second].map(|SnapshotId(version)| version.to_string());
        let seen = scene
            .read("duckdb_totals", &[&versions[0], &versions[1]])
            .await;
        let label = scene.label();
        let both = [&FIRST[..], &SECOND[..]].concat();
        let now = [&FIRST[..], &SECOND[..1]].concat();
        assert_eq!(seen["now"], totals(&now), "{label}");
        assert_eq!(seen[&versions[0]], totals(&FIRST), "{label}");
        assert_eq!(seen[&versions[1]], totals(&both), "{label}");
        assert_eq!(seen["snapshots"], third.0 + 1, "{label}");
        assert_eq!(seen["committed"], scene::NOON.get(), "{label}");
        let mut names = Table::ALL.map(Table::name);
        names.sort_unstable();
        assert_eq!(seen["tables"], json!(names), "{label}");
        let days = json!([
            ["2026-11-01", "1"],
            ["2026-11-03", "2"],
            ["2026-11-19", "1"]
        ]);
        assert_eq!(seen["days"], days, "{label}");
    }
}

#[tokio::test]
async fn a_role_that_may_read_the_catalogue_only_is_enough() {
    let Some(python) = lake_engines() else { return };
    for scene in scenes(&python).await {
        let Some(catalogue) = scene.catalogue_of_a_reader().await else {
            continue;
        };
        scene.load(1, &FIRST, &[]).await;
        let seen = scene.read_as(&catalogue, "duckdb_totals", &[]).await;
        assert_eq!(seen["now"], totals(&FIRST), "{}", scene.label());
    }
}

/// A file that speaks of new orders and of old ones, whose lines it changes; of one it says that it
/// has no sale.
fn sales_file(number: u32) -> String {
    let mut text = String::from("id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n");
    for order in number * 5..number * 5 + 12 {
        let (product, cents) = (order % 4, 10 + number);
        let day = 1 + (order + number) % 28;
        let region = ["SP", "RJ", ""][order as usize % 3];
        let quantity = if order == number * 5 + 1 { 0 } else { 3 };
        text.push_str(&format!(
            "p{order},produto {product},{quantity},19.{cents},2026-10-{day:02},{region},casa\n\
             p{order},produto {product},-1,19.{cents},2026-11-{:02},{region},\n",
            1 + order % 9
        ));
    }
    text
}

#[tokio::test]
async fn duckdb_and_spark_give_the_totals_of_the_api_also_while_loads_go_on() {
    let Some(python) = lake_engines() else { return };
    for scene in scenes(&python).await {
        let label = scene.label();
        scene.load_file("vendas/0.csv", sales_file(0)).await;
        let mut told = vec![scene.totals_over_http().await];
        let mut engines = vec![("duckdb_watch", scene.catalogue())];
        // The list of files is the same whatever database the catalogue is in.
        if label == "SQLite" {
            engines.push(("spark_watch", scene.manifest()));
        }
        let mut watching = Vec::new();
        for (work, place) in engines {
            let stop = scene.folder().join(work);
            let arguments = [stop.to_str().unwrap()];
            watching.push((scene.start_as(&place, work, &arguments), stop));
        }
        let answers = |stop: &std::path::Path| -> u32 {
            let count = std::fs::read_to_string(stop.with_extension("answers"));
            count.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        // Both look at least three times while loads go on.
        let mut number = 1;
        while watching.iter().any(|(_, stop)| answers(stop) < 3) {
            tokio::time::sleep(PAUSE).await;
            if watching.iter().all(|(_, stop)| answers(stop) > 0) {
                assert!(number < MOST_LOADS, "{label}: a reader does not come on");
                let key = format!("vendas/{}.csv", number % 7);
                scene.load_file(&key, sales_file(number)).await;
                told.push(scene.totals_over_http().await);
                if number % 5 == 0 {
                    scene.compact().await;
                    assert_eq!(scene.totals_over_http().await, told[told.len() - 1]);
                }
                number += 1;
            }
        }
        for (reader, stop) in watching {
            std::fs::write(&stop, "").unwrap();
            let seen = scene::answer(reader).await;
            let seen = seen.as_array().unwrap();
            for answer in seen {
                assert!(told.contains(answer), "{label}, {stop:?}: {answer}");
            }
            assert_eq!(seen.last(), told.last(), "{label}, {stop:?}");
        }
    }
}

#[tokio::test]
async fn duckdb_commits_after_us_and_we_after_duckdb() {
    let Some(python) = lake_engines() else { return };
    // On MySQL DuckDB 1.5.5 can't: "Unsupported operator type HASH_JOIN in UPDATE statement".
    for scene in scenes(&python).await.into_iter().take(1) {
        scene.load(1, &FIRST, &[]).await;
        let base = scene.newest().await;
        scene.read("duckdb_insert", &[]).await;
        let label = scene.label();
        assert!(
            scene.is_refused_on(base).await,
            "{label}: it changed vendas"
        );
        scene.load(2, &SECOND, &[]).await;
        let seen = scene.read("duckdb_totals", &[]).await;
        let theirs = [line("de-fora", 1, 100, "2026-11-20")];
        let all = [&FIRST[..], &theirs, &SECOND].concat();
        assert_eq!(seen["now"], totals(&all), "{label}");
    }
}
