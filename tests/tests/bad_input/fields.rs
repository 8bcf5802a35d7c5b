//! Every field of every route: missing, of the wrong type, too long, negative, too large, unknown.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fields_of_campaigns;
use crate::questions;
use crate::shop::{Call, SECRET, Shop};
use crate::telesales;

/// The routes that refuse nothing: a wrong link leads to the shop without telling.
const NEVER_REFUSE: [&str; 2] = ["GET /r/{code}", "HEAD /r/{code}"];

/// One wrong request and the field to blame.
pub struct Case {
    pub what: String,
    pub call: Call,
    pub field: String,
    pub status: i64,
}

impl Case {
    pub fn new(call: Call, field: &str, what: &str) -> Self {
        let route = &call.route;
        Self {
            what: format!("{route}: {field} {what}"),
            call,
            field: field.to_owned(),
            status: 400,
        }
    }

    pub fn status(mut self, status: i64) -> Self {
        self.status = status;
        self
    }
}

/// Values that are no id; `None` takes the field away.
pub fn no_ids() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("missing", None),
        ("null", Some(Value::Null)),
        ("number", Some(json!(7))),
        ("true", Some(json!(true))),
        ("list", Some(json!([SECRET]))),
        ("object", Some(json!({"id": SECRET}))),
        ("empty", Some(json!(""))),
        ("too long", Some(json!(SECRET.repeat(10)))),
        ("with a blank", Some(json!(format!("{SECRET} x")))),
        ("with a line break", Some(json!(format!("{SECRET}\r\nx")))),
        ("not ASCII", Some(json!(format!("{SECRET}é")))),
        ("zero character", Some(json!(format!("{SECRET}\0")))),
    ]
}

/// Values that are no amount above zero.
pub fn no_amounts() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("null", Some(Value::Null)),
        ("number", Some(json!(39.9))),
        ("whole number", Some(json!(39))),
        ("true", Some(json!(true))),
        ("list", Some(json!(["1.00"]))),
        ("object", Some(json!({}))),
        ("empty", Some(json!(""))),
        ("negative", Some(json!("-1.00"))),
        ("with a comma", Some(json!("1,00"))),
        ("three places", Some(json!("1.005"))),
        ("exponent", Some(json!("1e3"))),
        ("no number", Some(json!(SECRET))),
        ("NaN", Some(json!("NaN"))),
        ("above the largest", Some(json!("10000000000.00"))),
        ("overflow", Some(json!("92233720368547758.08"))),
        ("huge", Some(json!("9".repeat(400)))),
        ("with a sign", Some(json!("+1.00"))),
        ("with a blank", Some(json!(" 1.00"))),
        ("other digits", Some(json!("١.٠٠"))),
    ]
}

/// `body` with `field` (a path with points) set, or taken away.
pub fn with(body: &Value, field: &str, value: Option<&Value>) -> Value {
    let mut body = body.clone();
    let (parents, last) = field.rsplit_once('.').unwrap_or(("", field));
    let parts = parents.split('.').filter(|part| !part.is_empty());
    let inner = parts.fold(&mut body, |inner, part| &mut inner[part]);
    let fields = inner.as_object_mut().expect("an object");
    match value {
        Some(value) => fields.insert(last.to_owned(), value.clone()),
        None => fields.remove(last),
    };
    body
}

