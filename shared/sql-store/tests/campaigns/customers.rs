//! The company's customers on every database that there is.

use domain::customers::{Customer, News, Place, Profile};
use domain::personal::{Email, PersonName};
use domain::time::UtcMillis;
use sql_store::customers::{Synced, load, sync};
use sql_store::{FromQueryResult, Tx, values};

use crate::scene::{NOW, Scene, customer, time};

fn now() -> UtcMillis {
    time(NOW)
}

fn news(id: &str, version: Option<i64>, offset: i64, name: &str) -> News {
    News {
        customer: customer(id),
        version,
        place: Place {
            partition: 0,
            offset,
            recorded: now().plus_millis(offset),
        },
        profile: Some(Profile {
            name: PersonName::parse(name).ok(),
            email: Email::parse(&format!("{name}@example.com")).ok(),
            ..Profile::default()
        }),
    }
}

fn tombstone(id: &str, offset: i64) -> News {
    News {
        profile: None,
        ..news(id, None, offset, "x")
    }
}

async fn stored(scene: &Scene, id: &str) -> Option<Customer> {
    let id = customer(id);
    scene
        .store
        .transact(async |tx: &Tx| load(tx, &id).await)
        .await
        .unwrap()
}

fn name(customer: &Customer) -> Option<&str> {
    customer
        .profile
        .as_ref()?
        .name
        .as_ref()
        .map(PersonName::expose)
}

#[tokio::test]
async fn the_newest_version_wins_within_a_batch_and_across_batches() {
    for scene in Scene::everywhere().await {
        let batch = [
            news("c1", Some(2), 0, "dois"),
            news("c1", Some(1), 1, "um"),
            news("c2", None, 2, "a"),
        ];
        let synced = sync(&scene.store, &batch, now()).await.unwrap();
        assert_eq!(
            synced,
            Synced {
                kept: 2,
                deleted: 0
            },
            "{}",
            scene.label()
        );
        assert_eq!(name(&stored(&scene, "c1").await.unwrap()), Some("dois"));
        assert_eq!(
            sync(&scene.store, &batch, now()).await.unwrap(),
            Synced::default()
        );
        let later = [news("c1", Some(3), 3, "três"), news("c2", None, 1, "antes")];
        let synced = sync(&scene.store, &later, now().plus_days(1))
            .await
            .unwrap();
        assert_eq!(
            synced,
            Synced {
                kept: 1,
                deleted: 0
            }
        );
        let third = stored(&scene, "c1").await.unwrap();
        assert_eq!((name(&third), third.version), (Some("três"), Some(3)));
        assert_eq!(third.registered, now());
        assert_eq!(name(&stored(&scene, "c2").await.unwrap()), Some("a"));
    }
}

#[derive(FromQueryResult)]
struct Personal {
    name: Option<String>,
    cpf: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    region: Option<String>,
}

#[tokio::test]
async fn a_tombstone_leaves_nothing_personal_and_only_a_higher_version_revives() {
    for scene in Scene::everywhere().await {
        sync(&scene.store, &[news("c1", Some(5), 0, "ana")], now())
            .await
            .unwrap();
        let synced = sync(&scene.store, &[tombstone("c1", 1)], now())
            .await
            .unwrap();
        assert_eq!(
            synced,
            Synced {
                kept: 0,
                deleted: 1
            },
            "{}",
            scene.label()
        );
        let row: Option<Personal> = scene
            .store
            .transact(async |tx: &Tx| {
                let sql = "SELECT name, cpf, email, phone, region FROM customers \
                    WHERE customer_id = ? AND deleted = 1 AND consented_ms IS NULL";
                tx.one(sql, values!["c1"]).await
            })
            .await
            .unwrap();
        let row = row.unwrap();
        for field in [row.name, row.cpf, row.email, row.phone, row.region] {
            assert_eq!(field, None);
        }
        let old = sync(&scene.store, &[news("c1", Some(5), 2, "ana")], now())
            .await
            .unwrap();
        assert_eq!(old, Synced::default());
        assert_eq!(stored(&scene, "c1").await.unwrap().version, Some(5));
        sync(&scene.store, &[news("c1", Some(6), 3, "ana")], now())
            .await
            .unwrap();
        assert_eq!(name(&stored(&scene, "c1").await.unwrap()), Some("ana"));
        sync(&scene.store, &[tombstone("c9", 4)], now())
            .await
            .unwrap();
        assert_eq!(stored(&scene, "c9").await.unwrap().profile, None);
    }
}

#[tokio::test]
async fn batches_that_meet_end_like_one_after_the_other() {
    for scene in Scene::everywhere().await {
        let batch = |version: i64| -> Vec<News> {
            let name = format!("v{version}");
            (0..1_100)
                .map(|i| {
                    news(
                        &format!("c{i:05}"),
                        Some(version),
                        version * 10_000 + i,
                        &name,
                    )
                })
                .collect()
        };
        let (first, second, third) = (batch(1), batch(2), batch(3));
        let (a, b, c) = tokio::join!(
            sync(&scene.store, &second, now()),
            sync(&scene.store, &third, now()),
            sync(&scene.store, &first, now()),
        );
        for outcome in [a, b, c] {
            outcome.unwrap();
        }
        for id in ["c00000", "c01099"] {
            let kept = stored(&scene, id).await.unwrap();
            assert_eq!(name(&kept), Some("v3"), "{}", scene.label());
        }
    }
}
