//! redeem-voucher by the very events that API Gateway hands it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::{
    identity::{CampaignId, CustomerId, ReferralId},
    mgm::{campaign::Discount, voucher::Kind},
    money::Centavos,
    time::UtcMillis,
};
use lambda_kit::{Invocation, http};
use redeem_voucher::RedeemVoucher;
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError, Tx,
    mgm::vouchers::{NewVoucher, issue},
    values,
};

/// The code in the event files.
const CODE: &str = "1111111111111111D";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:04:05Z").unwrap()
}

async fn execute(store: &Store, sql: &str, values: Vec<sql_store::Value>) {
    let work = async |tx: &Tx| tx.execute(sql, values.clone()).await.map(|_| ());
    store.transact::<_, StoreError, _>(work).await.unwrap();
}

/// A shop where cliente-1 has a coupon of R$ 30 with the code of the event files.
async fn shop(url: &str) -> (Store, RedeemVoucher) {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    execute(
        &store,
        "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
         reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
         spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
         accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
         updated_ms) VALUES ('C1', 'Verão', 'ativa', 0, 9000000000000, 3000, 5000, 0, 100000, \
         3000, 0, 30, 0, 0, 0, 1, 0, 'https://loja.example/', 1, 0, 0)",
        values![],
    )
    .await;
    execute(
        &store,
        "INSERT INTO customers (customer_id, version, deleted, name, email, phone, \
         consented_ms, registered_ms, updated_ms) VALUES ('cliente-1', 1, 0, 'Ana Souza', \
         'ana@example.com', '+5511964166764', 1, 0, 0)",
        values![],
    )
    .await;
    let coupon = NewVoucher {
        kind: Kind::FriendCoupon,
        campaign: CampaignId::parse("C1").unwrap(),
        referral: Some(ReferralId::parse("R1").unwrap()),
        arrival: None,
        owner: Some(CustomerId::parse("cliente-1").unwrap()),
        worth: Discount::Amount(Centavos::new(3_000).unwrap()),
        stackable: false,
        held: Centavos::new(3_000).unwrap(),
        expires: now().plus_days(30),
    };
    let work = async |tx: &Tx| issue(tx, std::slice::from_ref(&coupon), now()).await;
    store.transact::<_, StoreError, _>(work).await.unwrap();
    execute(&store, "UPDATE vouchers SET code = ?", values![CODE]).await;
    (store.clone(), RedeemVoucher::new(store))
}

fn event(case: &str) -> Value {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../events/redeem-voucher"
    );
    serde_json::from_slice(&std::fs::read(format!("{folder}/{case}.json")).unwrap()).unwrap()
}

/// Status and JSON body of the answer.
async fn answer_at(function: &RedeemVoucher, event: Value, at: UtcMillis) -> (i64, Value) {
    let answer = http::answer(function, event, &Invocation::at(at)).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_i64().unwrap(), body)
}

async fn answer(function: &RedeemVoucher, case: &str) -> (i64, Value) {
    answer_at(function, event(case), now()).await
}

#[tokio::test]
async fn a_customer_sees_reserves_and_releases_and_the_shop_commits() {
    for database in testkit::databases().await {
        let (_, function) = shop(database.url()).await;
        let (status, page) = answer(&function, "accepted-list-mine").await;
        assert_eq!((status, &page["tem_mais"]), (200, &json!(false)));
        assert_eq!(page["itens"][0]["codigo"], CODE);
        assert_eq!(
            page["itens"][0]["desconto"],
            json!({"tipo": "valor", "valor": "30.00"})
        );
        let (status, mine) = answer(&function, "accepted-show-mine").await;
        assert_eq!((status, &mine["status"]), (200, &json!("emitido")));
        assert!(mine.get("destinatario").is_none());
        let (_, sent) = answer(&function, "accepted-show-with-recipient").await;
        assert_eq!(
            sent["destinatario"],
            json!({"id_cliente": "cliente-1", "nome": "Ana Souza",
                   "email": "ana@example.com", "telefone": "+5511964166764"})
        );
        let (status, reserved) = answer(&function, "accepted-reserve").await;
        assert_eq!((status, &reserved["desconto"]), (200, &json!("30.00")));
        assert_eq!(reserved["reservado_ate"], "2026-11-20T15:34:05.000Z");
        assert_eq!(answer(&function, "accepted-reserve").await.1, reserved);
        assert_eq!(
            answer(&function, "accepted-reserve-for-customer").await.1,
            reserved
        );
        let (status, released) = answer(&function, "accepted-release").await;
        assert_eq!((status, &released["status"]), (200, &json!("emitido")));
        answer(&function, "accepted-reserve-for-customer").await;
        let (status, used) = answer(&function, "accepted-commit").await;
        assert_eq!((status, &used["status"]), (200, &json!("usado")));
        assert_eq!(answer(&function, "accepted-commit").await.1, used);
        let (_, mine) = answer(&function, "accepted-show-mine").await;
        assert_eq!(
            (&mine["status"], &mine["desconto_aplicado"]),
            (&json!("usado"), &json!("30.00"))
        );
    }
}