/// A case for each wrong value of a field of the body.
pub fn in_body(
    call: &Call,
    good: &Value,
    field: &str,
    values: &[(&'static str, Option<Value>)],
) -> Vec<Case> {
    let case = |(what, value): &(&'static str, Option<Value>)| {
        let body = with(good, field, value.as_ref());
        Case::new(call.clone().json(&body), field, what)
    };
    values.iter().map(case).collect()
}

/// Bodies that are no JSON object.
pub fn broken_bodies(call: &Call) -> Vec<Case> {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let texts = [
        "", " ", "null", "[]", "7", "\"x\"", "{", "{}{}", "{\"a\"}", "{'a':1}",
    ];
    let mut cases: Vec<Case> = texts
        .iter()
        .map(|text| Case::new(call.clone().text(text), "body", text))
        .collect();
    cases.push(Case::new(
        call.clone().text(&nested),
        "body",
        "nested lists",
    ));
    cases.push(Case::new(call.clone().text(&deep), "body", "nested deeply"));
    cases.push(Case::new(
        call.clone().text(&format!("{SECRET}{{")),
        "body",
        "no JSON",
    ));
    cases.push(Case::new(
        call.clone().bytes(b"{\"a\":\"\xff\xfe\"}"),
        "body",
        "not UTF-8",
    ));
    cases.push(Case::new(
        call.clone().text(&format!("\u{feff}{{}}{SECRET}")),
        "body",
        "BOM",
    ));
    let huge = json!({"x": SECRET.repeat(40_000)});
    cases.push(Case::new(call.clone().json(&huge), "body", "too large").status(413));
    let mut undecodable = call.clone().text("%%%");
    undecodable.event["isBase64Encoded"] = json!(true);
    cases.push(Case::new(undecodable, "body", "no base64"));
    cases
}

/// Wrong page sizes, cursors and an unknown parameter.
pub fn paging(call: &Call) -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [
        "0",
        "-1",
        "101",
        "1.5",
        "dez",
        "",
        "4294967297",
        "1,1",
        "+5x",
        " 5",
    ] {
        cases.push(Case::new(
            call.clone().query("limite", size),
            "limite",
            size,
        ));
    }
    // Base64url of "\n\n\n", of invalid UTF-8, and of an id with a blank in it.
    for cursor in [
        "",
        "%",
        SECRET,
        "CgoK",
        "_____w",
        "YSBi",
        "YQ==",
        &"a".repeat(600),
    ] {
        cases.push(Case::new(
            call.clone().query("cursor", cursor),
            "cursor",
            cursor,
        ));
    }
    cases
}

/// Wrong Idempotency-Keys.
pub fn keys(call: &Call) -> Vec<Case> {
    let long = "k".repeat(129);
    ["", "a b", "é", "a\tb", &long]
        .iter()
        .map(|key| {
            let call = call.clone().header("idempotency-key", key);
            Case::new(call, "Idempotency-Key", key)
        })
        .collect()
}

fn of_links() -> Vec<Case> {
    let create = Call::customer("POST /mgm/links");
    let good = json!({"id_campanha": "C1"});
    let mut cases = in_body(&create, &good, "id_campanha", &no_ids());
    cases.extend(broken_bodies(&create));
    cases.push(Case::new(create.json(&good), "id_campanha", "unknown").status(404));
    let mine = Call::customer("GET /mgm/links/me");
    cases.extend(paging(&mine));
    cases.push(Case::new(mine.query("limitee", "5"), "limitee", "unknown"));
    cases
}

fn of_vouchers(shop: &Shop) -> Vec<Case> {
    let code = shop.voucher.as_str();
    let mine = Call::customer("GET /vouchers/me");
    let mut cases = paging(&mine);
    cases.push(Case::new(mine.query("status", "x"), "status", "unknown"));
    let show = Call::customer("GET /vouchers/{code}");
    let unknown = [
        "1111111111111111D",
        "X",
        "' OR 1=1 --",
        "../../x",
        &"9".repeat(500),
        SECRET,
    ];
    for text in unknown {
        let case = Case::new(show.clone().path("code", text), "code", text);
        cases.push(case.status(404));
    }
    let order = json!({"id_pedido": "p1"});
    for route in [
        "POST /vouchers/{code}/commit",
        "POST /vouchers/{code}/release",
    ] {
        let call = Call::customer(route).path("code", code);
        cases.extend(in_body(&call, &order, "id_pedido", &no_ids()));
        cases.extend(broken_bodies(&call));
        cases.extend(keys(&call.clone().json(&order)));
        let unknown = call.path("code", "1111111111111111D").json(&order);
        cases.push(Case::new(unknown, "code", "unknown").status(404));
    }
    cases.extend(of_reservations(code));
    cases
}

fn of_reservations(code: &str) -> Vec<Case> {
    const ROUTE: &str = "POST /vouchers/{code}/reservations";
    let order = json!({"id_pedido": "p1", "total": "100.00"});
    let call = Call::customer(ROUTE).path("code", code);
    let mut cases = in_body(&call, &order, "id_pedido", &no_ids());
    let mut totals = no_amounts();
    totals.extend([("missing", None), ("zero", Some(json!("0.00")))]);
    cases.extend(in_body(&call, &order, "total", &totals));
    cases.extend(broken_bodies(&call));
    cases.extend(keys(&call.clone().json(&order)));
    let of_other = json!({"id_pedido": "p1", "total": "1.00", "id_cliente": "ana"});
    cases.push(Case::new(
        call.clone().json(&of_other),
        "id_cliente",
        "given by a customer",
    ));
    let unknown = call.path("code", "1111111111111111D").json(&order);
    cases.push(Case::new(unknown, "code", "unknown").status(404));
    let service = Call::service(ROUTE).path("code", code);
    cases.extend(in_body(&service, &of_other, "id_cliente", &no_ids()));
    let stranger = json!({"id_pedido": "p1", "total": "1.00", "id_cliente": "ninguem"});
    cases.push(Case::new(service.json(&stranger), "code", "of another customer").status(404));
    cases
}

/// Method and path of the document with the field, for each parameter and field of a body.
fn documented() -> BTreeSet<(String, String)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../functions/web/api-docs/openapi.json"
    );
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let resolve = |value: &Value| match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("a part").clone(),
        None => value.clone(),
    };
    let mut fields = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let route = format!("{} {path}", method.to_uppercase());
            if NEVER_REFUSE.contains(&route.as_str()) {
                continue;
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = resolve(parameter)["name"].as_str().unwrap().to_owned();
                fields.insert((route.clone(), name));
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = resolve(body);
            for name in body["properties"]
                .as_object()
                .into_iter()
                .flat_map(|p| p.keys())
            {
                fields.insert((route.clone(), name.clone()));
            }
        }
    }
    fields
}

