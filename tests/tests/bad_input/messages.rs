//! Every field of every message: a dead letter with a code and the field, no value in it, and the
//! neighbours handled.

use base64::{Engine, engine::general_purpose::STANDARD};
use documents::Documents;
use domain::mgm::attribution::SigningKey;
use domain::time::UtcMillis;
use issue_trip_voucher::IssueTripVoucher;
use lambda_kit::{kafka, sqs};
use reward_purchase::RewardPurchase;
use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx, values};
use sync_customers::SyncCustomers;

use crate::fields::{no_amounts, no_ids, with};
use crate::sealed::Letters;
use crate::shop::{BEGIN_MS, SECRET, dump};

/// A body that can't be read, its code and its field.
struct Bad {
    what: String,
    body: Vec<u8>,
    code: &'static str,
    field: Option<&'static str>,
}

impl Bad {
    fn text(what: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            what: what.to_owned(),
            body: body.into(),
            code: "json_invalido",
            field: None,
        }
    }
}

/// A bad message for each wrong value; a missing or null one has a code of its own.
fn wrong(
    good: &Value,
    field: &'static str,
    values: Vec<(&'static str, Option<Value>)>,
) -> Vec<Bad> {
    let bad = |(what, value): (&'static str, Option<Value>)| {
        let absent = value.as_ref().is_none_or(Value::is_null);
        Bad {
            what: format!("{field} {what}"),
            body: with(good, field, value.as_ref()).to_string().into(),
            code: if absent {
                "campo_ausente"
            } else {
                "campo_invalido"
            },
            field: Some(field),
        }
    };
    values.into_iter().map(bad).collect()
}

/// The values that are wrong even where the field may be absent.
fn present(values: Vec<(&'static str, Option<Value>)>) -> Vec<(&'static str, Option<Value>)> {
    let is_there = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    values
        .into_iter()
        .filter(|(_, value)| is_there(value))
        .collect()
}

fn some(values: &[Value]) -> Vec<(&'static str, Option<Value>)> {
    values
        .iter()
        .map(|value| ("wrong", Some(value.clone())))
        .collect()
}

fn no_times() -> Vec<(&'static str, Option<Value>)> {
    let values = [
        json!(7),
        json!([]),
        json!(""),
        json!(SECRET),
        json!("2026-02-30T00:00:00Z"),
        json!("1969-12-31T23:59:59Z"),
        json!("+010000-01-01T00:00:00Z"),
        json!("9".repeat(10_000)),
    ];
    some(&values)
}

/// Bodies that are no JSON object.
fn unreadable() -> Vec<Bad> {
    let nested = format!("{{\"id_pedido\":{}", "[".repeat(200_000));
    let huge = format!("{{\"x\":\"{}\"", SECRET.repeat(140_000));
    vec![
        Bad::text("empty", ""),
        Bad::text("no JSON", SECRET),
        Bad::text("cut short", format!("{{\"id_pedido\":\"{SECRET}")),
        Bad::text("a list", format!("[\"{SECRET}\"]")),
        Bad::text("null", "null"),
        Bad::text("two objects", "{}{}"),
        Bad::text("nested", nested),
        Bad::text("a megabyte of it", huge),
    ]
}

fn order(id: &str) -> Value {
    json!({"id_pedido": id, "id_cliente": "bia", "status": "aprovado", "total": "100.00",
        "itens": [{"id_produto": "a", "quantidade": 1, "preco": "100.00"}],
        "aprovado_em": "2026-11-20T10:00:00Z", "termina_em": "2026-12-01T00:00:00Z"})
}

fn bad_orders() -> Vec<Bad> {
    let good = order("ruim");
    let mut all = unreadable();
    all.extend(wrong(&good, "id_pedido", no_ids()));
    all.extend(wrong(&good, "id_cliente", no_ids()));
    let mut statuses = some(&[json!(7), json!(""), json!(SECRET), json!("APROVADO?")]);
    statuses.extend([("missing", None), ("null", Some(Value::Null))]);
    all.extend(wrong(&good, "status", statuses));
    all.extend(wrong(&good, "total", present(no_amounts())));
    all.extend(wrong(&good, "aprovado_em", no_times()));
    all.extend(wrong(&good, "termina_em", no_times()));
    all.extend(wrong(
        &good,
        "ref",
        some(&[json!(7), json!([SECRET]), json!(SECRET.repeat(40))]),
    ));
    let lists = [
        json!(7),
        json!({}),
        json!([1]),
        json!([SECRET]),
        json!(SECRET),
    ];
    all.extend(wrong(&good, "itens", some(&lists)));
    let many = Value::Array(vec![good["itens"][0].clone(); 1_001]);
    all.extend(wrong(&good, "itens", some(&[many])));
    let dear = json!([{"quantidade": 4_294_967_295_u32, "preco": "9999999999.99"}]);
    all.extend(wrong(&good, "itens", some(&[dear])));
    for quantity in [
        json!(-1),
        json!(1.5),
        json!("2"),
        json!(4_294_967_296_i64),
        json!(1e300),
    ] {
        let mut body = good.clone();
        body["itens"][0]["quantidade"] = quantity.clone();
        all.push(Bad {
            what: format!("itens.quantidade {quantity}"),
            body: body.to_string().into(),
            code: "campo_invalido",
            field: Some("itens.quantidade"),
        });
    }
    for (what, price) in present(no_amounts()) {
        let mut body = good.clone();
        body["itens"][0]["preco"] = price.unwrap();
        all.push(Bad {
            what: format!("itens.preco {what}"),
            body: body.to_string().into(),
            code: "campo_invalido",
            field: Some("itens.preco"),
        });
    }
    all.extend(wrong(
        &good,
        "id_evento",
        some(&[json!(7), json!(""), json!(format!("{SECRET} x"))]),
    ));
    all.extend(bad_envelopes(&good));
    all
}

/// Envelopes of kafka-to-sqs around a record.
fn bad_envelopes(value: &Value) -> Vec<Bad> {
    let good = json!({"v": 1, "topico": "pedidos", "particao": 0, "offset": 1, "timestamp_ms": 1,
        "tipo_timestamp": "CREATE_TIME", "valor": STANDARD.encode(value.to_string())});
    let mut all = Vec::new();
    for (field, values) in [
        (
            "topico",
            vec![json!(7), json!(""), json!(SECRET.repeat(30))],
        ),
        (
            "particao",
            vec![json!("0"), json!(1.5), json!(3_000_000_000_i64)],
        ),
        ("offset", vec![json!("0"), json!(1e30)]),
        ("timestamp_ms", vec![json!("0"), json!([])]),
        ("valor", vec![json!(7), json!(format!("{SECRET}!"))]),
    ] {
        all.extend(wrong(&good, field, some(&values)));
    }
    for (what, value) in [
        ("not UTF-8", vec![b'{', b'"', 0xff, b'"']),
        ("a list", b"[]".to_vec()),
    ] {
        let body = with(&good, "valor", Some(&json!(STANDARD.encode(value))));
        all.push(Bad::text(what, body.to_string()));
    }
    let tombstone = with(&good, "valor", None).to_string();
    all.push(Bad {
        code: "sem_valor",
        field: Some("valor"),
        ..Bad::text("a tombstone", tombstone)
    });
    let newer = with(&good, "v", Some(&json!(2))).to_string();
    all.push(Bad {
        code: "versao_desconhecida",
        field: Some("v"),
        ..Bad::text("a newer envelope", newer)
    });
    all
}

fn trip(id: &str) -> Value {
    json!({"id_pedido": id, "id_cliente": "bia", "concluido_em": "2026-11-20T11:00:00Z",
        "trecho": 1, "trechos": 2})
}

fn bad_trips() -> Vec<Bad> {
    let good = trip("ruim");
    let mut all = unreadable();
    all.extend(wrong(&good, "id_pedido", no_ids()));
    all.extend(wrong(&good, "id_cliente", no_ids()));
    let mut times = no_times();
    times.extend([("missing", None), ("null", Some(Value::Null))]);
    all.extend(wrong(&good, "concluido_em", times));
    let numbers = [
        json!(0),
        json!(-1),
        json!(3),
        json!(1.5),
        json!("1"),
        json!(1e30),
    ];
    all.extend(wrong(&good, "trecho", some(&numbers)));
    all.extend(wrong(
        &good,
        "trechos",
        some(&[json!("2"), json!(1.5), json!(1e30), json!([])]),
    ));
    all
}

fn customer(id: &str) -> Value {
    json!({"id_cliente": id, "versao": 1, "nome": "Ana Lima", "cpf": "529.982.247-25",
        "email": "ana@example.com", "telefone": "(11) 96416-6764", "regiao": "SP",
        "consentimentos": {"mgm": true}, "atualizado_em": "2026-11-20T00:00:00Z"})
}

fn bad_customers() -> Vec<Bad> {
    let good = customer("ruim");
    let mut all = unreadable();
    all.push(Bad::text(
        "not UTF-8",
        b"{\"id_cliente\":\"\xff\xfe\"}".to_vec(),
    ));
    all.extend(wrong(&good, "id_cliente", no_ids()));
    for (field, values) in no_customer_fields() {
        all.extend(wrong(&good, field, some(&values)));
    }
    let without = with(&good, "versao", None);
    all.extend(wrong(&without, "atualizado_em", no_times()));
    all
}

/// Values that no field of a customer may have.
fn no_customer_fields() -> Vec<(&'static str, Vec<Value>)> {
    let secret = format!("{SECRET}\n2");
    vec![
        (
            "versao",
            vec![
                json!(-1),
                json!(1.5),
                json!(SECRET),
                json!([]),
                json!(1e30),
                json!(true),
            ],
        ),
        (
            "nome",
            vec![
                json!(7),
                json!(secret),
                json!(SECRET.repeat(40)),
                json!([SECRET]),
            ],
        ),
        (
            "cpf",
            vec![
                json!(52_998_224_725_i64),
                json!("52998224724"),
                json!("11111111111"),
                json!(SECRET),
            ],
        ),
        (
            "email",
            vec![
                json!(7),
                json!(SECRET),
                json!(format!("{SECRET}@@x.y")),
                json!(format!("{}@x.y", SECRET.repeat(40))),
            ],
        ),
        (
            "telefone",
            vec![
                json!(11_964_166_764_i64),
                json!(SECRET),
                json!("+1 202 555 0143"),
                json!("9".repeat(60)),
            ],
        ),
        ("regiao", vec![json!(7), json!("XX"), json!(SECRET)]),
        (
            "consentimentos",
            vec![
                json!(true),
                json!(SECRET),
                json!({"mgm": "sim"}),
                json!([7]),
            ],
        ),
    ]
}

fn now() -> UtcMillis {
    UtcMillis::new(BEGIN_MS).unwrap()
}

async fn store(url: &str) -> Store {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    store
}

async fn count(store: &Store, sql: &str) -> usize {
    let work = async |tx: &Tx| tx.all::<Value>(sql, values![]).await;
    store
        .transact::<_, StoreError, _>(work)
        .await
        .unwrap()
        .len()
}

/// One dead letter (in parts where it is large) that names code and field and shows nothing.
fn assert_buried(letters: &Letters, bad: &Bad, original: Option<&[u8]>, what: &str) {
    let bodies = letters.take();
    assert!(!bodies.is_empty(), "{what}: no dead letter");
    for body in &bodies {
        let letter: Value = serde_json::from_str(body).unwrap();
        assert_eq!(letter["motivo"], bad.code, "{what}");
        assert_eq!(letter["campo"].as_str(), bad.field, "{what}");
        assert!(body.len() < 256 * 1024, "{what}: {} bytes", body.len());
        assert!(!body.contains(SECRET), "{what} shows a value");
    }
    let opened = letters.opened(&bodies);
    match original {
        Some(original) => assert!(opened == original, "{what}: the original is lost"),
        None => assert!(!opened.is_empty(), "{what}: the original is lost"),
    }
}

/// Sends good, bad, good: the bad one alone is buried, and nothing of it is written.
async fn poison<H: sqs::Handler>(
    store: &Store,
    handler: &H,
    good: fn(&str) -> Value,
    all: Vec<Bad>,
    counted: &str,
) {
    let letters = Letters::new();
    for (place, bad) in all.iter().enumerate() {
        let what = format!("{:?}: {}", store.backend(), bad.what);
        let Ok(body) = std::str::from_utf8(&bad.body) else {
            continue;
        };
        let record = |id: String, body: &str| {
            json!({"messageId": id, "body": body, "messageAttributes": {},
                "attributes": {"MessageGroupId": "bia"}})
        };
        let neighbour = |side: &str| {
            let id = format!("{side}{place}");
            record(id.clone(), &good(&id).to_string())
        };
        let records = [
            neighbour("a"),
            record(format!("m{place}"), body),
            neighbour("b"),
        ];
        let before = count(store, counted).await;
        let answer = sqs::answer("f", &letters, handler, json!({"Records": records}), now()).await;
        assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}), "{what}");
        assert_eq!(
            count(store, counted).await,
            before + 2,
            "{what}: the neighbours"
        );
        assert_buried(&letters, bad, Some(&bad.body), &what);
    }
    let written = format!("{:?}", dump(store).await);
    assert!(!written.contains(SECRET) && !written.contains("ruim"));
}

