//! Every event file of most-viewed, on every database that there is.
#![cfg(test)]

use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use most_viewed::MostViewed;
use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx, values};
use testkit::{databases, event, event_cases};

const FUNCTION: &str = "most-viewed";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:00:00Z").unwrap()
}

async fn shop(url: &str) -> MostViewed {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    let today = now().day();
    let views = async |tx: &Tx| {
        for (days_ago, product, part, views) in [
            (0, "chapeu", "", 5),
            (0, "chapeu", "A", 2),
            (1, "chapeu", "B", 1),
            (1, "sandalia", "B", 8),
            (2, "bolsa", "C", 3),
            (10, "bolsa", "D", 100),
        ] {
            tx.execute(
                "INSERT INTO product_views (view_day, product_id, part_id, views) \
                 VALUES (?, ?, ?, ?)",
                values![today.epoch_days() - days_ago, product, part, views],
            )
            .await?;
        }
        Ok(())
    };
    store.transact::<_, StoreError, _>(views).await.unwrap();
    MostViewed::new(store)
}

async fn ask(function: &MostViewed, event: Value) -> (Value, Value) {
    let mut answer = http::answer(function, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].take().as_str().unwrap()).unwrap();
    (answer["statusCode"].take(), body)
}

#[tokio::test]
async fn a_week_is_ranked_and_equals_come_by_their_names() {
    for database in databases().await {
        let function = shop(database.url()).await;
        let (status, body) = ask(&function, event(FUNCTION, "accepted-week")).await;
        assert_eq!(status, 200, "{}: {body}", database.label());
        let expected = json!([
            {"id_produto": "chapeu", "count": 8},
            {"id_produto": "sandalia", "count": 8},
            {"id_produto": "bolsa", "count": 3}
        ]);
        assert_eq!(body["itens"], expected, "{}", database.label());
    }
}

#[tokio::test]
async fn pages_follow_each_other_to_the_last() {
    for database in databases().await {
        let function = shop(database.url()).await;
        let mut asked = event(FUNCTION, "accepted-days");
        let mut found = Vec::new();
        loop {
            let (status, body) = ask(&function, asked.clone()).await;
            assert_eq!(status, 200, "{body}");
            found.push(body["itens"][0]["id_produto"].as_str().unwrap().to_owned());
            let Some(next) = body["proximo"].as_str() else {
                break;
            };
            asked["queryStringParameters"]["cursor"] = next.into();
        }
        assert_eq!(
            found,
            ["bolsa", "chapeu", "sandalia"],
            "{}",
            database.label()
        );
    }
}

#[tokio::test]
async fn every_event_file_is_answered_as_its_name_says() {
    for database in databases().await {
        let function = shop(database.url()).await;
        for case in event_cases(FUNCTION) {
            let (status, _) = ask(&function, event(FUNCTION, &case)).await;
            let expected = if case.starts_with("accepted-") {
                200
            } else {
                400
            };
            assert_eq!(status, expected, "{case} on {}", database.label());
        }
    }
}
