//! The event files of this function, on every database that there is.
#![cfg(test)]

mod documents;
mod real_events;
mod shop;
mod simulation;

use std::collections::BTreeSet;

use domain::{
    customers::{News, Place},
    identity::CustomerId,
    time::UtcMillis,
};
use serde_json::json;
use shop::{FUNCTION, NOW, Shop, sqs};
use sql_store::{
    Store, StoreError, Tx, events::profiles::of_users, migrate::migrate, products::note_category,
    values,
};
use testkit::{databases, event, event_cases};

/// What each event file leaves: events, clicks, duplicates, conflicts, late, ahead, dead letters.
const EXPECTED: [(&str, [i64; 6], usize); 8] = [
    ("accepted-bare", [1, 1, 0, 0, 0, 0], 0),
    ("accepted-from-kafka", [1, 1, 0, 0, 0, 0], 0),
    ("accepted-story", [6, 3, 0, 0, 0, 0], 0),
    ("accepted-delivered-twice", [1, 1, 2, 0, 0, 0], 0),
    ("accepted-late", [1, 1, 0, 0, 1, 0], 0),
    ("accepted-ahead", [1, 1, 0, 0, 0, 1], 0),
    ("accepted-same-id-other-content", [1, 1, 0, 1, 0, 0], 0),
    ("refused-among-good", [2, 2, 0, 0, 0, 0], 6),
];

const COLUMNS: [&str; 6] = [
    "events",
    "clicks",
    "duplicates",
    "conflicts",
    "late",
    "ahead",
];

#[tokio::test]
async fn each_event_file_leaves_what_it_says_and_nothing_more_when_it_comes_again() {
    for (name, expected, letters) in EXPECTED {
        for shop in Shop::everywhere().await {
            let label = format!("{name} on {}", shop.label);
            let none_failed = json!({"batchItemFailures": []});
            assert_eq!(
                shop.receive(event(FUNCTION, name)).await,
                none_failed,
                "{label}"
            );
            for (column, expected) in COLUMNS.into_iter().zip(expected) {
                assert_eq!(shop.sum(column).await, expected, "{label}: {column}");
            }
            assert_eq!(shop.letters.sent.borrow().len(), letters, "{label}");
            let [events, clicks, _, conflicts, late, ahead] = expected;
            let live = shop.live().await;
            let live_events = i64::try_from(live.counts.events).unwrap();
            assert_eq!(live_events, events - late - ahead, "{label}");
            assert_eq!(
                shop.receive(event(FUNCTION, name)).await,
                none_failed,
                "{label}"
            );
            assert_eq!(shop.sum("events").await, events, "{label}");
            assert_eq!(shop.clicks(&[]).await, clicks);
            assert_eq!(
                shop.number("SELECT SUM(views) FROM product_views").await,
                clicks
            );
            assert_eq!(
                shop.number("SELECT COUNT(*) FROM conflicting_events").await,
                conflicts
            );
            assert_eq!(
                i64::try_from(shop.lake_rows().await).unwrap(),
                events,
                "{label}"
            );
            assert_eq!(shop.live().await.encode(), live.encode(), "{label}");
        }
    }
}

#[test]
fn every_event_file_is_tested() {
    let tested: BTreeSet<String> = EXPECTED.map(|(name, ..)| name.to_owned()).into();
    assert_eq!(
        event_cases(FUNCTION).into_iter().collect::<BTreeSet<_>>(),
        tested
    );
}

#[tokio::test]
async fn a_story_is_told_by_its_live_figures() {
    for shop in Shop::everywhere().await {
        shop.receive(event(FUNCTION, "accepted-story")).await;
        let live = shop.live().await;
        let users = [&live.active, &live.clicked, &live.carted, &live.bought];
        assert_eq!(users.map(|users| users.estimate().users), [2, 2, 1, 1]);
        let top = live.views.top(5);
        let top: Vec<(&str, u64)> = top
            .iter()
            .map(|ranked| (ranked.product.as_str(), ranked.least))
            .collect();
        assert_eq!(top, [("sandalia", 2), ("chapeu", 1)]);
        assert_eq!(live.newest, UtcMillis::parse("2026-11-20T14:59:00Z").ok());
    }
}

