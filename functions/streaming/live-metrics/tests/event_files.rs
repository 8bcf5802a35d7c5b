//! Every event file of live-metrics, on every database that there is.
#![cfg(test)]

use std::collections::BTreeMap;

use domain::{
    events::{CustomerEvent, EventKind},
    identity::{ProductId, UserId},
    time::UtcMillis,
};
use lambda_kit::{Invocation, http};
use live_metrics::LiveMetrics;
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError, Tx,
    events::{Batch, EventKey, Incoming, commit, live, sort},
    values,
};
use testkit::{databases, event, event_cases};

const FUNCTION: &str = "live-metrics";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:00:30Z").unwrap()
}

fn incoming(number: u32, user: &str, kind: &str, product: &str, ago_ms: i64) -> Incoming {
    Incoming {
        key: EventKey::of(&format!("e/{number}")),
        event: CustomerEvent {
            user: UserId::parse(user).unwrap(),
            kind: EventKind::parse(kind).unwrap(),
            product: ProductId::parse(product).ok(),
            occurred: now().plus_millis(-ago_ms),
            event_id: Some(number.to_string()),
            session: None,
            quantity: None,
            price: None,
            reference: None,
        },
    }
}

async fn ingest(store: &Store, incoming: &[Incoming]) {
    let sorted = sort(store, incoming).await.unwrap();
    let profiles = BTreeMap::new();
    let batch = Batch {
        incoming,
        sorted: &sorted,
        profiles: &profiles,
        file: None,
        logs_clicks: true,
    };
    commit(store, &batch, now()).await.unwrap();
}

/// Three users of whom one buys, and two paid orders of which one is old.
async fn shop(url: &str) -> LiveMetrics {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    ingest(
        &store,
        &[
            incoming(1, "ana", "clique", "sandalia", 200_000),
            incoming(2, "bia", "clique", "sandalia", 100_000),
            incoming(3, "caio", "clique", "chapeu", 5_000),
        ],
    )
    .await;
    ingest(
        &store,
        &[
            incoming(4, "ana", "carrinho", "sandalia", 90_000),
            incoming(5, "ana", "compra", "sandalia", 60_000),
            incoming(6, "ana", "clique", "sandalia", 1_200_000),
            incoming(7, "dora", "clique", "sandalia", 90_000_000),
        ],
    )
    .await;
    let orders = async |tx: &Tx| {
        for (order, status, ago_ms) in [
            ("p1", "pago", 30_000),
            ("p2", "concluido", 90_000),
            ("p3", "cancelado", 30_000),
            ("p4", "pago", 900_000),
        ] {
            tx.execute(
                "INSERT INTO purchases (order_id, customer_id, status, total_centavos, \
                 approved_ms, updated_ms) VALUES (?, 'ana', ?, 7990, ?, 0)",
                values![order, status, now().get() - ago_ms],
            )
            .await?;
        }
        Ok(())
    };
    store.transact::<_, StoreError, _>(orders).await.unwrap();
    LiveMetrics::new(store)
}

async fn ask(function: &LiveMetrics, event: Value, at: UtcMillis) -> (Value, Value) {
    let mut answer = http::answer(function, event, &Invocation::at(at)).await;
    let body = answer["body"].take();
    let body = serde_json::from_str(body.as_str().unwrap()).unwrap_or(Value::Null);
    (answer, body)
}

#[tokio::test]
async fn the_figures_are_those_of_the_window() {
    for database in databases().await {
        let label = database.label();
        let function = shop(database.url()).await;
        let (answer, body) = ask(&function, event(FUNCTION, "accepted-five-minutes"), now()).await;
        assert_eq!(answer["statusCode"], 200, "{label}: {body}");
        assert_eq!(
            body["usuarios_ativos"],
            json!({"total": 3, "exato": true, "minimo": 3, "maximo": 3}),
            "{label}"
        );
        assert_eq!(
            body["eventos"],
            json!({"total": 5, "cliques": 3, "carrinhos": 1, "compras": 1, "por_minuto": "1.00"})
        );
        assert_eq!(
            body["vendas"],
            json!({"pedidos": 2, "pedidos_por_minuto": "0.40", "receita": "159.80",
                "receita_por_minuto": "31.96"})
        );
        assert_eq!(body["conversao"]["clique_carrinho"], "33.33");
        assert_eq!(body["conversao"]["carrinho_compra"], "100.00");
        assert_eq!(
            body["mais_vistos"],
            json!([{"id_produto": "sandalia", "visualizacoes": 2, "no_maximo": 2},
                {"id_produto": "chapeu", "visualizacoes": 1, "no_maximo": 1}])
        );
        let minutes = body["minutos"].as_array().unwrap();
        let of = |name: &str| -> Vec<i64> {
            minutes
                .iter()
                .map(|minute| minute[name].as_i64().unwrap())
                .collect()
        };
        assert_eq!(
            (of("eventos"), of("pedidos")),
            (vec![0, 1, 1, 2, 1], vec![0, 0, 0, 1, 1])
        );
        assert_eq!(
            (&body["atraso_s"], &body["atrasados"]),
            (&json!(5), &json!(1))
        );
        let (_, hour) = ask(&function, event(FUNCTION, "accepted-hour"), now()).await;
        assert_eq!(
            (&hour["eventos"]["total"], &hour["vendas"]["pedidos"]),
            (&json!(6), &json!(3))
        );
    }
}

