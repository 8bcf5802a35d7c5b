//! The funnel, the list of referrals and a trace, by their event files, over a real referral.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::code::ReferralCode;
use domain::identity::{CustomerId, OrderId};
use domain::mgm::attribution::Attribution;
use domain::mgm::campaign::Loopback;
use domain::mgm::referral::{Claim, Order};
use domain::mgm::trip::{CompletedLeg, Leg};
use domain::money::Centavos;
use domain::orders::OrderStatus;
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use manage_campaigns::ManageCampaigns;
use serde_json::{Value, json};
use sql_store::mgm::{purchases::record_order, trips};
use sql_store::{Store, Tx, values};
use testkit::{databases, event_text};

/// The campaign and the referral that the event files name.
const CAMPAIGN: &str = "01K9Z7D4Q0CAMPANHA00000001";
const REFERRAL: &str = "01K9Z7D4Q0INDICACAO0000001";

fn at(later_ms: i64) -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z")
        .unwrap()
        .plus_millis(later_ms)
}

/// A campaign where p1 brought a friend who bought for R$ 100 and travelled.
async fn shop(url: &str) -> Store {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, at(0)).await.unwrap();
    let code = ReferralCode::from_random([1; 11]);
    let campaign = "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
        reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
        spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
        accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
        updated_ms) VALUES (?, 'Verão', 'ativa', 0, 9000000000000, 2000, 3000, 0, 100000, 0, 0, \
        30, 0, 0, 0, 1, 0, 'https://loja.example/', 1, 0, 0)";
    let promoter = "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
        accepted) VALUES (?, 'p1', ?, 0, '2026-11', 0)";
    store
        .transact(async |tx: &Tx| {
            tx.execute(campaign, values![CAMPAIGN]).await?;
            tx.execute(promoter, values![CAMPAIGN, code.as_str()]).await
        })
        .await
        .unwrap();
    let order = OrderId::parse("o1").unwrap();
    let friend = CustomerId::parse("friend").unwrap();
    let bought = Order {
        id: order.clone(),
        customer: friend.clone(),
        status: OrderStatus::Paid,
        claim: Some(Claim::Signed(Attribution {
            code,
            clicked: at(-9_000),
        })),
        total: Some(Centavos::new(10_000).unwrap()),
        approved: Some(at(-5_000)),
        ends: None,
        items: Vec::new(),
    };
    record_order(&store, "m1", &bought, at(0)).await.unwrap();
    let leg = CompletedLeg {
        order,
        customer: friend,
        leg: Leg::WHOLE,
        completed: at(1_000),
    };
    let message = trips::TripMessage {
        id: "m2".to_owned(),
        leg,
    };
    assert_eq!(
        trips::complete_trips(&store, &[message], at(2_000))
            .await
            .vouchers,
        1
    );
    store
}

async fn send(store: &Store, event: &str) -> (u64, Value) {
    let handler = ManageCampaigns::new(store.clone(), Loopback::Refused);
    let event = serde_json::from_str(event).unwrap();
    let answer = http::answer(&handler, event, &Invocation::at(at(3_000))).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

fn case(name: &str) -> String {
    event_text("manage-campaigns", name)
}

#[tokio::test]
async fn the_funnel_tells_the_total_and_each_cohort() {
    for database in databases().await {
        let store = shop(database.url()).await;
        let (status, funnel) = send(&store, &case("accepted-funnel")).await;
        assert_eq!(status, 200, "{funnel}");
        let total = &funnel["total"];
        for (field, expected) in [
            ("links", json!(1)),
            ("compras", json!(1)),
            ("indicacoes", json!(1)),
            ("cupons", json!(1)),
            ("conclusoes", json!(1)),
            ("vouchers", json!(1)),
            ("usados", json!(0)),
            ("anuladas", json!(0)),
            ("recusadas", json!({})),
            ("receita_atribuida", json!("100.00")),
            ("custo", json!("0.00")),
            ("custo_por_novo_cliente", json!("0.00")),
            ("fator_k", json!("1.0000")),
        ] {
            assert_eq!(total[field], expected, "{field} on {}", database.label());
        }
        assert_eq!(funnel["coortes"][0]["coorte"], "2026-11");
        assert_eq!(funnel["coortes"][0]["vouchers"], 1);
    }
}

#[tokio::test]
async fn a_listed_referral_leads_to_its_trace() {
    for database in databases().await {
        let store = shop(database.url()).await;
        let (status, list) = send(&store, &case("accepted-referrals")).await;
        assert_eq!((status, &list["tem_mais"]), (200, &json!(false)));
        let listed = &list["itens"][0];
        assert_eq!(
            (&listed["id_pedido"], &listed["status"]),
            (&json!("o1"), &json!("premiada"))
        );
        let id = listed["id_indicacao"].as_str().unwrap();
        let (status, story) = send(&store, &case("accepted-trace").replace(REFERRAL, id)).await;
        assert_eq!((status, &story["sem_voucher_porque"]), (200, &Value::Null));
        let steps: Vec<&str> = story["passos"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["passo"].as_str().unwrap())
            .collect();
        let way = [
            "clique",
            "compra",
            "trecho_concluido",
            "viagem_concluida",
            "premio_devido",
            "premiada",
        ];
        assert_eq!(steps, way, "{}", database.label());
        let whole = &story["passos"][2];
        assert_eq!(whole["detalhe"], Value::Null, "told as a whole: {whole}");
        assert_eq!(story["vouchers"].as_array().unwrap().len(), 2);
        assert!(
            !story["vouchers"].to_string().contains("codigo"),
            "a code is its owner's"
        );
        assert_eq!(story["auditoria"][0]["detalhes"]["id_pedido"], "o1");
    }
}
