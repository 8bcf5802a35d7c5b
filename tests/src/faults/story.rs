//! One story of the shop, step by step: from customers to vouchers that were spent, cancelled and
//! expired. Each step is what AWS hands the functions at one moment.

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::fields::BadMessage;
use lambda_kit::dead_letter::DeadLetter;
use serde_json::{Value, json};

use super::{
    messages::{Message, customer, http_event, kafka_event, reference, with_key},
    shop::{ARRIVAL, CAMPAIGN, Delivery, Process, now, shop_seal_key, signing_key},
};

/// The steps, and at how many hours after the start they happen.
pub const STEPS: [(&str, i64); 21] = [
    ("customers come", 0),
    ("promoters are made", 1),
    ("two ask for their link", 2),
    ("links are opened", 3),
    ("purchases and a cancellation that came first", 4),
    ("trips are completed, one before its purchase", 5),
    ("the purchase of the waiting trip comes", 6),
    ("a coupon is spent", 7),
    ("a voucher is reserved and released", 8),
    ("a coupon of an arrival is reserved", 9),
    ("its order comes, and a first one is cancelled", 10),
    ("two orders tell when their trips end", 11),
    ("the sweep finds the trip that ended", 12),
    ("the outbox is published", 13),
    ("a last leg, then a refund", 14),
    ("weeks later what nobody used expires", 24 * 45),
    ("the rest of the outbox is published", 24 * 45 + 1),
    ("one more trip ends", 24 * 45 + 2),
    ("the sweep asks the company's system", 24 * 46),
    ("the audit is anchored", 24 * 46 + 15),
    ("dead letters are replayed", 24 * 46 + 16),
];

fn approved() -> String {
    now().plus_millis(-600_000).to_string()
}

/// Makes orders whose `ref` is a promoter's link.
struct Links<'a>(&'a Process);

impl Links<'_> {
    async fn reference(&self, campaign: &str, promoter: &str) -> String {
        let code = self.0.link_of(campaign, promoter).await;
        reference(&code, now().plus_millis(-3_600_000), &signing_key())
    }

    async fn purchase(&self, order: &str, friend: &str, campaign: &str, promoter: &str) -> Value {
        json!({"id_pedido": order, "id_cliente": friend, "status": "aprovado", "total": "100.00",
            "aprovado_em": approved(), "ref": self.reference(campaign, promoter).await})
    }
}

fn news(order: &str, friend: &str, status: &str) -> Value {
    json!({"id_pedido": order, "id_cliente": friend, "status": status, "total": "100.00",
        "aprovado_em": approved()})
}

fn trip(order: &str, friend: &str, leg: u8, legs: u8) -> Value {
    json!({"id_pedido": order, "id_cliente": friend, "trecho": leg, "trechos": legs,
        "concluido_em": approved()})
}

/// The code of a referral's coupon or voucher.
async fn code_of(shop: &Process, kind: &str, order: &str) -> String {
    let sql = format!(
        "SELECT v.code AS found FROM vouchers v JOIN referrals r ON r.id = v.referral_id \
         WHERE v.kind = '{kind}' AND r.order_id = '{order}'"
    );
    code(shop, &sql).await
}

async fn code(shop: &Process, sql: &str) -> String {
    let found = shop
        .found(sql)
        .await
        .unwrap_or_else(|| panic!("no row: {sql}"));
    found.as_str().unwrap().to_owned()
}

fn redeem(verb: &str, code: &str, owner: &str, body: Value) -> Value {
    http_event(
        &format!("POST /vouchers/{{code}}/{verb}"),
        Some(code),
        Some(owner),
        &body,
    )
}

