//! Every event file of create-referral-link, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use create_referral_link::CreateReferralLink;
use domain::customers::{News, Place, Profile};
use domain::identity::CustomerId;
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use serde_json::{Value, json};
use sql_store::{Store, Tx, values};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "create-referral-link";
const CAMPAIGN: &str = "01K9Z7D4Q0CAMPANHA00000001";
const BASE: &str = "https://api.example.com";

struct Scene {
    handler: CreateReferralLink,
    store: Store,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

impl Scene {
    /// An active campaign, Ana who consents and Rui who does not.
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let sql = "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, \
                discount_centavos, reward_centavos, minimum_purchase_centavos, budget_centavos, \
                reserved_centavos, spent_centavos, voucher_valid_days, pending_days, \
                coupon_on_arrival, stackable, accepts_existing_buyers, minimum_completed_orders, \
                shop_url, version, created_ms, updated_ms) VALUES (?, 'Verão', 'ativa', 0, ?, \
                1000, 1000, 0, 100000, 0, 0, 90, 0, 0, 0, 0, 0, 'https://loja.example.com/', 1, \
                0, 0)";
            let ends_ms = now().plus_days(30).get();
            let insert = async |tx: &Tx| tx.execute(sql, values![CAMPAIGN, ends_ms]).await;
            store.transact(insert).await.unwrap();
            let news = [("ANA", true), ("RUI", false)].map(|(name, referral_consent)| News {
                customer: CustomerId::parse(format!("01K9Z7D4Q0CLIENTE0000000{name}")).unwrap(),
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
            let handler = CreateReferralLink::new(store.clone(), Some(BASE.to_owned()));
            scenes.push(Self {
                handler,
                store,
                _database: database,
            });
        }
        scenes
    }

    async fn send(&self, case: &str) -> (u64, Value) {
        answer(&self.handler, event(FUNCTION, case)).await
    }
}

async fn answer(handler: &CreateReferralLink, event: Value) -> (u64, Value) {
    let answer = http::answer(handler, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test]
async fn an_eligible_customer_gets_one_link_and_sees_it() {
    for scene in Scene::everywhere().await {
        let (status, link) = scene.send("accepted-create").await;
        assert_eq!((status, &link["id_campanha"]), (200, &json!(CAMPAIGN)));
        let code = link["codigo"].as_str().unwrap();
        assert_eq!(link["url"], json!(format!("{BASE}/r/{code}")));
        assert_eq!(scene.send("accepted-create").await, (200, link.clone()));
        let (status, mine) = scene.send("accepted-mine").await;
        let expected = json!({
            "id_campanha": CAMPAIGN, "codigo": code, "url": link["url"], "desde": link["desde"],
            "nome_campanha": "Verão", "status_campanha": "ativa", "cliques": 0, "indicacoes": 0,
            "vouchers": 0,
        });
        assert_eq!(
            (status, mine),
            (200, json!({"itens": [expected], "tem_mais": false}))
        );
    }
}

#[tokio::test]
async fn without_an_own_domain_links_begin_where_the_caller_is() {
    for scene in Scene::everywhere().await {
        let handler = CreateReferralLink::new(scene.store.clone(), None);
        let (_, link) = answer(&handler, event(FUNCTION, "accepted-create")).await;
        let url = link["url"].as_str().unwrap();
        assert!(url.starts_with("https://a1b2c3d4e5.execute-api.sa-east-1.amazonaws.com/r/"));
        let mut local = event(FUNCTION, "accepted-create");
        local["headers"] = json!({"host": "127.0.0.1:9000"});
        let (_, link) = answer(&handler, local).await;
        assert!(
            link["url"]
                .as_str()
                .unwrap()
                .starts_with("http://127.0.0.1:9000/r/")
        );
    }
}

/// Each bad request with its status, the kind of its problem and the field that is named.
const REFUSED: [(&str, u64, &str, Option<&str>); 11] = [
    (
        "refused-create-campaign-of-wrong-type",
        400,
        "invalid-request",
        Some("id_campanha"),
    ),
    (
        "refused-create-campaign-too-long",
        400,
        "invalid-request",
        Some("id_campanha"),
    ),
    (
        "refused-create-not-json",
        400,
        "invalid-request",
        Some("body"),
    ),
    (
        "refused-create-unknown-campaign",
        404,
        "not-found",
        Some("id_campanha"),
    ),
    ("refused-create-unknown-customer", 409, "not-eligible", None),
    (
        "refused-create-without-campaign",
        400,
        "invalid-request",
        Some("id_campanha"),
    ),
    ("refused-create-without-consent", 409, "not-eligible", None),
    (
        "refused-create-without-principal",
        401,
        "unauthenticated",
        None,
    ),
    (
        "refused-mine-made-up-cursor",
        400,
        "invalid-request",
        Some("cursor"),
    ),
    (
        "refused-mine-page-size",
        400,
        "invalid-request",
        Some("limite"),
    ),
    (
        "refused-mine-unknown-parameter",
        400,
        "invalid-request",
        Some("pagina"),
    ),
];

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let listed: Vec<&str> = REFUSED.iter().map(|(case, ..)| *case).collect();
    let files = event_cases(FUNCTION);
    let refused: Vec<&String> = files
        .iter()
        .filter(|case| case.starts_with("refused-"))
        .collect();
    assert_eq!(refused, listed, "each file of a bad request is listed here");
    for scene in Scene::everywhere().await {
        for (case, expected, kind, field) in REFUSED {
            let (status, problem) = scene.send(case).await;
            assert_eq!(status, expected, "{case}: {problem}");
            assert_eq!(
                problem["type"],
                json!(format!("urn:feira:problem:{kind}")),
                "{case}"
            );
            assert_eq!(problem["errors"][0]["field"].as_str(), field, "{case}");
        }
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    for scene in Scene::everywhere().await {
        for _ in 0..20 {
            assert_eq!(scene.send("accepted-create").await.0, 200);
        }
        let event = event(FUNCTION, "accepted-create");
        let answer = http::answer(&scene.handler, event, &Invocation::at(now())).await;
        assert_eq!(answer["statusCode"], json!(429));
        assert_eq!(answer["headers"]["retry-after"], json!("3"));
    }
}
