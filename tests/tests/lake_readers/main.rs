//! Engines of other makers read what we wrote: DuckDB by the catalogue, Spark by the list of files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod scene;

use domain::lake::{SnapshotId, Table};
use serde_json::{Value, json};
use testkit::lake_engines;

use crate::scene::{Line, scenes};

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

#[tokio::test]
async fn a_reader_during_commits_sees_one_snapshot_and_nothing_twice() {
    let Some(python) = lake_engines() else { return };
    for scene in scenes(&python).await {
        scene.load(1, &FIRST, &[]).await;
        let stop = scene.folder().join("stop");
        let reader = scene.start("duckdb_watch", &[stop.to_str().unwrap()]);
        let reading = scene.folder().join("stop.reading");
        while !reading.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // Each commit replaces the file by the same lines.
        for replaced in 0..25 {
            scene.load(replaced + 2, &FIRST, &[replaced]).await;
        }
        std::fs::write(&stop, "").unwrap();
        let answers = scene::answer(reader).await;
        let answers = answers.as_array().unwrap();
        let expected = json!(["3", "2", "8"]);
        assert!(
            answers.iter().all(|answer| *answer == expected),
            "{}: {answers:?}",
            scene.label()
        );
        assert!(answers.len() >= 3, "{}: {}", scene.label(), answers.len());
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

#[tokio::test]
async fn spark_reads_the_list_of_live_files() {
    let Some(python) = lake_engines() else { return };
    let Some(scene) = scenes(&python).await.into_iter().next() else {
        return;
    };
    scene.load(1, &FIRST, &[]).await;
    scene.load(2, &SECOND, &[0]).await;
    scene.publish_manifest().await;
    let manifest = scene.manifest();
    let seen = scene.read_as(&manifest, "spark", &[]).await;
    assert_eq!(seen, totals(&SECOND));
}
