//! The wrong fields of campaigns and of what became of them.

use serde_json::{Value, json};

use crate::fields::{Case, broken_bodies, in_body, keys, no_amounts, no_ids, paging, with};
use crate::shop::{Call, SECRET, Shop, campaign};

/// Fields that a new campaign must have.
const REQUIRED: [&str; 8] = [
    "nome",
    "inicio",
    "fim",
    "desconto",
    "recompensa",
    "orcamento",
    "validade_voucher_dias",
    "endereco_loja",
];

type Wrong = Vec<(&'static str, Option<Value>)>;

fn some(values: &[(&'static str, Value)]) -> Wrong {
    let values = values.iter().cloned();
    values.map(|(what, value)| (what, Some(value))).collect()
}

fn no_texts() -> Wrong {
    some(&[
        ("null", Value::Null),
        ("number", json!(7)),
        ("list", json!([SECRET])),
        ("object", json!({})),
        ("true", json!(true)),
    ])
}

fn no_times() -> Wrong {
    let mut wrong = no_texts();
    wrong.extend(some(&[
        ("empty", json!("")),
        ("no time", json!(SECRET)),
        ("no such month", json!("2026-13-01T00:00:00Z")),
        ("before 1970", json!("1969-12-31T00:00:00Z")),
        ("year 10000", json!("+010000-01-01T00:00:00Z")),
        ("far away", json!("9999-12-31T23:59:59Z")),
        ("huge", json!("2".repeat(5_000))),
    ]));
    wrong
}

fn no_flags() -> Wrong {
    some(&[
        ("null", Value::Null),
        ("number", json!(1)),
        ("text", json!("true")),
        ("list", json!([])),
    ])
}

/// Whole numbers outside `from..=most`, and what is none.
fn no_numbers(most: i64) -> Wrong {
    some(&[
        ("negative", json!(-1)),
        ("fraction", json!(1.5)),
        ("text", json!("3")),
        ("true", json!(true)),
        ("list", json!([3])),
        ("too many", json!(most + 1)),
        ("above 32 bits", json!(4_294_967_296_i64)),
        ("above 64 bits", json!(1e30)),
    ])
}

fn no_limits(most: i64) -> Wrong {
    let mut wrong = no_numbers(most);
    wrong.extend(some(&[("zero", json!(0))]));
    wrong
}

/// Each field with its wrong values, for both POST and PATCH.
fn wrong_values() -> Vec<(&'static str, Wrong)> {
    let mut names = no_texts();
    names.extend(some(&[
        ("empty", json!("")),
        ("blank", json!(" ")),
        ("101 characters", json!("ã".repeat(101))),
        ("line break", json!(format!("{SECRET}\n2"))),
        ("zero character", json!(format!("{SECRET}\0"))),
    ]));
    let mut shops = no_texts();
    shops.extend(some(&[
        ("empty", json!("")),
        ("no address", json!(SECRET)),
        ("http", json!("http://loja.example/")),
        ("script", json!("javascript:alert(1)")),
        ("without scheme", json!("//evil.example/")),
        ("backslash", json!("https://loja.example\\@evil.example/")),
        ("user", json!("https://loja@evil.example/")),
        (
            "line break",
            json!("https://loja.example/\r\nSet-Cookie: a=b"),
        ),
        ("own ref", json!("https://loja.example/?ref=x")),
        (
            "501 bytes",
            json!(format!("https://loja.example/{}", "a".repeat(480))),
        ),
        (
            "too long once written out",
            json!(format!("https://loja.example/{}", "\"".repeat(400))),
        ),
    ]));
    let mut moments = no_texts();
    moments.extend(some(&[("unknown", json!(SECRET)), ("empty", json!(""))]));
    let mut days = no_numbers(3_650);
    days.extend(some(&[("null", Value::Null), ("zero", json!(0))]));
    let mut carencia = no_numbers(365);
    carencia.extend(some(&[("null", Value::Null)]));
    let mut orders = no_numbers(1_000);
    orders.extend(some(&[("null", Value::Null)]));
    vec![
        ("nome", names),
        ("inicio", no_times()),
        ("fim", no_times()),
        ("recompensa", no_amounts()),
        ("compra_minima", no_amounts()),
        ("orcamento", no_amounts()),
        ("limite_mensal_promotor", no_limits(1_000_000)),
        ("limite_total_promotor", no_limits(1_000_000)),
        ("limite_por_hora", no_limits(1_000_000)),
        ("janela_atribuicao_dias", no_limits(3_650)),
        ("validade_voucher_dias", days),
        ("carencia_dias", carencia),
        ("minimo_pedidos_concluidos", orders),
        ("cupom_em", moments.clone()),
        ("status", moments),
        ("cumulativo", no_flags()),
        ("aceita_comprador_existente", no_flags()),
        ("endereco_loja", shops),
        ("desconto.percentual", percentages()),
        ("desconto.teto", no_amounts()),
        ("desconto.tipo", kinds()),
        ("desconto", discounts()),
    ]
}

fn percentages() -> Wrong {
    let mut wrong = no_amounts();
    let more = [("zero", json!("0.00")), ("above 100", json!("100.01"))];
    wrong.extend(some(&more));
    wrong.push(("missing", None));
    wrong
}

fn kinds() -> Wrong {
    let mut wrong = no_texts();
    wrong.extend(some(&[("unknown", json!(SECRET))]));
    wrong.push(("missing", None));
    wrong
}

fn discounts() -> Wrong {
    some(&[
        ("null", Value::Null),
        ("text", json!(SECRET)),
        ("number", json!(10)),
        ("list", json!([])),
        (
            "of both kinds",
            json!({"tipo": "valor", "valor": "1.00", "teto": "2.00"}),
        ),
    ])
}

fn amounts_off() -> Vec<Case> {
    let call = Call::admin("POST /mgm/campaigns").header("idempotency-key", "k");
    let mut good = campaign();
    good["desconto"] = json!({"tipo": "valor", "valor": "10.00"});
    let mut wrong = no_amounts();
    wrong.push(("missing", None));
    in_body(&call, &good, "desconto.valor", &wrong)
}

fn of_create() -> Vec<Case> {
    const ROUTE: &str = "POST /mgm/campaigns";
    let call = Call::admin(ROUTE).header("idempotency-key", "k");
    let good = campaign();
    let mut cases = amounts_off();
    for (field, values) in wrong_values() {
        cases.extend(in_body(&call, &good, field, &values));
    }
    for field in REQUIRED {
        cases.extend(in_body(&call, &good, field, &[("missing", None)]));
    }
    for field in ["recompensa", "orcamento"] {
        cases.extend(in_body(
            &call,
            &good,
            field,
            &[("zero", Some(json!("0.00")))],
        ));
    }
    let nothing = json!({"tipo": "percentual", "percentual": "10.00", "teto": "0.00"});
    cases.extend(in_body(
        &call,
        &good,
        "desconto",
        &[("of nothing", Some(nothing))],
    ));
    let tight = with(&good, "orcamento", Some(&json!("79.99")));
    cases.push(Case::new(
        call.clone().json(&tight),
        "orcamento",
        "below one referral",
    ));
    let backwards = with(&good, "fim", good.get("inicio"));
    cases.push(Case::new(
        call.clone().json(&backwards),
        "fim",
        "not after the start",
    ));
    let unknown = with(&good, "nomee", Some(&json!(SECRET)));
    cases.push(Case::new(
        call.clone().json(&unknown),
        "body",
        "has an unknown field",
    ));
    cases.extend(broken_bodies(&call));
    let asked = Call::admin(ROUTE).json(&good);
    cases.push(Case::new(asked.clone(), "Idempotency-Key", "missing"));
    cases.extend(keys(&asked));
    cases.push(Case::new(
        call.json(&good).query("rascunho", "1"),
        "rascunho",
        "unknown",
    ));
    let reused = Call::admin(ROUTE).header("idempotency-key", "primeira");
    let other = with(&good, "nome", Some(&json!("Outra")));
    let reused = Case::new(reused.json(&other), "Idempotency-Key", "of another request");
    cases.push(reused.status(422));
    cases
}

fn of_change(shop: &Shop) -> Vec<Case> {
    let call = Call::admin("PATCH /mgm/campaigns/{id}").path("id", &shop.campaign);
    let mut cases = Vec::new();
    for (field, values) in wrong_values() {
        cases.extend(in_body(
            &call,
            &json!({"desconto": campaign()["desconto"]}),
            field,
            &values,
        ));
    }
    cases.extend(broken_bodies(&call));
    let unknown = call.clone().json(&json!({"nomee": SECRET}));
    cases.push(Case::new(unknown, "body", "has an unknown field"));
    let tight = call.json(&json!({"orcamento": "1.00"}));
    cases.push(Case::new(tight, "orcamento", "below one referral"));
    cases
}

/// Paths that name no campaign or referral.
fn of_paths() -> Vec<Case> {
    let mut cases = Vec::new();
    for route in [
        "GET /mgm/campaigns/{id}",
        "PATCH /mgm/campaigns/{id}",
        "GET /mgm/campaigns/{id}/refusals",
        "GET /mgm/campaigns/{id}/funnel",
        "GET /mgm/referrals/{id}/trace",
    ] {
        let call = Call::admin(route).text("{}");
        for id in ["", "a b", "é", "x\n", &SECRET.repeat(10)] {
            cases.push(Case::new(call.clone().path("id", id), "id", id));
        }
        for id in ["01JUNKNOWN", "' OR '1'='1", "%", "../x"] {
            let status = if id.contains(' ') { 400 } else { 404 };
            cases.push(Case::new(call.clone().path("id", id), "id", id).status(status));
        }
        let query = call.path("id", "C1").query("limitee", "1");
        cases.push(Case::new(query, "limitee", "unknown"));
    }
    cases
}

fn of_lists(shop: &Shop) -> Vec<Case> {
    let campaigns = Call::admin("GET /mgm/campaigns");
    let referrals = Call::admin("GET /mgm/referrals");
    let refusals = Call::admin("GET /mgm/campaigns/{id}/refusals").path("id", &shop.campaign);
    let mut cases = Vec::new();
    for call in [&campaigns, &referrals, &refusals] {
        cases.extend(paging(call));
        let unknown = call.clone().query("ordem", "desc");
        cases.push(Case::new(unknown, "ordem", "unknown"));
    }
    for status in ["", "ATIVA", SECRET] {
        cases.push(Case::new(
            campaigns.clone().query("status", status),
            "status",
            status,
        ));
    }
    for reason in ["", &SECRET.repeat(10)] {
        cases.push(Case::new(
            refusals.clone().query("motivo", reason),
            "motivo",
            reason,
        ));
    }
    for field in ["id_campanha", "id_promotor", "id_pedido"] {
        for (what, id) in no_ids() {
            let Some(Value::String(id)) = id else {
                continue;
            };
            cases.push(Case::new(referrals.clone().query(field, &id), field, what));
        }
    }
    cases
}

/// Every wrong request to manage-campaigns.
pub fn cases(shop: &Shop) -> Vec<Case> {
    let mut cases = of_create();
    cases.extend(of_change(shop));
    cases.extend(of_paths());
    cases.extend(of_lists(shop));
    cases
}