#[tokio::test]
async fn a_click_is_noted_with_the_profile_of_the_customer_and_an_erasure_takes_both() {
    for shop in Shop::everywhere().await {
        let insert = async |tx: &Tx| {
            tx.execute(
                "INSERT INTO customers (customer_id, version, deleted, region, registered_ms, \
                 updated_ms) VALUES ('ana', 1, 0, 'BA', 0, 0)",
                values![],
            )
            .await?;
            for (order, status) in [("p1", "pago"), ("p2", "concluido"), ("p3", "cancelado")] {
                tx.execute(
                    "INSERT INTO purchases (order_id, customer_id, status, total_centavos, \
                     approved_ms, updated_ms) VALUES (?, 'ana', ?, 1000, ?, 0)",
                    values![order, status, NOW.get() - 86_400_000],
                )
                .await?;
            }
            Ok(())
        };
        shop.store
            .transact::<_, StoreError, _>(insert)
            .await
            .unwrap();
        shop.receive(event(FUNCTION, "accepted-story")).await;
        let of_ana = [
            ("user_id", Some("ana")),
            ("region", Some("BA")),
            ("segment", Some("recorrente")),
        ];
        assert_eq!(shop.clicks(&of_ana).await, 2, "{}", shop.label);
        assert_eq!(shop.clicks(&[("segment", None)]).await, 1);
        let kept = shop.documents.profiles(&["ana"].into(), NOW).await.unwrap();
        assert_eq!((kept["ana"].orders, shop.profiles().await), (2, 1));
        let erased = News {
            customer: CustomerId::parse("ana").unwrap(),
            version: Some(2),
            place: Place {
                partition: 0,
                offset: 1,
                recorded: NOW,
            },
            profile: None,
        };
        shop.documents.sync_customers(&[erased], NOW).await.unwrap();
        assert_eq!(shop.profiles().await, 0);
        assert_eq!(shop.clicks(&[]).await, 1);
    }
}

#[tokio::test]
async fn the_favourite_category_is_that_of_most_units_in_paid_orders() {
    for shop in Shop::everywhere().await {
        // Customer, order, status, product, units. Of equals the first by name is the favourite.
        let lines = [
            ("ana", "p1", "pago", "sandalia", 2),
            ("ana", "p1", "pago", "chapeu", 3),
            ("ana", "p2", "concluido", "bota", 2),
            ("ana", "p3", "cancelado", "livro", 50),
            ("ana", "p4", "pago", "sem-categoria", 90),
            ("rui", "p5", "pago", "livro", 1),
            ("rui", "p5", "pago", "chapeu", 1),
        ];
        let categories = [
            ("sandalia", "calcados"),
            ("bota", "calcados"),
            ("chapeu", "acessorios"),
            ("livro", "livros"),
        ];
        let insert = async |tx: &Tx| {
            for customer in ["ana", "rui", "eva"] {
                tx.execute(
                    "INSERT INTO customers (customer_id, version, deleted, registered_ms, \
                     updated_ms) VALUES (?, 1, 0, 0, 0)",
                    values![customer],
                )
                .await?;
            }
            for (product, category) in categories {
                note_category(tx, product, category, NOW).await?;
            }
            for (number, (customer, order, status, product, units)) in (0..).zip(lines) {
                tx.insert_new(
                    "INSERT INTO purchases (order_id, customer_id, status, total_centavos, \
                     approved_ms, updated_ms) VALUES (?, ?, ?, 1000, 1, 0)",
                    values![order, customer, status],
                )
                .await?;
                tx.execute(
                    "INSERT INTO order_lines (order_id, line, product_id, quantity, \
                     price_centavos) VALUES (?, ?, ?, ?, 100)",
                    values![order, number, product, units],
                )
                .await?;
            }
            Ok(())
        };
        shop.store
            .transact::<_, StoreError, _>(insert)
            .await
            .unwrap();
        let users = ["ana", "eva", "ninguem", "rui"].into();
        let profiles = shop.documents.profiles(&users, NOW).await.unwrap();
        let favourites: Vec<(&str, Option<&str>)> = profiles
            .iter()
            .map(|(user, profile)| (user.as_str(), profile.favourite_category.as_deref()))
            .collect();
        let expected = [
            ("ana", Some("calcados")),
            ("eva", None),
            ("rui", Some("acessorios")),
        ];
        assert_eq!(favourites, expected, "{}", shop.label);
        // As it is kept, and as each click is noted with it.
        assert_eq!(shop.documents.profiles(&users, NOW).await, Ok(profiles));
        shop.receive(event(FUNCTION, "accepted-story")).await;
        let of_ana = [
            ("user_id", Some("ana")),
            ("favourite_category", Some("calcados")),
        ];
        assert_eq!(shop.clicks(&of_ana).await, 2);
    }
}

