//! Jobs of several pages: killed at each commit they go on where they stopped, and count right.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use bundle_tests::faults::{
    cutter::Cut,
    messages::{Message, customer, kafka_event, reference},
    shop::{CAMPAIGN, Delivery, Process, now, set_clock, signing_key},
    state::assert_sound,
    world::World,
};
use serde_json::{Value, json};

/// More than a page of each job.
const PEOPLE: usize = 510;
const MINUTE_MS: i64 = 60_000;
/// A dead job's lease ends after a quarter of an hour.
const AFTER_LEASES_MS: i64 = 16 * MINUTE_MS;

async fn customers_come(process: &Process) {
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("c{number:04}")).collect();
    let records: Vec<(&str, Option<Value>)> = names
        .iter()
        .map(|name| (name.as_str(), Some(customer(name, 1))))
        .collect();
    let event = kafka_event(0, &records);
    process.take(&Delivery::Customers(event)).await.unwrap();
}

/// Everybody buys through one link, and every trip ended a minute ago.
async fn everybody_buys(process: &Process) {
    let link = process.link_of(CAMPAIGN, "c0000").await;
    let signed = reference(&link, now().plus_millis(-MINUTE_MS), &signing_key());
    let moment = now().plus_millis(-MINUTE_MS).to_string();
    for number in 0..PEOPLE {
        let body = json!({"id_pedido": format!("p{number}"), "id_cliente": format!("f{number}"),
            "status": "aprovado", "total": "50.00", "aprovado_em": moment, "ref": signed,
            "termina_em": moment});
        let message = Message::bare(&format!("o{number}"), &format!("f{number}"), &body);
        process
            .take(&Delivery::Orders(vec![message]))
            .await
            .unwrap();
    }
}

async fn count(process: &Process, from: &str) -> usize {
    process
        .rows(&format!("SELECT 1 AS found FROM {from}"))
        .await
        .len()
}

/// Kills the job before and after each COMMIT of a whole run, each time in a fresh copy.
async fn kill_at_each_commit(
    world: &World,
    job: &Delivery,
    clock_ms: i64,
    check: impl AsyncFn(&Process, &str),
) {
    set_clock(clock_ms);
    // Whoever is there while files are copied keeps their logs in place.
    let (_anchor, _) = world.process(Cut::Never).await;
    let whole = world.copy().await;
    let (process, counter) = whole.process(Cut::Never).await;
    process.take(job).await.unwrap();
    let names = counter.names();
    check(&process, "whole").await;
    let points: Vec<usize> = (0..)
        .zip(names)
        .filter(|(_, name)| name.contains("COMMIT"))
        .map(|(point, _)| point)
        .collect();
    assert!(points.len() >= 12, "several pages, each with its commit");
    for point in points {
        set_clock(clock_ms);
        let world = world.copy().await;
        let (process, cutter) = world.process(Cut::Drop(point)).await;
        assert!(cutter.around(process.take(job)).await.is_none());
        drop(process);
        set_clock(clock_ms + AFTER_LEASES_MS);
        let (process, _) = world.process(Cut::Never).await;
        for _ in 0..2 {
            process.take(job).await.unwrap();
        }
        check(&process, &format!("{} at {point}", cutter.last())).await;
    }
}

async fn counted(process: &Process, job: &str) -> Value {
    let sql =
        format!("SELECT counts AS found FROM job_runs WHERE job = '{job}' AND status = 'done'");
    let counts = process
        .found(&sql)
        .await
        .unwrap_or_else(|| panic!("{job} is not done"));
    serde_json::from_str(counts.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn promoters_are_made_once_each_though_the_job_dies_at_any_commit() {
    let world = World::begin().await;
    let (process, _) = world.process(Cut::Never).await;
    customers_come(&process).await;
    let job = Delivery::SetPromoters(json!({"horario": now().to_string()}));
    kill_at_each_commit(
        &world,
        &job,
        MINUTE_MS,
        async |process: &Process, told: &str| {
            assert_eq!(count(process, "promoters").await, 2 * PEOPLE, "{told}");
            let counts = counted(process, "mgm_set_promoters").await;
            assert_eq!(
                counts,
                json!({"campanhas": 2, "promotores": 2 * PEOPLE}),
                "{told}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn vouchers_are_issued_once_each_though_the_sweep_dies_at_any_commit() {
    let world = World::begin().await;
    let (process, _) = world.process(Cut::Never).await;
    customers_come(&process).await;
    let promote = Delivery::SetPromoters(json!({"horario": now().to_string()}));
    process.take(&promote).await.unwrap();
    let sql = "UPDATE campaigns SET budget_centavos = 900000000";
    process.execute(sql, Vec::new()).await;
    everybody_buys(&process).await;
    let job = Delivery::Sweep(json!({"horario": now().to_string()}));
    kill_at_each_commit(
        &world,
        &job,
        MINUTE_MS,
        async |process: &Process, told: &str| {
            let issued = "vouchers WHERE kind = 'voucher_promotor' AND status = 'emitido'";
            assert_eq!(count(process, issued).await, PEOPLE, "{told}");
            assert_eq!(
                count(process, "referrals WHERE status = 'premiada'").await,
                PEOPLE,
                "{told}"
            );
            let counts = counted(process, "mgm_create_promoter_voucher").await;
            assert_eq!(counts["vouchers"], json!(PEOPLE), "{told}");
            assert_sound(process).await;
        },
    )
    .await;
}