/// What AWS hands over at a step; it follows from the state before the step.
///
/// # Panics
/// When a step before did not leave what this one needs, or there is no such step.
pub async fn deliveries(step: usize, shop: &Process) -> Vec<Delivery> {
    match step {
        0..=3 => beginnings(step, shop).await,
        4 | 6 | 10 | 11 | 17 => orders(step, shop).await,
        5 => {
            let waiting = trip("p6", "flora", 1, 1);
            vec![Delivery::Trips(vec![
                Message::bridged("t1", "viagens", 1, "caio", &trip("p1", "caio", 1, 2)),
                Message::bare("t2", "caio", &trip("p1", "caio", 2, 2)),
                Message::poison("t3", "bia"),
                Message::bare("t4", "flora", &waiting),
                Message::bare("t5", "eva", &trip("p4", "eva", 1, 2)),
            ])]
        }
        7..=9 => redemptions(step, shop).await,
        12 | 15 => vec![Delivery::Sweep(json!({"horario": now().to_string()}))],
        13 | 16 => vec![Delivery::Publish],
        18 => vec![Delivery::AskingSweep(json!({"horario": now().to_string()}))],
        // Three days suffice; every one since would only repeat their points.
        19 => vec![Delivery::Anchor(
            json!({"horario": now().to_string(), "data": "2026-11-23"}),
        )],
        20 => letters(shop).await,
        14 => vec![
            Delivery::Trips(vec![Message::bare("t6", "eva", &trip("p4", "eva", 2, 2))]),
            Delivery::Orders(vec![Message::bare(
                "o14",
                "eva",
                &news("p4", "eva", "reembolsado"),
            )]),
        ],
        other => panic!("there is no step {other}"),
    }
}

async fn beginnings(step: usize, shop: &Process) -> Vec<Delivery> {
    match step {
        0 => {
            let names = ["ana", "bia", "caio", "davi", "eva", "dora"];
            let mut records: Vec<(&str, Option<Value>)> = names
                .iter()
                .map(|name| (*name, Some(customer(name, 1))))
                .collect();
            records.push(("bad", Some(json!({"id_cliente": ""}))));
            records.push(("ana", Some(customer("ana", 3))));
            records.push(("ana", Some(customer("ana", 2))));
            records.push(("dora", None));
            vec![Delivery::Customers(kafka_event(0, &records))]
        }
        1 => vec![Delivery::SetPromoters(
            json!({"horario": now().to_string()}),
        )],
        2 => {
            let late = [("flora", Some(customer("flora", 1)))];
            let ask = |who: &str| {
                let body = json!({"id_campanha": CAMPAIGN});
                Delivery::Link(http_event("POST /mgm/links", None, Some(who), &body))
            };
            vec![
                Delivery::Customers(kafka_event(100, &late)),
                ask("flora"),
                ask("ana"),
            ]
        }
        _ => {
            let click = |code: &str| {
                Delivery::Click(http_event("GET /r/{code}", Some(code), None, &Value::Null))
            };
            let links = [CAMPAIGN, ARRIVAL];
            let mut clicks = vec![click("00000000000")];
            for campaign in links {
                clicks.push(click(shop.link_of(campaign, "ana").await.as_str()));
            }
            clicks
        }
    }
}

/// One order came by redrive as it was and one was sealed; of two records of `clientes` one can
/// still not be read.
async fn letters(shop: &Process) -> Vec<Delivery> {
    let (orders, customers) = ("PedidosDeadLetters", "ClientesDeadLetters");
    let seal = |id: &str, content: &str| {
        let (key, why) = (shop_seal_key(), BadMessage::NOT_JSON);
        let letter = DeadLetter::seal(&key, "f", id, None, &why, content.as_bytes(), now());
        serde_json::to_string(&letter.unwrap()).unwrap()
    };
    let order = |id: &str| news(id, "davi", "aprovado").to_string();
    shop.bury(orders, "l1", order("p11")).await;
    shop.bury(orders, "l2", seal("l2", &order("p12"))).await;
    let good = customer("iris", 1).to_string();
    for (id, offset, value) in [("l3", 200, good.as_str()), ("l4", 201, "{")] {
        let record = json!({"topic": "clientes", "partition": 0, "offset": offset,
            "timestamp": 0, "key": STANDARD.encode("iris"), "value": STANDARD.encode(value)});
        shop.bury(customers, id, seal(id, &record.to_string()))
            .await;
    }
    vec![Delivery::Replay(orders), Delivery::Replay(customers)]
}

