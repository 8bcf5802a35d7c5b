//! Every event file of expire-contacts, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::telesales::RETENTION_DAYS;
use domain::time::UtcMillis;
use expire_contacts::ExpireContacts;
use lambda_kit::schedule::{Handler, read};
use lambda_kit::{Invocation, InvocationFailed};
use serde_json::{Value, json};
use sql_store::migrate::{TELESALES, migrate_by};
use sql_store::projection::receipts;
use sql_store::{Store, StoreError, Tx, values};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "expire-contacts";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T05:30:00Z").unwrap()
}

/// Database 2 with a contact of today, and one that nobody has touched for too long.
async fn telesales(database: &TestDatabase) -> (Store, ExpireContacts) {
    let store = Store::open(database.url()).await.unwrap();
    migrate_by(&store, &TELESALES, now()).await.unwrap();
    let old = now().minus_days(RETENTION_DAYS + 1);
    for (subject, changed) in [("a1", old), ("a2", now())] {
        let sql = "INSERT INTO contacts (subject, version, recorded_ms, changed_ms, deleted, name, \
                   phone, region, phone_mark) VALUES (?, 1, 0, ?, 0, 'Ana', '+5511964166764', 'SP', \
                   'm')";
        let work = async |tx: &Tx| tx.execute(sql, values![subject, changed.get()]).await;
        store.transact::<_, StoreError, _>(work).await.unwrap();
    }
    (store.clone(), ExpireContacts::new(store, now))
}

async fn send(function: &ExpireContacts, case: &str) -> Result<Value, InvocationFailed> {
    let run = read(&event(FUNCTION, case))?;
    let report = function.handle(run, &Invocation::at(now())).await?;
    Ok(serde_json::to_value(report).unwrap())
}

#[tokio::test]
async fn what_is_past_its_time_is_deleted_once_with_a_receipt() {
    for database in databases().await {
        let (store, function) = telesales(&database).await;
        let report = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], "feito", "{}", database.label());
        assert_eq!(report["contagens"]["contatos"], 1);
        assert_eq!(receipts::verify(&store).await.unwrap(), Ok(1));
        let again = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(again["situacao"], "ja_feito");
        let told = send(&function, "accepted-date-again").await.unwrap();
        assert_eq!(told["contagens"]["contatos"], 0);
    }
}

#[tokio::test]
async fn a_paused_job_says_so_and_deletes_nothing() {
    for database in databases().await {
        let (store, function) = telesales(&database).await;
        let job = domain::jobs::TELESALES_EXPIRE_CONTACTS.name;
        sql_store::jobs::pause(&store, job, now()).await.unwrap();
        let report = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], json!("pausado"));
        assert_eq!(receipts::verify(&store).await.unwrap(), Ok(0));
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field_and_changes_nothing() {
    for database in databases().await {
        let (store, function) = telesales(&database).await;
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let is_date = case.contains("date");
                let field = if is_date { "data" } else { "horario" };
                let error = send(&function, &case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        assert_eq!(receipts::verify(&store).await.unwrap(), Ok(0));
    }
}