#[tokio::test]
async fn every_wrong_field_gets_a_problem_that_names_it_and_nothing_is_written() {
    for database in testkit::databases().await {
        let shop = Shop::open(database.url()).await;
        let mut cases = fields_of_campaigns::cases(&shop);
        cases.extend(of_links());
        cases.extend(of_vouchers(&shop));
        let mut elsewhere = telesales::cases();
        elsewhere.extend(questions::cases());
        elsewhere.extend(questions::cursors());
        let tried: BTreeSet<(String, String)> = cases
            .iter()
            .chain(&elsewhere)
            .map(|case| {
                let root = case.field.split('.').next().unwrap_or_default();
                (case.call.route.clone(), root.to_owned())
            })
            .collect();
        let untried: Vec<_> = documented().difference(&tried).cloned().collect();
        assert!(
            untried.is_empty(),
            "no wrong value was tried for {untried:?}"
        );

        let before = shop.tables().await;
        let mut wrong = Vec::new();
        for case in &cases {
            let answer = shop.send(&case.call).await;
            let mut complaints = answer.complaints(case.status);
            if !answer.named().contains(&case.field) {
                complaints.push("the field is not named");
            }
            if !complaints.is_empty() {
                let (what, status, body) = (&case.what, answer.status, &answer.body);
                let body: String = body.chars().take(300).collect();
                wrong.push(format!("{what:.200}: {complaints:?} in {status} {body}"));
            }
            assert_eq!(shop.tables().await, before, "{} wrote something", case.what);
        }
        let (label, count) = (database.label(), wrong.len());
        assert!(
            wrong.is_empty(),
            "{label}, {count} cases: {}",
            wrong.join("\n")
        );
    }
}

#[tokio::test]
async fn a_token_without_a_fitting_subject_is_no_customer() {
    for database in testkit::databases().await {
        let shop = Shop::open(database.url()).await;
        let before = shop.tables().await;
        let routes = [
            Call::customer("GET /vouchers/me"),
            Call::customer("POST /mgm/links").json(&json!({"id_campanha": shop.campaign})),
            Call::service("GET /vouchers/{code}").path("code", &shop.voucher),
            Call::admin("POST /mgm/campaigns")
                .header("idempotency-key", "k")
                .json(&crate::shop::campaign()),
        ];
        for call in routes {
            for subject in ["", "a b", "é", &SECRET.repeat(10), "a\nb"] {
                let answer = shop.send(&call.clone().subject(subject)).await;
                answer.assert_problem(401, &format!("{} as {subject:?}", call.route));
            }
        }
        assert_eq!(shop.tables().await, before);
    }
}
