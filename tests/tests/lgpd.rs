//! The record of processing of LGPD, art. 37, is written from the code's own allow-lists and from
//! database 2 as it is: where either changes, this test fails until docs/lgpd.md says so.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::fmt::Write;

use contracts::{
    changes::{Field, Kind, Projection},
    telesales::Telesales,
};
use domain::{
    telesales::{DELETION_DAYS, HOURLY_CONTACTS, LEASE_MS, RETENTION_DAYS},
    time::UtcMillis,
};
use sql_store::{FromQueryResult, Store, Tx, migrate, values};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lgpd.md");

#[derive(FromQueryResult)]
struct Named {
    name: String,
}

/// Every table of database 2 with its columns, from the database itself.
async fn schema() -> Vec<(String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco2.sqlite");
    let store = Store::open(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let now = UtcMillis::new(0).unwrap();
    migrate::migrate_by(&store, &migrate::TELESALES, now)
        .await
        .unwrap();
    let names = async |sql: &str| -> Vec<String> {
        let work = async |tx: &Tx| tx.all::<Named>(sql, values![]).await;
        let rows = store.transact(work).await.unwrap();
        rows.into_iter().map(|row| row.name).collect()
    };
    let mut tables = Vec::new();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    for table in names(sql).await {
        let sql = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
        let columns = names(&sql).await;
        tables.push((table, columns));
    }
    tables
}

fn taken(fields: &[Field]) -> String {
    let mut text = String::new();
    for field in fields {
        let what = match field.kind {
            Kind::Text => field.name.to_owned(),
            Kind::Consent(consent) => format!("{}: `{consent}` and nothing else", field.name),
        };
        writeln!(text, "| {what} | {} |", field.purpose).unwrap();
    }
    text
}

async fn document() -> String {
    let mut tables = String::new();
    for (table, columns) in schema().await {
        writeln!(tables, "| {table} | {} |", columns.join(", ")).unwrap();
    }
    format!(
        "# Record of processing: telesales (LGPD, art. 37)

Written from the code's allow-lists and from the database as it is. Do not edit it:
`FEIRA_WRITE_DOCS=1 cargo test --workspace --test lgpd` writes it, and the tests fail while it is out
of date.

| what | |
| --- | --- |
| Controller | the company that deploys Feira |
| Purpose | to call customers who agreed to be called |
| Legal basis | consent (art. 7, I), asked and withdrawn in the company's own system |
| Whose data | customers of the company |
| Source | the Kafka topic `clientes`; a daily comparison with the company's customers |
| Where it is kept | database 2, with credentials of its own |
| Who sees it | agents with the scope `televendas`, at most {HOURLY_CONTACTS} contacts an hour each, one agent a contact for {lease} minutes; every look is logged |
| Shared with | nobody |
| Kept for | {RETENTION_DAYS} days after the last update or outcome |
| After a deletion | a pseudonym and a version for {DELETION_DAYS} days, a receipt without personal data |
| Security | TLS to the database, sealed dead letters, pseudonyms by HMAC under a key of its own |

## What is read of a customer
Everything else in a record is skipped while it is read, and never stored.

| field | what for |
| --- | --- |
{fields}
## What database 2 can hold
`name`, `phone` and `region` of `contacts` are the personal data; `subject` and `phone_mark` are HMACs.

| table | columns |
| --- | --- |
{tables}
## Rights of the customer (art. 18)
| right | how |
| --- | --- |
| access, correction | in the company's system; a change arrives by `clientes` within a second |
| erasure, end of consent | a tombstone, or `consentimentos` without `televendas`: name, phone and region are deleted, the file's pages overwritten, and a receipt chained by hash is kept |
| not to be called | the outcome `nao_ligar`: the phone's HMAC stays, and outlasts updates and erasure |
| to know who shares the data | nobody does |
",
        lease = LEASE_MS / 60_000,
        fields = taken(Telesales::FIELDS),
    )
}

#[tokio::test]
async fn the_record_of_processing_is_what_the_code_does() {
    let expected = document().await;
    if std::env::var_os("FEIRA_WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &expected).unwrap();
    }
    let written = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        written == expected,
        "docs/lgpd.md is out of date: FEIRA_WRITE_DOCS=1 cargo test --workspace --test lgpd"
    );
}

#[tokio::test]
async fn database_2_has_room_for_a_name_a_phone_and_a_region_and_nothing_else() {
    let personal = ["name", "phone", "region"];
    let technical = [
        "subject",
        "phone_mark",
        "version",
        "source_partition",
        "source_offset",
        "recorded_ms",
        "changed_ms",
        "deleted",
        "agent",
        "claimed_until_ms",
        "outcome",
        "outcome_ms",
        "since_ms",
        "id",
        "purpose",
        "erased_for",
        "accessed_ms",
        "hour_ms",
        "contacts",
        "place",
        "consumer",
        "erased_ms",
        "erased",
        "reason",
        "previous_hash",
        "hash",
        "bucket",
        "theoretical_arrival_ms",
        "job",
        "logical_date",
        "status",
        "attempt",
        "holder",
        "leased_until_ms",
        "started_ms",
        "finished_ms",
        "resume_after",
        "counts",
        "error",
        "paused_ms",
        "statements",
        "applied_ms",
    ];
    for (table, columns) in schema().await {
        for column in columns {
            let is_personal = table == "contacts" && personal.contains(&column.as_str());
            assert!(
                is_personal || technical.contains(&column.as_str()),
                "{table}.{column} is not needed to call somebody"
            );
        }
    }
}