#[tokio::test]
async fn an_event_that_comes_again_after_its_mark_is_gone_counts_again_beside_the_rest() {
    for shop in Shop::everywhere().await {
        let none_failed = json!({"batchItemFailures": []});
        shop.receive(event(FUNCTION, "accepted-bare")).await;
        let forget = async |tx: &Tx| tx.execute("DELETE FROM ingested_events", values![]).await;
        let forgot = shop.store.transact::<_, StoreError, _>(forget).await;
        assert_eq!(forgot, Ok(1));
        let again = shop.receive(event(FUNCTION, "accepted-bare")).await;
        assert_eq!(again, none_failed, "{}", shop.label);
        assert_eq!(shop.sum("events").await, 2, "{}", shop.label);
        assert_eq!(shop.clicks(&[]).await, 1, "{}", shop.label);
    }
}

#[tokio::test]
async fn instances_that_meet_the_same_new_customers_at_once_all_get_their_profiles() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        migrate(&store, NOW).await.unwrap();
        let users: Vec<String> = (0..400).map(|number| format!("c{number}")).collect();
        let insert = async |tx: &Tx| {
            for user in &users {
                tx.execute(
                    "INSERT INTO customers (customer_id, version, deleted, region, registered_ms, \
                     updated_ms) VALUES (?, 1, 0, 'BA', 0, 0)",
                    values![user.as_str()],
                )
                .await?;
            }
            Ok::<_, StoreError>(())
        };
        store.transact(insert).await.unwrap();
        for met in users.chunks(20) {
            let met: BTreeSet<&str> = met.iter().map(String::as_str).collect();
            let mut instances = Vec::new();
            for _ in 0..5 {
                instances.push(Store::open(database.url()).await.unwrap());
            }
            let asked = instances.iter().map(|store| of_users(store, &met, NOW));
            for profiles in futures::future::join_all(asked).await {
                assert_eq!(profiles.unwrap().len(), 20, "{}", database.label());
            }
        }
    }
}

#[tokio::test]
async fn without_an_id_the_place_in_the_topic_tells_events_apart() {
    let shop = Shop::everywhere().await.swap_remove(0);
    let text = testkit::event_text(FUNCTION, "accepted-from-kafka");
    shop.receive(event(FUNCTION, "accepted-from-kafka")).await;
    shop.receive(
        serde_json::from_str(&text.replace("\\\"offset\\\": 7", "\\\"offset\\\": 8")).unwrap(),
    )
    .await;
    assert_eq!(
        (shop.sum("events").await, shop.sum("duplicates").await),
        (2, 0)
    );
    // Bare and without an id, the queue's own id is what there is.
    let bare = r#"{"id_usuario":"ana","tipo_evento":"clique","id_produto":"p","timestamp":"2026-11-20T14:59:00Z"}"#;
    shop.receive(sqs([bare.to_owned()])).await;
    shop.receive(sqs([bare.to_owned()])).await;
    assert_eq!(
        (shop.sum("events").await, shop.sum("duplicates").await),
        (3, 1)
    );
}