async fn orders(step: usize, shop: &Process) -> Vec<Delivery> {
    let links = Links(shop);
    let batch = match step {
        4 => {
            let first = links.purchase("p1", "caio", CAMPAIGN, "ana").await;
            let own = links.purchase("p9", "ana", CAMPAIGN, "ana").await;
            let late = links.purchase("p3", "eva", CAMPAIGN, "ana").await;
            let second = links.purchase("p4", "eva", CAMPAIGN, "ana").await;
            let other = links.purchase("p5", "davi", ARRIVAL, "bia").await;
            vec![
                Message::bridged("o1", "pedidos", 1, "caio", &first),
                Message::bare("o2", "ana", &own),
                Message::poison("o3", "ana"),
                Message::bare("o4", "davi", &news("p2", "davi", "aprovado")),
                Message::bare("o5", "eva", &news("p3", "eva", "cancelado")),
                Message::bare("o6", "eva", &late),
                Message::bare("o7", "eva", &second),
                // The bridge sent the first record twice.
                Message::bridged("o8", "pedidos", 1, "caio", &first),
                Message::bare("o9", "davi", &other),
            ]
        }
        6 => {
            let waited = links.purchase("p6", "flora", CAMPAIGN, "bia").await;
            vec![Message::bare("o10", "flora", &waited)]
        }
        10 => {
            let arrived = links.purchase("p22", "flora", ARRIVAL, "ana").await;
            vec![
                Message::bare("o11", "flora", &arrived),
                Message::bare("o12", "caio", &news("p1", "caio", "cancelado")),
            ]
        }
        17 => {
            let mut ended = links.purchase("p10", "ivo", CAMPAIGN, "bia").await;
            ended["termina_em"] = json!(now().plus_millis(-60_000).to_string());
            vec![Message::bare("o17", "ivo", &ended)]
        }
        _ => {
            let mut ended = links.purchase("p7", "gil", CAMPAIGN, "eva").await;
            ended["termina_em"] = json!(now().plus_millis(-60_000).to_string());
            let mut lasting = links.purchase("p8", "hugo", CAMPAIGN, "eva").await;
            lasting["termina_em"] = json!(now().plus_days(90).to_string());
            vec![
                Message::bare("o13", "gil", &ended),
                Message::bare("o15", "hugo", &lasting),
            ]
        }
    };
    vec![Delivery::Orders(batch)]
}

async fn redemptions(step: usize, shop: &Process) -> Vec<Delivery> {
    let order = |id: &str| json!({"id_pedido": id});
    let wanted = |id: &str| json!({"id_pedido": id, "total": "80.00"});
    let events = match step {
        7 => {
            let code = code_of(shop, "cupom_amigo", "p1").await;
            let reserve = redeem("reservations", &code, "caio", wanted("p20"));
            let commit = redeem("commit", &code, "caio", order("p20"));
            vec![with_key(reserve, "k-1"), with_key(commit, "k-2")]
        }
        8 => {
            let code = code_of(shop, "voucher_promotor", "p1").await;
            let reserve = redeem("reservations", &code, "ana", wanted("p21"));
            vec![
                with_key(reserve, "k-3"),
                redeem("release", &code, "ana", order("p21")),
            ]
        }
        _ => {
            let unbound = "SELECT code AS found FROM vouchers WHERE referral_id IS NULL";
            let code = code(shop, unbound).await;
            let stranger = redeem("reservations", &code, "ana", wanted("p23"));
            vec![
                stranger,
                redeem("reservations", &code, "flora", wanted("p22")),
            ]
        }
    };
    events.into_iter().map(Delivery::Redeem).collect()
}
