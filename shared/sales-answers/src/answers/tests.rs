use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use domain::sales::{Question, Sums};
use lambda_kit::Invocation;
use lambda_kit::http::{Handler, answer};
use serde_json::{Value, json};
use testkit::HttpCall;

use super::*;

/// Products p0 to p9 at version 1; at each newer version one more.
#[derive(Default)]
struct Few {
    version: AtomicI64,
    asked: AtomicUsize,
}

impl SalesSource for &Few {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        let id = self.version.load(Ordering::Relaxed);
        let committed = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
        Ok((id > 0).then_some(Snapshot {
            id: SnapshotId(id),
            committed,
        }))
    }

    async fn answer(&self, version: SnapshotId, _: &Question) -> Result<Vec<Group>, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if version.0 < self.version.load(Ordering::Relaxed) - 2 {
            return Err(SourceError::Gone);
        }
        let group = |at: i64| Group {
            key: (at != 3).then(|| format!("p{at}")),
            sums: Sums {
                quantity: at / 2,
                revenue_centavos: -at,
                orders: 1,
            },
        };
        Ok((0..9 + version.0).map(group).collect())
    }
}

struct Route<'a>(Answers<&'a Few>);

impl Handler for Route<'_> {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        let asked = Asked::read(request, Ranking::Quantity)?;
        let page = Page::read(request, 4)?;
        self.0.respond(request, "/vendas/resumo", asked, page).await
    }
}

async fn get(route: &Route<'_>, query: &[(&str, &str)], headers: &[(&str, &str)]) -> Value {
    let mut call = HttpCall::of("GET /vendas/resumo");
    for (name, value) in query {
        call = call.query(name, value);
    }
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let now = UtcMillis::parse("2026-11-20T15:04:05Z").unwrap();
    answer(route, call.event(), &Invocation::at(now)).await
}

fn keys(response: &Value) -> Vec<Value> {
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    let rows = body.as_array().unwrap().iter();
    rows.map(|row| row["id_produto"].clone()).collect()
}

#[tokio::test]
async fn pages_follow_each_other_on_one_version_while_loads_go_on() {
    let few = Few::default();
    few.version.store(1, Ordering::Relaxed);
    let route = Route(Answers::new(&few));
    let first = get(&route, &[("limite", "4")], &[]).await;
    assert_eq!(first["statusCode"], 200, "{first}");
    assert_eq!(keys(&first), ["p8", "p9", "p6", "p7"]);
    assert_eq!(
        first["headers"]["last-modified"],
        "Fri, 20 Nov 2026 12:00:00 GMT"
    );
    assert_eq!(
        first["headers"]["x-carregado-em"],
        "2026-11-20T12:00:00.000Z"
    );
    let mut cursor = first["headers"]["x-proximo-cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let link = first["headers"]["link"].as_str().unwrap();
    assert_eq!(
        link,
        format!("</vendas/resumo?limite=4&cursor={cursor}>; rel=\"next\"")
    );
    few.version.store(2, Ordering::Relaxed);
    let mut rest = Vec::new();
    loop {
        let page = get(&route, &[("limite", "4"), ("cursor", &cursor)], &[]).await;
        assert_eq!(page["headers"]["x-versao"], "1");
        rest.extend(keys(&page));
        match page["headers"]["x-proximo-cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected = ["p4", "p5", "p2", "", "p0", "p1"];
    let expected: Vec<Value> = expected
        .map(|key| {
            if key.is_empty() {
                Value::Null
            } else {
                json!(key)
            }
        })
        .into();
    assert_eq!(rest, expected);
    let asked = few.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 1, "the ranked answer is kept");
    assert_eq!(keys(&get(&route, &[], &[]).await)[0], "p10");
    few.version.store(9, Ordering::Relaxed);
    let gone = get(&route, &[("cursor", &cursor)], &[]).await;
    assert_eq!(gone["statusCode"], 410, "{gone}");
    assert!(gone["body"].as_str().unwrap().contains("cursor-vencido"));
}

#[tokio::test]
async fn an_answer_that_the_caller_has_is_not_sent_again() {
    let few = Few::default();
    few.version.store(1, Ordering::Relaxed);
    let route = Route(Answers::new(&few));
    let first = get(&route, &[], &[]).await;
    let tag = first["headers"]["etag"].as_str().unwrap();
    let weak = format!("\"x\", W/{tag}");
    for known in [tag, "*", &weak] {
        let again = get(&route, &[], &[("if-none-match", known)]).await;
        assert_eq!(again["statusCode"], 304, "{known}");
        assert_eq!(again["body"], "");
        assert_eq!(again["headers"]["etag"], tag);
    }
    for other in [("regiao", "SP"), ("limite", "3"), ("formato", "csv")] {
        let response = get(&route, &[other], &[("if-none-match", tag)]).await;
        assert_eq!(response["statusCode"], 200, "{other:?}");
    }
    few.version.store(2, Ordering::Relaxed);
    let newer = get(&route, &[], &[("if-none-match", tag)]).await;
    assert_eq!(newer["statusCode"], 200);
}

#[tokio::test]
async fn csv_and_lines_of_json_have_all_groups() {
    let few = Few::default();
    few.version.store(1, Ordering::Relaxed);
    let route = Route(Answers::new(&few));
    let csv = get(&route, &[("formato", "csv")], &[]).await;
    assert_eq!(csv["headers"]["content-type"], "text/csv; charset=utf-8");
    let text = csv["body"].as_str().unwrap();
    assert_eq!(text.lines().count(), 11);
    assert!(text.starts_with("id_produto,total_vendido,receita,pedidos\np8,4,-0.08,1\n"));
    let lines = get(&route, &[("formato", "ndjson"), ("limite", "3")], &[]).await;
    assert_eq!(lines["body"].as_str().unwrap().lines().count(), 3);
    assert!(lines["headers"]["x-proximo-cursor"].is_string());
}

#[tokio::test]
async fn before_any_load_the_list_is_empty() {
    let few = Few::default();
    let route = Route(Answers::new(&few));
    let empty = get(&route, &[], &[]).await;
    assert_eq!(
        (&empty["statusCode"], &empty["body"]),
        (&json!(200), &json!("[]"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let few = Few::default();
    few.version.store(1, Ordering::Relaxed);
    let route = Route(Answers::new(&few));
    let long = "x".repeat(101);
    for (name, value) in [
        ("agrupar_por", "ano"),
        ("de", "2026-13-01"),
        ("ate", "ontem"),
        ("regiao", &long),
        ("id_produto", ""),
        ("limite", "0"),
        ("limite", "1001"),
        ("formato", "xml"),
        ("cursor", "AAAA"),
    ] {
        let response = get(&route, &[(name, value)], &[]).await;
        assert_eq!(response["statusCode"], 400, "{name}={value}");
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["errors"][0]["field"], name, "{value}");
    }
    let backwards = get(&route, &[("de", "2026-02-01"), ("ate", "2026-01-01")], &[]).await;
    assert_eq!(backwards["statusCode"], 400);
}

#[test]
fn what_lambda_would_refuse_is_told_before() {
    assert!(!is_too_large(&"x".repeat(6_000_000)));
    assert!(is_too_large(&"\"".repeat(3_000_001)));
}