#[tokio::test]
async fn an_order_that_cannot_be_read_gets_a_dead_letter_and_its_neighbours_go_on() {
    for database in testkit::databases().await {
        let store = store(database.url()).await;
        let handler = RewardPurchase::new(store.clone(), SigningKey::new([7; 32]).unwrap());
        let counted = "SELECT * FROM purchases";
        poison(&store, &handler, order, bad_orders(), counted).await;
    }
}

#[tokio::test]
async fn a_trip_that_cannot_be_read_gets_a_dead_letter_and_its_neighbours_go_on() {
    for database in testkit::databases().await {
        let store = store(database.url()).await;
        let handler = IssueTripVoucher::new(store.clone());
        let counted = "SELECT * FROM trip_legs";
        poison(&store, &handler, trip, bad_trips(), counted).await;
    }
}

#[tokio::test]
async fn a_customer_that_cannot_be_read_gets_a_dead_letter_and_its_neighbours_go_on() {
    for database in testkit::databases().await {
        let store = store(database.url()).await;
        let handler = SyncCustomers::new(Documents::in_sql(store.clone()));
        let letters = Letters::new();
        for (place, bad) in bad_customers().iter().enumerate() {
            let what = format!("{}: {}", database.label(), bad.what);
            let record = |offset: usize, value: &[u8]| {
                json!({"topic": "clientes", "partition": 0, "offset": offset, "timestamp": 1,
                    "timestampType": "CREATE_TIME", "headers": [], "value": STANDARD.encode(value)})
            };
            let good = |side: &str| customer(&format!("{side}{place}")).to_string();
            let records = [
                record(place * 3, good("a").as_bytes()),
                record(place * 3 + 1, &bad.body),
                record(place * 3 + 2, good("b").as_bytes()),
            ];
            let event = json!({"eventSource": "aws:kafka", "records": {"clientes-0": records}});
            let before = count(&store, "SELECT * FROM customers").await;
            let answer = kafka::answer("f", &letters, &handler, &event, now()).await;
            assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}), "{what}");
            let after = count(&store, "SELECT * FROM customers").await;
            assert_eq!(after, before + 2, "{what}: the neighbours");
            assert_buried(&letters, bad, None, &what);
        }
        let written = format!("{:?}", dump(&store).await);
        assert!(!written.contains(SECRET) && !written.contains("ruim"));
    }
}
