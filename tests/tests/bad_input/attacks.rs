//! What an attacker would try at the doors.

use domain::code::ReferralCode;
use domain::mgm::attribution::{Attribution, SigningKey};
use domain::time::UtcMillis;
use lambda_kit::sqs;
use reward_purchase::RewardPurchase;
use serde_json::{Value, json};
use sql_store::{Backend, Options, Store, values};

use crate::sealed::Letters;
use crate::shop::{Answer, BEGIN_MS, CLICKS_OF_AN_ADDRESS, Call, Shop, campaign};

const UNKNOWN: &str = "1111111111111111D";
const CODE: &str = "01ABCDEFGHJ";

async fn shops() -> Vec<(testkit::TestDatabase, Shop)> {
    let mut shops = Vec::new();
    for database in testkit::databases().await {
        let shop = Shop::open(database.url()).await;
        shops.push((database, shop));
    }
    shops
}

/// A promoter of the campaign with the link [`CODE`].
async fn promote(shop: &Shop, promoter: &str) {
    let sql = "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
               accepted) VALUES (?, ?, ?, 0, '2026-11', 0)";
    let values = values![shop.campaign.as_str(), promoter, CODE];
    shop.execute(sql, values).await;
}

fn assert_leads_to_the_shop(answer: &Answer, shop: &str, what: &str) {
    assert_eq!(answer.status, 302, "{what}");
    let location = answer.header("location");
    assert!(location.starts_with(shop), "{what} leads to {location}");
    let headers = answer.headers.as_object().unwrap().values();
    let all = headers
        .filter_map(Value::as_str)
        .chain(answer.cookies.iter().map(String::as_str));
    for text in all {
        assert!(
            !text.contains(['\r', '\n']) && !text.contains("evil"),
            "{what}: {text}"
        );
    }
}

#[tokio::test]
async fn a_link_leads_to_its_shop_whatever_the_request_says() {
    for (_database, shop) in shops().await {
        promote(&shop, "caio").await;
        let call = |code: &str| Call::of("GET /r/{code}").path("code", code);
        let wrong_codes = [
            "//evil.example",
            "https://evil.example",
            "..%2f..%2fevil",
            "x\r\nLocation: https://evil.example",
            "@evil.example",
            "\\\\evil.example",
            &"9".repeat(5_000),
            "evil\0",
        ];
        for code in wrong_codes {
            let answer = shop.send(&call(code)).await;
            assert_leads_to_the_shop(&answer, "https://loja.example/?ref=", code);
        }
        for (name, value) in [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "javascript"),
            ("x-original-url", "https://evil.example"),
            ("referer", "https://evil.example"),
            ("user-agent", "evil; Set-Cookie: a=b"),
        ] {
            let answer = shop.send(&call(CODE).header(name, value)).await;
            assert_leads_to_the_shop(&answer, "https://loja.example/promo?ref=", name);
        }
        for name in ["url", "next", "ref", "cupom", "redirect"] {
            let answer = shop
                .send(&call(CODE).query(name, "https://evil.example"))
                .await;
            assert_leads_to_the_shop(&answer, "https://loja.example/promo?ref=", name);
        }
        let mut forged = call(CODE);
        forged.event["cookies"] = json!(["feira_ref=evil.evil.evil", "feira_ref="]);
        let answer = shop.send(&forged).await;
        assert_leads_to_the_shop(
            &answer,
            "https://loja.example/promo?ref=",
            "a forged cookie",
        );
    }
}

#[tokio::test]
async fn a_link_to_share_is_of_this_server_and_https() {
    for (_database, shop) in shops().await {
        let create = Call::customer("POST /mgm/links");
        let create = create.json(&json!({"id_campanha": shop.campaign}));
        let spoofed = create.clone().header("x-forwarded-proto", "javascript");
        let url = shop.send(&spoofed).await.json()["url"].clone();
        assert!(
            url.as_str().unwrap().starts_with("https://feira.test/r/"),
            "{url}"
        );
        let before = shop.tables().await;
        for host in [
            "evil.example/x?",
            "a\tb",
            "",
            "evil example",
            "u@evil.example",
        ] {
            let answer = shop.send(&create.clone().header("host", host)).await;
            answer.assert_problem(400, host);
            assert_eq!(answer.named(), ["Host"]);
        }
        let near = create.header("host", "localhost.evil.example");
        let url = shop.send(&near).await.json()["url"].clone();
        assert!(url.as_str().unwrap().starts_with("https://"), "{url}");
        assert_eq!(shop.tables().await, before);
    }
}

