//! Every event file of set-promoters, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::customers::{News, Place, Profile};
use domain::identity::CustomerId;
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, read};
use lambda_kit::{Invocation, InvocationFailed};
use serde_json::{Value, json};
use set_promoters::SetPromoters;
use sql_store::{Store, Tx, values};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "set-promoters";

struct Scene {
    handler: SetPromoters,
    store: Store,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T06:00:00Z").unwrap()
}

impl Scene {
    /// An active campaign and three customers, two of whom consent.
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let sql = "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, \
                discount_centavos, reward_centavos, minimum_purchase_centavos, budget_centavos, \
                reserved_centavos, spent_centavos, voucher_valid_days, pending_days, \
                coupon_on_arrival, stackable, accepts_existing_buyers, minimum_completed_orders, \
                shop_url, version, created_ms, updated_ms) VALUES ('K1', 'Verão', 'ativa', 0, ?, \
                1000, 1000, 0, 100000, 0, 0, 90, 0, 0, 0, 0, 0, 'https://loja.example.com/', 1, \
                0, 0)";
            let ends_ms = now().plus_days(30).get();
            store
                .transact(async |tx: &Tx| tx.execute(sql, values![ends_ms]).await)
                .await
                .unwrap();
            let news = [("ana", true), ("bia", true), ("rui", false)];
            let news = news.map(|(id, referral_consent)| News {
                customer: CustomerId::parse(id).unwrap(),
                version: Some(1),
                place: Place {
                    partition: 0,
                    offset: 0,
                    recorded: now(),
                },
                profile: Some(Profile {
                    referral_consent,
                    ..Profile::default()
                }),
            });
            sql_store::customers::sync(&store, &news, now())
                .await
                .unwrap();
            let handler = SetPromoters::new(store.clone(), now);
            scenes.push(Self {
                handler,
                store,
                _database: database,
            });
        }
        scenes
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        let run = read(&event(FUNCTION, case))?;
        let report = self.handler.handle(run, &Invocation::at(now())).await?;
        Ok(serde_json::to_value(report).unwrap())
    }
}

#[tokio::test]
async fn a_date_is_worked_once_and_again_when_told_to() {
    for scene in Scene::everywhere().await {
        let done = scene.send("accepted-schedule").await.unwrap();
        let expected = json!({"job": "mgm_set_promoters", "data": "2026-11-20",
            "situacao": "feito", "contagens": {"campanhas": 1, "promotores": 2}});
        assert_eq!(done, expected);
        let again = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(again["situacao"], json!("ja_feito"));
        let told = scene.send("accepted-date-again").await.unwrap();
        assert_eq!(told["contagens"], json!({"campanhas": 1}));
    }
}

#[tokio::test]
async fn a_paused_job_says_so() {
    for scene in Scene::everywhere().await {
        let job = domain::jobs::MGM_SET_PROMOTERS.name;
        sql_store::jobs::pause(&scene.store, job, now())
            .await
            .unwrap();
        let report = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], json!("pausado"));
    }
}

#[tokio::test]
async fn a_payload_without_a_date_is_refused_by_name() {
    let files = event_cases(FUNCTION);
    let refused: Vec<&String> = files
        .iter()
        .filter(|case| case.starts_with("refused-"))
        .collect();
    assert_eq!(refused, ["refused-without-time", "refused-wrong-date"]);
    let scene = Scene::everywhere().await.remove(0);
    for (case, field) in [
        ("refused-without-time", "horario"),
        ("refused-wrong-date", "data"),
    ] {
        assert!(
            scene.send(case).await.unwrap_err().code.contains(field),
            "{case}"
        );
    }
}

#[tokio::test]
async fn without_time_for_a_batch_the_next_attempt_goes_on() {
    for scene in Scene::everywhere().await {
        let run = read(&event(FUNCTION, "accepted-schedule")).unwrap();
        let late = Invocation {
            deadline: now().plus_millis(1_000),
            ..Invocation::at(now())
        };
        let failed = scene.handler.handle(run, &late).await.unwrap_err();
        assert_eq!(failed.code, "out_of_time");
        let done = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(done["situacao"], json!("feito"));
    }
}