#[tokio::test]
async fn who_has_the_answer_gets_none_and_within_two_seconds_nothing_is_read_again() {
    for database in databases().await {
        let function = shop(database.url()).await;
        let (first, body) = ask(&function, event(FUNCTION, "accepted-default"), now()).await;
        assert_eq!(first["headers"]["cache-control"], "private, max-age=2");
        let store = Store::open(database.url()).await.unwrap();
        ingest(&store, &[incoming(9, "eva", "clique", "chapeu", 1_000)]).await;
        let mut again = event(FUNCTION, "accepted-default");
        again["headers"]["if-none-match"] = first["headers"]["etag"].clone();
        let soon = now().plus_millis(1_999);
        let (second, nothing) = ask(&function, again.clone(), soon).await;
        assert_eq!((&second["statusCode"], nothing), (&json!(304), Value::Null));
        let (third, newer) = ask(&function, again.clone(), now().plus_millis(2_000)).await;
        assert_eq!(third["statusCode"], 200);
        let another = LiveMetrics::new(store);
        let tag = third["headers"]["etag"].as_str().unwrap();
        again["headers"]["if-none-match"] = json!(format!("\"x\", W/{tag}"));
        for function in [&function, &another] {
            let (later, _) = ask(function, again.clone(), now().plus_millis(9_000)).await;
            assert_eq!(later["statusCode"], 304, "nothing new, whoever is asked");
        }
        let total = |body: &Value| body["eventos"]["total"].as_i64().unwrap();
        assert_eq!(total(&newer), total(&body) + 1, "{}", database.label());
    }
}

#[tokio::test]
async fn a_stream_that_stopped_shows_in_how_old_the_newest_event_is() {
    for database in databases().await {
        let function = shop(database.url()).await;
        let later = now().plus_millis(1_800_000);
        let (_, body) = ask(&function, event(FUNCTION, "accepted-five-minutes"), later).await;
        assert_eq!(body["eventos"]["total"], 0, "{}", database.label());
        assert_eq!(body["atraso_s"], 1_805);
    }
}

/// The most that a minute's figures hold: MySQL's BLOB would be too small.
#[tokio::test]
async fn the_largest_figures_of_a_minute_are_kept_and_put_together() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let window = domain::events::Window::parse("5m").unwrap();
        let mut number = 0;
        for batch in 0..17_u32 {
            let incoming: Vec<Incoming> = (0..250)
                .map(|_| {
                    number += 1;
                    let product = format!("{:064}", number % 2_048);
                    let kind = ["clique", "carrinho", "compra"][batch as usize % 3];
                    incoming(number, &format!("u{number}"), kind, &product, 150_000)
                })
                .collect();
            ingest(&store, &incoming).await;
        }
        let before = live::read(&store, window, now())
            .await
            .unwrap()
            .whole
            .encode();
        assert!(before.len() > 65_535, "{}", before.len());
        assert_eq!(live::fold(&store, now()).await, Ok(1));
        let after = live::read(&store, window, now())
            .await
            .unwrap()
            .whole
            .encode();
        assert_eq!(after, before, "{}", database.label());
    }
}

#[tokio::test]
async fn parts_that_are_put_together_tell_the_same() {
    for database in databases().await {
        let function = shop(database.url()).await;
        let store = Store::open(database.url()).await.unwrap();
        for number in 0..40 {
            let user = format!("u{}", number % 7);
            ingest(
                &store,
                &[incoming(100 + number, &user, "clique", "bolsa", 150_000)],
            )
            .await;
        }
        let window = domain::events::Window::parse("5m").unwrap();
        let figures = async || live::read(&store, window, now()).await.unwrap().whole;
        let before = figures().await;
        assert_eq!(
            live::fold(&store, now()).await,
            Ok(1),
            "{}",
            database.label()
        );
        assert_eq!(live::fold(&store, now()).await, Ok(0));
        assert_eq!(figures().await.encode(), before.encode());
        drop(function);
    }
}

#[tokio::test]
async fn every_event_file_is_answered_as_its_name_says() {
    for database in databases().await {
        let function = shop(database.url()).await;
        for case in event_cases(FUNCTION) {
            let (answer, _) = ask(&function, event(FUNCTION, &case), now()).await;
            let expected = if case.starts_with("accepted-") {
                200
            } else {
                400
            };
            assert_eq!(
                answer["statusCode"],
                expected,
                "{case} on {}",
                database.label()
            );
        }
    }
}
