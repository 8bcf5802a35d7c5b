//! The event files of this function.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use create_promoter_vouchers::{Confirmation, CreatePromoterVouchers};
use domain::time::UtcMillis;
use lambda_kit::{
    Invocation,
    schedule::{Handler, read},
};
use serde_json::{Value, json};
use sql_store::Store;
use testkit::databases;

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T07:00:01Z").unwrap()
}

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../events/create-promoter-vouchers")
}

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(events().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn handler(url: &str) -> CreatePromoterVouchers {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    CreatePromoterVouchers::new(store, Confirmation::Trusted, now)
}

async fn run(handler: &CreatePromoterVouchers, name: &str) -> Result<Value, String> {
    let run = read(&event(name)).map_err(|failed| failed.code)?;
    let answer = handler.handle(run, &Invocation::at(now())).await;
    answer
        .map(|report| json!(report))
        .map_err(|failed| failed.code)
}

#[tokio::test]
async fn the_job_runs_once_for_a_date_and_again_when_asked() {
    for database in databases().await {
        let handler = handler(database.url()).await;
        for (name, date, outcome) in [
            ("scheduled", "2026-11-20", "feito"),
            ("scheduled", "2026-11-20", "ja_feito"),
            ("for-a-date", "2026-11-19", "feito"),
            ("again", "2026-11-20", "feito"),
        ] {
            let report = run(&handler, name).await.unwrap();
            assert_eq!(report["job"], "mgm_create_promoter_voucher");
            assert_eq!(
                (&report["data"], &report["situacao"]),
                (&json!(date), &json!(outcome))
            );
        }
    }
}

#[tokio::test]
async fn a_broken_payload_names_what_is_wrong() {
    let database = databases().await.swap_remove(0);
    let handler = handler(database.url()).await;
    for (name, field) in [
        ("refused-without-date", "horario"),
        ("refused-broken-date", "data"),
        ("refused-list", "payload"),
    ] {
        let code = run(&handler, name).await.unwrap_err();
        assert!(code.contains(field), "{name}: {code}");
    }
}

#[test]
fn every_event_file_is_tested() {
    let files = std::fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    let tested = [
        "again",
        "for-a-date",
        "refused-broken-date",
        "refused-list",
        "refused-without-date",
        "scheduled",
    ];
    assert_eq!(files, tested.map(|name| format!("{name}.json")).into());
}
