//! Every event file of open-referral-link, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::code::ReferralCode;
use domain::mgm::attribution::{Attribution, SigningKey};
use domain::mgm::campaign::{Loopback, ShopUrl};
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use open_referral_link::{COOKIE, OpenReferralLink};
use serde_json::{Value, json};
use sql_store::{FromQueryResult, Store, Tx, values};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "open-referral-link";
const CODE: &str = "0C0D1G0AN4X";

struct Scene {
    handler: OpenReferralLink,
    _database: TestDatabase,
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

fn key() -> SigningKey {
    SigningKey::new([3; 32]).unwrap()
}

impl Scene {
    /// A promoter's link in a campaign that may give its coupon on arrival.
    async fn everywhere(on_arrival: bool) -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let campaign = "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, \
                discount_centavos, reward_centavos, minimum_purchase_centavos, budget_centavos, \
                reserved_centavos, spent_centavos, voucher_valid_days, attribution_window_days, \
                pending_days, coupon_on_arrival, stackable, accepts_existing_buyers, \
                minimum_completed_orders, shop_url, version, created_ms, updated_ms) VALUES \
                ('K1', 'Verão', 'ativa', 0, ?, 1000, 1000, 0, 100000, 0, 0, 90, 30, 0, ?, 0, 0, \
                0, 'https://loja.example.com/verao?canal=indicacao', 1, 0, 0)";
            let promoter = "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, \
                cohort, accepted) VALUES ('K1', 'ana', ?, 0, '2026-11', 0)";
            let ends_ms = now().plus_days(30).get();
            let insert = async |tx: &Tx| {
                tx.execute(campaign, values![ends_ms, i32::from(on_arrival)])
                    .await?;
                tx.execute(promoter, values![CODE]).await
            };
            store.transact(insert).await.unwrap();
            let handler = OpenReferralLink {
                address_rate: open_referral_link::ADDRESS_RATE,
                store,
                signing_key: key(),
                pseudonym_key: SigningKey::new([4; 32]).unwrap(),
                default_shop: ShopUrl::parse("https://www.example.com/", Loopback::Refused)
                    .unwrap(),
            };
            scenes.push(Self {
                handler,
                _database: database,
            });
        }
        scenes
    }

    async fn send(&self, case: &str) -> Value {
        self.send_at(event(FUNCTION, case), now()).await
    }

    async fn send_at(&self, event: Value, at: UtcMillis) -> Value {
        http::answer(&self.handler, event, &Invocation::at(at)).await
    }

    async fn clicks(&self, kind: &str) -> i64 {
        let sql = "SELECT COUNT(*) AS count FROM clicks WHERE kind = ?";
        let row: Option<Count> = self
            .handler
            .store
            .transact(async |tx: &Tx| tx.one(sql, values![kind]).await)
            .await
            .unwrap();
        row.unwrap().count
    }
}

fn location(answer: &Value) -> &str {
    answer["headers"]["location"].as_str().unwrap()
}

fn cookie(answer: &Value) -> String {
    let cookie = answer["cookies"][0].as_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn parameter<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = address.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[tokio::test]
async fn a_click_leads_to_the_campaigns_shop_with_a_ref_that_we_signed() {
    for scene in Scene::everywhere(false).await {
        let answer = scene.send("accepted-click").await;
        assert_eq!(answer["statusCode"], json!(302));
        assert_eq!(answer["headers"]["cache-control"], json!("no-store"));
        let address = location(&answer);
        assert!(address.starts_with("https://loja.example.com/verao?canal=indicacao&ref="));
        let reference = parameter(address, "ref").unwrap();
        let attribution = Attribution::verify(reference, &key()).unwrap();
        assert_eq!(
            (attribution.code.as_str(), attribution.clicked),
            (CODE, now())
        );
        assert_eq!(parameter(address, "cupom"), None);
        let whole = answer["cookies"][0].as_str().unwrap();
        assert!(whole.ends_with("; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"));
        assert!(whole.starts_with(&format!("{COOKIE}={reference}.")));
    }
}

#[tokio::test]
async fn people_bots_and_previews_are_counted_apart() {
    for scene in Scene::everywhere(true).await {
        for case in event_cases(FUNCTION) {
            let answer = scene.send(&case).await;
            assert_eq!(answer["statusCode"], json!(302), "{case}");
        }
        let counted = (
            scene.clicks("pessoa").await,
            scene.clicks("robo").await,
            scene.clicks("previa").await,
        );
        assert_eq!(counted, (3, 1, 2));
    }
}

#[tokio::test]
async fn the_cookie_makes_a_visitor_the_same_on_another_network() {
    for scene in Scene::everywhere(true).await {
        let first = scene.send("accepted-click").await;
        let mut later = event(FUNCTION, "accepted-click");
        later["cookies"] = json!([cookie(&first)]);
        later["requestContext"]["http"]["sourceIp"] = json!("198.51.100.1");
        let again = scene
            .send_at(later.clone(), now().plus_millis(60_000))
            .await;
        assert_eq!(scene.clicks("pessoa").await, 1);
        let coupon = |answer| parameter(location(answer), "cupom").map(str::to_owned);
        assert_eq!(coupon(&again), coupon(&first));
        assert!(coupon(&first).is_some());
        scene.send_at(later, now().plus_millis(31 * 60_000)).await;
        assert_eq!(scene.clicks("pessoa").await, 2);
    }
}

#[tokio::test]
async fn a_wrong_code_is_answered_in_the_same_shape_and_tells_nothing() {
    for scene in Scene::everywhere(false).await {
        let right = scene.send("accepted-click").await;
        for case in [
            "refused-wrong-code",
            "refused-malformed-code",
            "refused-address-in-the-request",
        ] {
            let wrong = scene.send(case).await;
            let address = location(&wrong);
            assert!(
                address.starts_with("https://www.example.com/?ref="),
                "{case}: {address}"
            );
            assert!(!address.contains("evil"));
            let names = |answer: &Value| -> Vec<String> {
                answer["headers"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect()
            };
            assert_eq!(names(&wrong), names(&right));
            assert_eq!(wrong["body"], right["body"]);
            assert_eq!(cookie(&wrong).len(), cookie(&right).len(), "{case}");
            let reference = parameter(address, "ref").unwrap();
            assert_eq!(
                reference.len(),
                parameter(location(&right), "ref").unwrap().len()
            );
        }
        assert_eq!(scene.clicks("pessoa").await, 1);
    }
}

#[tokio::test]
async fn who_clicks_too_often_is_led_on_and_not_counted() {
    for scene in Scene::everywhere(true).await {
        let mut coupons = 0;
        for _ in 0..40 {
            let answer = scene.send("accepted-click").await;
            assert!(location(&answer).starts_with("https://loja.example.com/"));
            coupons += usize::from(location(&answer).contains("cupom="));
        }
        assert_eq!((coupons, scene.clicks("pessoa").await), (30, 1));
    }
}

#[tokio::test]
async fn a_link_leads_on_while_the_database_is_away() {
    let scene = Scene::everywhere(false).await.remove(0);
    let lost = Store::open("mysql://nobody@127.0.0.1:1/none")
        .await
        .unwrap();
    let handler = OpenReferralLink {
        store: lost,
        ..scene.handler
    };
    let event = event(FUNCTION, "accepted-click");
    let answer = http::answer(&handler, event, &Invocation::at(now())).await;
    assert_eq!(answer["statusCode"], json!(302));
    let reference = parameter(location(&answer), "ref").unwrap();
    let attribution = Attribution::verify(reference, &key()).unwrap();
    assert_eq!(attribution.code, ReferralCode::parse(CODE).unwrap());
}