#[tokio::test]
async fn naming_a_new_browser_each_time_fills_no_tables() {
    for (database, shop) in shops().await {
        promote(&shop, "caio").await;
        shop.send(&Call::customer("GET /vouchers/me")).await;
        for number in 0..CLICKS_OF_AN_ADDRESS.burst + 20 {
            let call = Call::of("GET /r/{code}").path("code", CODE);
            let agent = format!("Mozilla/5.0 ({number})");
            let answer = shop.send_at_once(&call.header("user-agent", &agent)).await;
            assert_eq!(answer.status, 302);
        }
        let clicks = shop.tables().await["clicks"].len();
        let looked_at = usize::try_from(CLICKS_OF_AN_ADDRESS.burst).unwrap();
        assert_eq!(clicks, looked_at, "{}", database.label());
    }
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_for_whoever_guesses_and_for_nobody_else() {
    for (_database, shop) in shops().await {
        shop.send(&Call::customer("GET /vouchers/me")).await;
        let guess = |code: &str| Call::customer("GET /vouchers/{code}").path("code", code);
        for _ in 0..20 {
            let answer = shop.send_at_once(&guess(UNKNOWN).subject("bia")).await;
            assert_eq!(answer.status, 404);
        }
        for code in [UNKNOWN, &shop.voucher, "not even a code"] {
            let answer = shop.send_at_once(&guess(code).subject("bia")).await;
            answer.assert_problem(429, code);
            let seconds: u32 = answer.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&seconds));
        }
        let order = json!({"id_pedido": "p", "total": "1.00"});
        let reserve = Call::customer("POST /vouchers/{code}/reservations").path("code", UNKNOWN);
        let answer = shop
            .send_at_once(&reserve.json(&order).subject("bia"))
            .await;
        assert_eq!(answer.status, 429, "each route that names a code counts");
        assert_eq!(shop.send_at_once(&guess(&shop.voucher)).await.status, 200);
        assert_eq!(shop.send(&guess(UNKNOWN).subject("bia")).await.status, 404);
    }
}

