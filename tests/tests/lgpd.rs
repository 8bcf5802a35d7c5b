//! The records of processing of LGPD, art. 37, are written from the code's own allow-lists and constants
//! and from the databases as they are: where either changes, this test fails until docs/lgpd.md says so.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{fmt::Write, path::Path};

use contracts::{
    changes::{Field, Kind, Projection},
    telesales::Telesales,
};
use domain::{
    events::DEDUPLICATION_DAYS,
    lake::Table,
    telesales::{
        CLAIM_DAYS, DELETION_DAYS, EXPIRED_DAYS, HOURLY_CONTACTS, LEASE_MS, OPEN_CLAIMS,
        RETENTION_DAYS,
    },
    time::UtcMillis,
};
use kafka_consumer::{LETTER_DAYS, LONGEST_LETTER_DAYS};
use sam_template::Template;
use sql_store::{
    FromQueryResult, Store, Tx,
    housekeeping::{CLICK_LOG_DAYS, PROFILE_DAYS},
    migrate,
    telesales::retention::ACCESS_DAYS,
    values,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lgpd.md");

#[derive(FromQueryResult)]
struct Named {
    name: String,
}

/// Every table of a database with its columns, from the database itself.
async fn schema(migrations: &[migrate::Migration]) -> Vec<(String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco.sqlite");
    let store = Store::open(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let now = UtcMillis::new(0).unwrap();
    migrate::migrate_by(&store, migrations, now).await.unwrap();
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

/// The tables of events of customers in database 1, by what they are for and how many days they are kept.
const EVENTS: [(&str, &str, u32); 4] = [
    (
        "ingested_events",
        "that an event counts once: a hash of its identity and of its content",
        DEDUPLICATION_DAYS,
    ),
    (
        "conflicting_events",
        "events with the identity of another one, for an operator to settle: the whole event",
        DEDUPLICATION_DAYS,
    ),
    (
        "click_log",
        "what was looked at, for the company's own programs; in MongoDB `cliques`",
        CLICK_LOG_DAYS,
    ),
    (
        "profiles",
        "the segment of a buyer, of the own orders; in MongoDB `perfis`",
        PROFILE_DAYS,
    ),
];

/// How long what could not be read lies in AWS, in days: in the queue, and in the bucket.
fn days_of_letters() -> (u32, u32) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));
    let template = Template::read(path).unwrap();
    let queue = template.queue("TelesalesDeadLetters").unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let bucket = text.split("\n  TelesalesFailedRecords:\n").nth(1).unwrap();
    let bucket = bucket
        .split("\n  TelesalesFailedRecordsPolicy:")
        .next()
        .unwrap();
    let days = bucket.split("ExpirationInDays: ").nth(1).unwrap();
    let days = days.lines().next().unwrap().trim().parse().unwrap();
    (queue.retention_seconds / 86_400, days)
}

/// What is kept of telesales, where, and for how long.
fn kept() -> String {
    let (queue, bucket) = days_of_letters();
    let rows = [
        (
            "name, phone, region",
            "database 2, `contacts`",
            format!("{RETENTION_DAYS} days after the last update or outcome"),
        ),
        (
            "who called, and how it ended",
            "database 2, `calls`",
            "as long as the contact: an erasure deletes both".to_owned(),
        ),
        (
            "of an erased contact its pseudonym and version",
            "database 2, `contacts`",
            format!(
                "{DELETION_DAYS} days; {EXPIRED_DAYS} after the source had it last where its time was over"
            ),
        ),
        (
            "who looked at whom, by pseudonym, when and what for",
            "database 2, `access_log`",
            format!("{ACCESS_DAYS} days, after an erasure too"),
        ),
        (
            "that somebody was erased, by pseudonym, when, what and why",
            "database 2, `erasure_receipts`",
            "without an end: it is the proof".to_owned(),
        ),
        (
            "the HMAC of a phone that is not to be called",
            "database 2, `do_not_call`",
            "without an end: it is what was asked for".to_owned(),
        ),
        (
            "the HMAC of a phone that is being called, and how many contacts an agent saw in an hour",
            "database 2, `phone_leases` and `agent_hours`",
            format!("{CLAIM_DAYS} day"),
        ),
        (
            "which phone, as an HMAC, an agent called under whose pseudonym: who is erased during the call may say all the same that it is not to be called",
            "database 2, `claimed_phones`",
            format!("{CLAIM_DAYS} day after the call, after an erasure too"),
        ),
        (
            "records that can't be read, whole, with every field that the company wrote, the CPF too; sealed",
            "the queue TelesalesDeadLetters, under a KMS key as well",
            format!("{queue} days"),
        ),
        (
            "the same, of the consumer as a process",
            "the topic `clientes.televendas.cartas-mortas`",
            format!(
                "its retention: {LETTER_DAYS} days as it is made, {LONGEST_LETTER_DAYS} at most"
            ),
        ),
        (
            "batches that failed for good, whole, with every field that the company wrote, the CPF too",
            "the bucket TelesalesFailedRecords, under a KMS key",
            format!("{bucket} days"),
        ),
    ];
    let rows = rows.map(|(what, place, time)| format!("| {what} | {place} | {time} |\n"));
    rows.concat()
}