#[tokio::test]
async fn whatever_is_not_available_looks_the_same() {
    for database in testkit::databases().await {
        let (store, function) = shop(database.url()).await;
        let mut answers = vec![
            answer(&function, "refused-code").await,
            answer(&function, "accepted-commit").await,
        ];
        let mut foreign = event("accepted-reserve");
        foreign["requestContext"]["authorizer"]["lambda"]["sub"] = json!("cliente-2");
        answers.push(answer_at(&function, foreign, now()).await);
        let mut unknown = event("accepted-reserve");
        unknown["pathParameters"]["code"] = json!("2222222222222222T");
        answers.push(answer_at(&function, unknown, now()).await);
        execute(
            &store,
            "UPDATE vouchers SET status = 'cancelado'",
            values![],
        )
        .await;
        answers.push(answer(&function, "accepted-reserve").await);
        execute(&store, "UPDATE vouchers SET status = 'emitido'", values![]).await;
        answers.push(answer_at(&function, event("accepted-reserve"), now().plus_days(30)).await);
        for (status, problem) in &answers {
            assert_eq!(
                (*status, problem),
                (404, &answers[0].1),
                "on {}",
                database.label()
            );
        }
        assert_eq!(
            answers[0].1["type"],
            "urn:feira:problem:voucher-unavailable"
        );
    }
}

#[tokio::test]
async fn a_bad_request_names_its_field() {
    for database in testkit::databases().await {
        let (_, function) = shop(database.url()).await;
        for (case, field) in [
            ("refused-cursor", "cursor"),
            ("refused-page-size", "limite"),
            ("refused-total", "total"),
            ("refused-order-missing", "id_pedido"),
            ("refused-service-without-customer", "id_cliente"),
            ("refused-json", "body"),
        ] {
            let (status, problem) = answer(&function, case).await;
            assert_eq!(
                (status, &problem["errors"][0]["field"]),
                (400, &json!(field)),
                "{case}"
            );
        }
        let mut own = event("accepted-reserve-for-customer");
        own["requestContext"]["authorizer"]["lambda"] =
            json!({"sub": "cliente-1", "scope": "customer"});
        assert_eq!(
            answer_at(&function, own, now()).await.1["errors"][0]["field"],
            "id_cliente"
        );
        let mut reused = event("accepted-reserve");
        answer_at(&function, reused.clone(), now()).await;
        reused["body"] = json!(r#"{"id_pedido":"pedido-2","total":"5.00"}"#);
        assert_eq!(answer_at(&function, reused, now()).await.0, 422);
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_over_all_instances() {
    for database in testkit::databases().await {
        let (store, function) = shop(database.url()).await;
        let elsewhere = RedeemVoucher::new(store);
        for attempt in 0..20 {
            let instance = if attempt % 2 == 0 {
                &function
            } else {
                &elsewhere
            };
            assert_eq!(answer(instance, "refused-code").await.0, 404, "{attempt}");
        }
        let refused = http::answer(&function, event("refused-code"), &Invocation::at(now())).await;
        assert_eq!(refused["statusCode"], 429);
        assert_eq!(refused["headers"]["retry-after"], "3");
        assert_eq!(
            answer(&function, "accepted-show-with-recipient").await.0,
            200,
            "the shop goes on"
        );
        let later = now().plus_millis(3_000);
        assert_eq!(
            answer_at(&function, event("refused-code"), later).await.0,
            404
        );
    }
}
