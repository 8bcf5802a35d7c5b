use std::io::Read;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use base64::Engine;
use domain::lake::Snapshot;
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
        let noon = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
        Ok((id > 0).then_some(Snapshot {
            id: SnapshotId(id),
            committed: noon.plus_millis(id * 1_000),
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

struct Route<S>(Answers<S>);

impl<S: SalesSource> Handler for Route<S> {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        let asked = Asked::read(request, Ranking::Quantity)?;
        let page = Page::read(request, 4)?;
        self.0.respond(request, "/vendas/resumo", asked, page).await
    }
}

async fn get<S: SalesSource>(
    route: &Route<S>,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Value {
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
        "Fri, 20 Nov 2026 12:00:01 GMT"
    );
    assert_eq!(
        first["headers"]["x-carregado-em"],
        "2026-11-20T12:00:01.000Z"
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
        let loaded = &page["headers"]["x-carregado-em"];
        assert_eq!(loaded, "2026-11-20T12:00:01.000Z", "its own version's");
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
    assert_eq!(empty["headers"]["cache-control"], "private, no-cache");
    let tag = empty["headers"]["etag"].as_str().unwrap();
    let again = get(&route, &[], &[("if-none-match", tag)]).await;
    assert_eq!(again["statusCode"], 304);
    few.version.store(1, Ordering::Relaxed);
    let loaded = get(&route, &[], &[("if-none-match", tag)]).await;
    assert_eq!(loaded["statusCode"], 200);
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

/// Groups whose keys are long, and alike or random.
struct Many {
    groups: usize,
    are_random: bool,
}

impl SalesSource for &Many {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        let committed = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
        Ok(Some(Snapshot {
            id: SnapshotId(1),
            committed,
        }))
    }

    async fn answer(&self, _: SnapshotId, _: &Question) -> Result<Vec<Group>, SourceError> {
        let mut random = testkit::Random::new(1);
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut letter = || match self.are_random {
            true => char::from(*random.one_of(letters)),
            false => 'x',
        };
        let group = |at: usize| Group {
            key: Some(
                (0..500)
                    .map(|_| letter())
                    .chain(at.to_string().chars())
                    .collect(),
            ),
            sums: Sums {
                quantity: i64::try_from(at).unwrap(),
                revenue_centavos: 4_990,
                orders: 1,
            },
        };
        Ok((0..self.groups).map(group).collect())
    }
}

fn unpacked(response: &Value) -> String {
    let packed = response["body"].as_str().unwrap();
    assert!(packed.len() <= 6_000_000);
    let packed = base64::engine::general_purpose::STANDARD.decode(packed);
    let packed = packed.unwrap();
    let mut text = String::new();
    let mut gzip = flate2::read::GzDecoder::new(packed.as_slice());
    gzip.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn an_answer_that_is_too_large_as_text_goes_back_as_gzip() {
    let many = Many {
        groups: 13_000,
        are_random: false,
    };
    let route = Route(Answers::new(&many));
    for (format, lines) in [("csv", 13_001), ("ndjson", 13_000)] {
        let plain = get(&route, &[("formato", format)], &[]).await;
        assert_eq!(plain["statusCode"], 413, "{format}");
        assert!(plain["body"].as_str().unwrap().contains("gzip"), "{format}");
        let accepted = [("accept-encoding", "br, gzip;q=0.9")];
        let packed = get(&route, &[("formato", format)], &accepted).await;
        assert_eq!(packed["statusCode"], 200, "{format}");
        assert_eq!(packed["isBase64Encoded"], true, "{format}");
        assert_eq!(packed["headers"]["content-encoding"], "gzip", "{format}");
        assert_eq!(packed["headers"]["vary"], "accept-encoding", "{format}");
        let text = unpacked(&packed);
        assert_eq!(text.lines().count(), lines, "{format}");
        assert!(text.len() > 6_000_000, "{format}");
        assert!(text.contains("x12999"), "{format}");
    }
    // The same question as text has a tag of its own, and JSON is never packed.
    let few = [("formato", "csv"), ("limite", "3")];
    let plain = get(&route, &few, &[]).await;
    let packed = get(&route, &few, &[("accept-encoding", "gzip")]).await;
    assert_eq!(unpacked(&packed), plain["body"].as_str().unwrap());
    assert_ne!(packed["headers"]["etag"], plain["headers"]["etag"]);
    assert_eq!(
        packed["headers"]["x-proximo-cursor"],
        plain["headers"]["x-proximo-cursor"]
    );
    let json = get(&route, &[], &[("accept-encoding", "gzip")]).await;
    assert_eq!(json["isBase64Encoded"], false);
    assert_eq!(keys(&json).len(), 4);
}

#[tokio::test]
async fn what_is_too_large_even_as_gzip_is_told_with_advice() {
    let many = Many {
        groups: 13_000,
        are_random: true,
    };
    let route = Route(Answers::new(&many));
    let accepted = [("accept-encoding", "gzip")];
    let refused = get(&route, &[("formato", "csv")], &accepted).await;
    assert_eq!(refused["statusCode"], 413);
    let problem: Value = serde_json::from_str(refused["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:feira:problem:answer-too-large");
    assert!(problem["detail"].as_str().unwrap().contains("limite"));
    let page = [("formato", "csv"), ("limite", "5000")];
    assert_eq!(get(&route, &page, &accepted).await["statusCode"], 200);
    assert_eq!(get(&route, &page, &[]).await["statusCode"], 200);
}