#[tokio::test]
async fn a_foreign_voucher_looks_like_an_unknown_one() {
    for (_database, shop) in shops().await {
        let before = shop.tables().await;
        let reserve = json!({"id_pedido": "p1", "total": "100.00"});
        let order = json!({"id_pedido": "p1"});
        for (route, body) in [
            ("GET /vouchers/{code}", None),
            ("POST /vouchers/{code}/reservations", Some(&reserve)),
            ("POST /vouchers/{code}/commit", Some(&order)),
            ("POST /vouchers/{code}/release", Some(&order)),
        ] {
            let mut answers = Vec::new();
            for code in [shop.voucher.as_str(), UNKNOWN] {
                let mut call = Call::customer(route).path("code", code).subject("bia");
                if let Some(body) = body {
                    call = call.json(body);
                }
                let answer = shop.send(&call).await;
                answer.assert_problem(404, route);
                answers.push((answer.status, answer.headers, answer.body));
            }
            assert_eq!(answers[0], answers[1], "{route}");
        }
        assert_eq!(shop.tables().await, before);
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_replays_nothing() {
    for (_database, shop) in shops().await {
        let open = |subject: &str| {
            let call = Call::admin("POST /mgm/campaigns").subject(subject);
            call.header("idempotency-key", "a-mesma").json(&campaign())
        };
        let first = shop.send(&open("operador-1")).await;
        let again = shop.send(&open("operador-1")).await;
        let other = shop.send(&open("operador-2")).await;
        assert_eq!((first.status, again.status, other.status), (201, 201, 201));
        assert_eq!(first.body, again.body);
        assert_ne!(first.json()["id_campanha"], other.json()["id_campanha"]);
    }
}

#[tokio::test]
async fn a_cursor_of_somebody_else_shows_only_what_is_mine() {
    for (_database, shop) in shops().await {
        let of_bia = shop.issue("bia").await;
        shop.execute(
            "UPDATE vouchers SET referral_id = 'R2' WHERE code = ?",
            values![of_bia.as_str()],
        )
        .await;
        let mine = Call::customer("GET /vouchers/me").query("limite", "1");
        // Base64url of an id after every other, as a page of anybody could have given it.
        for cursor in ["WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo", "MA"] {
            let answer = shop.send(&mine.clone().query("cursor", cursor)).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(!answer.body.contains(&of_bia));
        }
    }
}

fn key() -> SigningKey {
    SigningKey::new([7; 32]).unwrap()
}

fn purchase(id: &str, reference: &str) -> Value {
    json!({"id_pedido": id, "id_cliente": format!("amigo-{id}"), "status": "aprovado",
        "total": "100.00", "ref": reference, "aprovado_em": "2026-11-20T13:00:00Z"})
}

#[tokio::test]
async fn a_forged_or_outdated_ref_earns_nothing() {
    for (database, shop) in shops().await {
        promote(&shop, "caio").await;
        let clicked = Attribution {
            code: ReferralCode::parse(CODE).unwrap(),
            clicked: UtcMillis::new(BEGIN_MS).unwrap(),
        };
        let good = clicked.sign(&key());
        let other_key = SigningKey::new([8; 32]).unwrap();
        let outdated = Attribution {
            clicked: UtcMillis::new(BEGIN_MS - 31 * 86_400_000).unwrap(),
            ..clicked.clone()
        };
        let (body, signature) = good.rsplit_once('.').unwrap();
        let opened = shop
            .send(&Call::of("GET /r/{code}").path("code", CODE))
            .await;
        let cookie = opened.cookies[0]
            .split(['=', ';'])
            .nth(1)
            .unwrap()
            .to_owned();
        let forged = [
            ("other key", clicked.sign(&other_key)),
            ("cut signature", good[..good.len() - 2].to_owned()),
            ("no signature", format!("{body}.")),
            ("other time", format!("{CODE}.zzzzzzzz.{signature}")),
            ("other code", format!("11111111111.{}", &good[12..])),
            ("the cookie", cookie),
            ("outdated", outdated.sign(&key())),
            ("not clicked yet", {
                let later = UtcMillis::new(BEGIN_MS + 86_400_000).unwrap();
                Attribution {
                    clicked: later,
                    ..clicked.clone()
                }
                .sign(&key())
            }),
        ];
        let handler = RewardPurchase::new(shop.store.clone(), key());
        let letters = Letters::new();
        let send = async |id: String, reference: &str| {
            let records = [
                json!({"messageId": id, "attributes": {}, "messageAttributes": {},
                "body": purchase(&id, reference).to_string()}),
            ];
            let event = json!({"Records": records});
            let answer = sqs::answer("f", &letters, &handler, event, shop.now())
                .await
                .unwrap();
            assert_eq!(answer, json!({"batchItemFailures": []}), "{id}");
        };
        for (place, (what, reference)) in forged.iter().enumerate() {
            send(format!("p{place}"), reference).await;
            let tables = shop.tables().await;
            assert!(
                tables["referrals"].is_empty(),
                "{}: {what}",
                database.label()
            );
        }
        send("certo".to_owned(), &good).await;
        assert_eq!(shop.tables().await["referrals"].len(), 1);
        assert!(letters.take().is_empty());
    }
}

#[tokio::test]
async fn of_two_arrival_coupons_at_the_same_moment_a_friend_gets_one() {
    for (database, shop) in shops().await {
        shop.execute("UPDATE campaigns SET coupon_on_arrival = 1", values![])
            .await;
        promote(&shop, "caio").await;
        let instances = match shop.store.backend() {
            Backend::Sqlite => vec![shop.store.clone(), shop.store.clone()],
            Backend::MySql => vec![open(database.url()).await, open(database.url()).await],
        };
        for round in 0..10 {
            let mut coupons = Vec::new();
            for side in ["a", "b"] {
                let agent = format!("Mozilla/5.0 ({round}{side})");
                let call = Call::of("GET /r/{code}").path("code", CODE);
                let opened = shop.send(&call.header("user-agent", &agent)).await;
                let location = opened.header("location").to_owned();
                let shop_page = reqwest::Url::parse(&location).unwrap();
                let coupon = shop_page.query_pairs().find(|(name, _)| name == "cupom");
                coupons.push(coupon.expect("a coupon on arrival").1.into_owned());
            }
            let friend = format!("amiga-{round}");
            let now = shop.now();
            let (first, second) = tokio::join!(
                reserve(&instances[0], &coupons[0], &friend, "p-a", now),
                reserve(&instances[1], &coupons[1], &friend, "p-b", now),
            );
            assert_eq!(
                u8::from(first) + u8::from(second),
                1,
                "{}",
                database.label()
            );
        }
    }
}

async fn open(url: &str) -> Store {
    Store::open_with(url, Options::default()).await.unwrap()
}

/// Whether the coupon was reserved.
async fn reserve(store: &Store, code: &str, friend: &str, order: &str, now: UtcMillis) -> bool {
    use redeem_voucher::RedeemVoucher;
    let body = json!({"id_pedido": format!("{order}-{friend}"), "total": "100.00"});
    let call = Call::customer("POST /vouchers/{code}/reservations").path("code", code);
    let call = call.subject(friend).json(&body);
    let invocation = lambda_kit::Invocation::at(now);
    let handler = RedeemVoucher::new(store.clone());
    let answer = lambda_kit::http::answer(&handler, call.event, &invocation).await;
    answer["statusCode"] == 200
}
