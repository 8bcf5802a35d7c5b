//! Events ingested per second through the handler of ingest-customer-events, every effect included,
//! by instances; and what a row of live figures for each minute would cost that all batches update, on
//! the database of DATABASE_URL.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{error::Error, time::Instant};

use bench::process_cost;
use documents::Documents;
use domain::time::UtcMillis;
use files::{Files, FolderFiles};
use futures::future::try_join_all;
use ingest_customer_events::IngestCustomerEvents;
use lake::Lake;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed, sqs};
use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx, values};

const BATCH: usize = 1_000;
const BATCHES: usize = 10;
const INSTANCES: [usize; 3] = [1, 2, 5];
/// Batches that each writer of the comparison commits.
const COMMITS: usize = 200;
const WRITERS: [usize; 3] = [1, 5, 20];
/// Bytes of figures that a batch appends for a minute.
const PART_BYTES: usize = 2_000;

/// Nothing is refused here, so nothing is sent.
struct NoLetters(SealKey);

impl DeadLetters for NoLetters {
    fn seal_key(&self) -> &SealKey {
        &self.0
    }

    async fn send_dead_letter(&self, _: String) -> Result<(), SendFailed> {
        Err(SendFailed)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "set DATABASE_URL to an empty database")?;
    let store = Store::open(&url).await?;
    let now = lambda_kit::clock::now();
    sql_store::migrate::migrate(&store, now).await?;
    ingestion(&url, now).await?;
    live_rows(&url, &store, now).await
}

async fn ingestion(url: &str, now: UtcMillis) -> Result<(), Box<dyn Error>> {
    let letters = NoLetters(SealKey::new(&[0; 32]).ok_or("a key")?);
    let folder = std::env::temp_dir().join(format!("feira-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("| instances | events | seconds | events/s | our CPU µs/event |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for instances in INSTANCES {
        let mut runs = Vec::new();
        for instance in 0..instances {
            let lake = Lake::new(Files::Folder(FolderFiles::open(&folder)?), "bench");
            let store = Store::open(url).await?;
            let handler = IngestCustomerEvents::new(store.clone(), Documents::in_sql(store), lake);
            let prefix = format!("{}-{instances}-{instance}", now.get());
            let events: Vec<Value> = (0..BATCHES)
                .map(|batch| event(&prefix, batch, now))
                .collect();
            runs.push((handler, events));
        }
        let own = std::process::id();
        let (before, begun) = (process_cost::of(own)?, Instant::now());
        let work = runs.into_iter().map(|(handler, events)| {
            let letters = &letters;
            async move {
                for event in events {
                    let answer = sqs::answer("bench", letters, &handler, event, now).await;
                    if answer.ok() != Some(json!({"batchItemFailures": []})) {
                        return Err("a batch failed");
                    }
                }
                Ok(())
            }
        });
        try_join_all(work).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let cpu_micros = process_cost::of(own)?.cpu_micros - before.cpu_micros;
        let count = instances * BATCHES * BATCH;
        println!(
            "| {instances} | {count} | {seconds:.2} | {:.0} | {:.1} |",
            count as f64 / seconds,
            cpu_micros as f64 / count as f64
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn event(prefix: &str, batch: usize, now: UtcMillis) -> Value {
    let records: Vec<Value> = (0..BATCH)
        .map(|place| {
            let number = batch * BATCH + place;
            let body = json!({
                "id_evento": format!("{prefix}-{number}"), "id_usuario": format!("u{}", number % 700),
                "tipo_evento": if number.is_multiple_of(9) { "carrinho" } else { "clique" },
                "id_produto": format!("p{}", number % 900), "timestamp": now.to_string(),
            });
            json!({"messageId": format!("m{place}"), "body": body.to_string(), "attributes": {},
                "messageAttributes": {}})
        })
        .collect();
    json!({ "Records": records })
}

/// The one statement in which the two ways differ, in a transaction with twenty marks before it.
async fn live_rows(url: &str, store: &Store, now: UtcMillis) -> Result<(), Box<dyn Error>> {
    let minute_ms = now.get() - now.get() % 60_000;
    for sql in [
        "CREATE TABLE IF NOT EXISTS bench_minutes (minute_ms BIGINT NOT NULL PRIMARY KEY, \
         events BIGINT NOT NULL, figures BLOB NOT NULL)",
        "DELETE FROM bench_minutes",
    ] {
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        store.transact::<_, StoreError, _>(work).await?;
    }
    let first = async |tx: &Tx| {
        tx.execute(
            "INSERT INTO bench_minutes VALUES (?, 0, ?)",
            values![minute_ms, vec![0_u8; PART_BYTES]],
        )
        .await
    };
    store.transact::<_, StoreError, _>(first).await?;
    println!("\n| writers | parts appended, commits/s | one row updated, commits/s |");
    println!("| ---: | ---: | ---: |");
    for writers in WRITERS {
        let mut speeds = Vec::new();
        for updates in [false, true] {
            let mut stores = Vec::new();
            for _ in 0..writers {
                stores.push(Store::open(url).await?);
            }
            let begun = Instant::now();
            let work = stores
                .iter()
                .map(|store| write(store, updates, minute_ms, now));
            try_join_all(work).await?;
            speeds.push((writers * COMMITS) as f64 / begun.elapsed().as_secs_f64());
        }
        let [appended, updated] = speeds.as_slice() else {
            return Err("two ways were measured".into());
        };
        println!("| {writers} | {appended:.0} | {updated:.0} |");
    }
    let clean = async |tx: &Tx| tx.execute("DROP TABLE bench_minutes", values![]).await;
    store.transact::<_, StoreError, _>(clean).await?;
    Ok(())
}

async fn write(
    store: &Store,
    updates: bool,
    minute_ms: i64,
    now: UtcMillis,
) -> Result<(), StoreError> {
    for _ in 0..COMMITS {
        store
            .transact(async |tx: &Tx| {
                let id = tx.new_id(now)?;
                if updates {
                    // A reader of the row, since sets of users are merged and written back.
                    let sql = format!(
                        "SELECT 1 FROM bench_minutes WHERE minute_ms = ?{}",
                        tx.for_update()
                    );
                    tx.exists(&sql, values![minute_ms]).await?;
                    tx.execute(
                        "UPDATE bench_minutes SET events = events + 1, figures = ? \
                         WHERE minute_ms = ?",
                        values![vec![1_u8; PART_BYTES], minute_ms],
                    )
                    .await?;
                } else {
                    tx.execute(
                        "INSERT INTO live_parts (minute_ms, part_id, figures) VALUES (?, ?, ?)",
                        values![minute_ms, id.as_str(), vec![1_u8; PART_BYTES]],
                    )
                    .await?;
                }
                let marks: Vec<String> = (0..20).map(|number| format!("{id}{number}")).collect();
                let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
                tx.mark_all_handled("bench", &marks, now).await
            })
            .await?;
    }
    Ok(())
}
