//! Vouchers issued per second through the handler of issue-trip-voucher, every row included
//! (mark, leg, referral, voucher, audit, outbox), by batch size, on the database of DATABASE_URL.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{error::Error, time::Instant};

use bench::process_cost;
use domain::time::UtcMillis;
use issue_trip_voucher::IssueTripVoucher;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed, sqs};
use serde_json::{Value, json};
use sql_store::{Store, Tx, placeholders, values};

const BATCHES: [usize; 7] = [1, 10, 50, 100, 200, 500, 1000];
const DEFAULT_VOUCHERS: usize = 10_000;
/// Small batches would take minutes for the same count.
const MOST_BATCHES: usize = 1_000;
const ROWS_AT_ONCE: usize = 500;
/// What a run writes.
const TABLES: [&str; 8] = [
    "handled_messages",
    "trip_legs",
    "purchases",
    "referrals",
    "vouchers",
    "audit_log",
    "outbox",
    "campaigns",
];

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
    let vouchers = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let vouchers = vouchers.unwrap_or(DEFAULT_VOUCHERS);
    let store = Store::open(&url).await?;
    let now = lambda_kit::clock::now();
    sql_store::migrate::migrate(&store, now).await?;
    let letters = NoLetters(SealKey::new(&[0; 32]).ok_or("a key")?);
    let handler = IssueTripVoucher::new(store.clone());
    println!("| messages a batch | vouchers | seconds | vouchers/s | our CPU µs/voucher |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for batch in BATCHES {
        let count = vouchers.min(batch * MOST_BATCHES);
        empty(&store).await?;
        let run = store.transact(async |tx: &Tx| tx.new_id(now)).await?;
        accept_referrals(&store, &run, count, now).await?;
        let events: Vec<Value> = events(&run, count, batch);
        let cpu = process_cost::of(std::process::id())?.cpu_micros;
        let begun = Instant::now();
        for event in events {
            let answer = sqs::answer("bench", &letters, &handler, event, now).await?;
            if answer != json!({"batchItemFailures": []}) {
                return Err("a message failed".into());
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = process_cost::of(std::process::id())?.cpu_micros - cpu;
        let issued = issued(&store, &run).await?;
        if usize::try_from(issued)? != count {
            return Err(format!("{issued} vouchers instead of {count}").into());
        }
        println!(
            "| {batch} | {count} | {seconds:.2} | {:.0} | {:.0} |",
            count as f64 / seconds,
            cpu as f64 / count as f64
        );
    }
    Ok(())
}

/// Each batch size begins alike: in a fuller database the next one would look slower.
async fn empty(store: &Store) -> Result<(), sql_store::StoreError> {
    for table in TABLES {
        let sql = format!("TRUNCATE TABLE {table}");
        let work = async |tx: &Tx| tx.execute(&sql, values![]).await;
        store.transact(work).await?;
    }
    Ok(())
}

/// Referrals as reward-purchase leaves them, written in bulk.
async fn accept_referrals(
    store: &Store,
    run: &str,
    count: usize,
    now: UtcMillis,
) -> Result<(), Box<dyn Error>> {
    store
        .transact(async |tx: &Tx| {
            tx.execute(
                "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
                 reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
                 spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
                 accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
                 updated_ms) VALUES (?, 'Bench', 'ativa', 0, ?, 1000, 3000, 0, ?, ?, 0, 365, 0, 0, \
                 0, 1, 0, 'https://loja.example.com/', 1, ?, ?)",
                values![
                    run,
                    now.plus_days(365).get(),
                    9_000_000_000_i64,
                    3_000 * count as i64,
                    now.get(),
                    now.get()
                ],
            )
            .await
        })
        .await?;
    for start in (0..count).step_by(ROWS_AT_ONCE) {
        let rows = ROWS_AT_ONCE.min(count - start);
        store
            .transact(async |tx: &Tx| insert_rows(tx, run, start, rows, now).await)
            .await?;
    }
    Ok(())
}

async fn insert_rows(
    tx: &Tx,
    run: &str,
    start: usize,
    rows: usize,
    now: UtcMillis,
) -> Result<(), sql_store::StoreError> {
    let mut purchases = Vec::new();
    let mut referrals = Vec::new();
    for place in start..start + rows {
        let order = order(run, place);
        let friend = format!("{run}-{place}");
        purchases.extend(values![
            order.as_str(),
            friend.as_str(),
            "pago",
            10_000_i64,
            now.get(),
            now.get()
        ]);
        referrals.extend(values![
            tx.new_id(now)?,
            run,
            format!("promotor-{}", place % 1000),
            friend,
            "active",
            order,
            "00000000000",
            "aceita",
            "2026-11",
            "2026-11",
            10_000_i64,
            now.get(),
            3_000_i64,
            1_i64,
            "0".repeat(64)
        ]);
    }
    let sql = format!(
        "INSERT INTO purchases (order_id, customer_id, status, total_centavos, approved_ms, \
         updated_ms) VALUES {}",
        placeholders(rows, 6)
    );
    tx.execute(&sql, purchases).await?;
    let sql = format!(
        "INSERT INTO referrals (id, campaign_id, promoter_id, friend_id, slot, order_id, \
         link_code, status, cohort, purchase_month, purchase_centavos, purchased_ms, \
         reward_reserved_centavos, version, audit_hash) VALUES {}",
        placeholders(rows, 15)
    );
    tx.execute(&sql, referrals).await.map(|_| ())
}

fn order(run: &str, place: usize) -> String {
    format!("pedido-{run}-{place}")
}

/// Events of the SQS mapping: one completed trip a message.
fn events(run: &str, count: usize, batch: usize) -> Vec<Value> {
    let messages: Vec<Value> = (0..count)
        .map(|place| {
            let body = json!({
                "id_pedido": order(run, place), "id_cliente": format!("{run}-{place}"),
                "concluido_em": "2026-11-20T12:00:00-03:00",
            });
            json!({
                "messageId": format!("{run}-{place}"), "body": body.to_string(),
                "attributes": {"MessageGroupId": format!("{run}-{place}")},
                "messageAttributes": {}, "eventSource": "aws:sqs",
            })
        })
        .collect();
    messages
        .chunks(batch)
        .map(|records| json!({ "Records": records }))
        .collect()
}

async fn issued(store: &Store, run: &str) -> Result<i64, sql_store::StoreError> {
    #[derive(sql_store::FromQueryResult)]
    struct Row {
        vouchers: i64,
    }
    store
        .transact(async |tx: &Tx| {
            let sql = "SELECT COUNT(*) AS vouchers FROM vouchers WHERE campaign_id = ?";
            let row: Option<Row> = tx.one(sql, values![run]).await?;
            Ok(row.map_or(0, |row| row.vouchers))
        })
        .await
}