/// What is kept of what customers do in the shop.
async fn events() -> String {
    let tables = schema(&migrate::SHOP).await;
    let mut text = String::new();
    for (name, purpose, days) in EVENTS {
        let (_, columns) = tables.iter().find(|(table, _)| table == name).unwrap();
        let columns = columns.join(", ");
        writeln!(text, "| {name} | {columns} | {purpose} | {days} days |").unwrap();
    }
    let lake = Table::CustomerEvents;
    let columns: Vec<&str> = lake.columns().iter().map(|column| column.name).collect();
    writeln!(
        text,
        "| {} in the lake | {} | history: rankings, recommendations, demand | without an end; the \
         company deletes |",
        lake.name(),
        columns.join(", ")
    )
    .unwrap();
    text
}

const RIGHTS: &str = "\
## Rights of the customer (art. 18)
| right | how |
| --- | --- |
| access, correction | in the company's system; a change arrives by `clientes`, with the delays that bench/README.md tells |
| erasure, end of consent | a tombstone, or `consentimentos` without `televendas`: name, phone, region and calls are deleted in the transaction that reads it, and a receipt chained by hash is kept. SQLite's file is then written anew and its log emptied, after the batch or within seconds; MySQL purges its undo and redo logs at its own pace, and backups are the company's |
| not to be called | the outcome `nao_ligar`: the HMAC of the phone that was called stays, and of the contact's present one; they outlast updates and erasure, also one during the call |
| to know who shares the data | nobody does; who looked at it stands in `access_log` |
";

async fn document() -> String {
    format!(
        "\
# Records of processing (LGPD, art. 37)

Written from the code's allow-lists and constants, from template.yaml and from the databases as they are.
Do not edit it: `FEIRA_WRITE_DOCS=1 cargo test --workspace --test lgpd` writes it, and the tests fail while
it is out of date.

{}
{}",
        telesales().await,
        visitors().await
    )
}

async fn visitors() -> String {
    format!(
        "\
# Events of customers
| what | |
| --- | --- |
| Controller | the company that deploys Feira |
| Purpose | live figures, rankings, recommendations and demand |
| Legal basis | the company's to name; what it says of visitors who are no customers yet is up to its shop |
| Whose data | visitors of the shop, by `id_usuario`: a pseudonym, whose name stands in `customers` of database 1 and in the company's system, where it is a customer's |
| Source | the topic `eventos_clientes`, `POST /eventos` |
| Where it is kept | database 1, or MongoDB where the company has it, and the lake |
| Shared with | nobody |

| table | columns | what for | for how long |
| --- | --- | --- | --- |
{events}
An erasure of the customer deletes `profiles` and `click_log` (`cliques`, `perfis`). The lake's rows stay,
and their `id_usuario` leads to nobody in Feira any more.
",
        events = events().await,
    )
}

async fn telesales() -> String {
    let mut tables = String::new();
    for (table, columns) in schema(&migrate::TELESALES).await {
        writeln!(tables, "| {table} | {} |", columns.join(", ")).unwrap();
    }
    format!(
        "\
# Telesales
| what | |
| --- | --- |
| Controller | the company that deploys Feira |
| Purpose | to call customers who agreed to be called |
| Legal basis | consent (art. 7, I), asked and withdrawn in the company's own system |
| Whose data | customers of the company |
| Source | the Kafka topic `clientes`; a daily comparison with the company's customers |
| Where it is kept | database 2, with credentials of its own; what can't be read beside it, see below |
| Who sees it | agents with the scope `televendas`, at most {HOURLY_CONTACTS} contacts an hour each, one agent a contact and its phone for {lease} minutes, {OPEN_CLAIMS} at a time; every look is logged |
| Shared with | nobody |
| Security | TLS to the database, pseudonyms by HMAC under a key of its own; what can't be read is sealed under another one, and a batch that failed for good is encrypted by KMS alone |

## What is read of a customer
Everything else in a record is skipped while it is read. A record that can't be read is kept whole, sealed.

| field | what for |
| --- | --- |
{fields}
## What is kept, and for how long
| what | where | for how long |
| --- | --- | --- |
{kept}
## What database 2 can hold
`name`, `phone` and `region` of `contacts` are the personal data; `subject` and `phone_mark` are HMACs.

| table | columns |
| --- | --- |
{tables}
{RIGHTS}",
        lease = LEASE_MS / 60_000,
        fields = taken(Telesales::FIELDS),
        kept = kept(),
    )
}

/// A table of database 1 that names a visitor is in the record, and so is what holds an event whole.
#[tokio::test]
async fn no_table_of_events_is_missing_in_the_record() {
    for (table, columns) in schema(&migrate::SHOP).await {
        let is_of_events = columns
            .iter()
            .any(|column| ["user_id", "content", "event_key"].contains(&column.as_str()));
        let is_told = EVENTS.iter().any(|(name, ..)| *name == table);
        assert_eq!(is_of_events, is_told, "{table} ({})", columns.join(", "));
    }
    assert!(days_of_letters().0 > 0);
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
    for (table, columns) in schema(&migrate::TELESALES).await {
        for column in columns {
            let is_personal = table == "contacts" && personal.contains(&column.as_str());
            assert!(
                is_personal || technical.contains(&column.as_str()),
                "{table}.{column} is not needed to call somebody"
            );
        }
    }
}
