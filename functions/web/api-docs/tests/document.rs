//! The document says exactly what the template wires, and the page runs under its own policy.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use api_docs::{ApiDocs, OPENAPI, PAGE, PAGE_POLICY};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use sam_template::Template;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{event, event_cases};

const FUNCTION: &str = "api-docs";
const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../template.yaml");

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Operations by route key, `GET /vouchers/{code}`.
fn operations(document: &Value) -> BTreeMap<String, Value> {
    let mut operations = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let key = format!("{} {path}", method.to_uppercase());
            operations.insert(key, operation.clone());
        }
    }
    operations
}

fn scopes(operation: &Value) -> BTreeSet<String> {
    let alternatives = operation["security"].as_array().unwrap().iter();
    alternatives
        .flat_map(|one| one["token"].as_array().unwrap().clone())
        .map(|scope| scope.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_document_has_exactly_the_routes_and_scopes_of_the_template() {
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    let operations = operations(&document());
    let wired: BTreeSet<String> = template.routes.iter().map(|route| route.key()).collect();
    let described: BTreeSet<String> = operations.keys().cloned().collect();
    let missing: Vec<&String> = wired.difference(&described).collect();
    let extra: Vec<&String> = described.difference(&wired).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "openapi.json lacks {missing:?}; the template lacks {extra:?}"
    );
    for route in &template.routes {
        let operation = &operations[&route.key()];
        let expected: BTreeSet<String> = if route.is_public() {
            BTreeSet::new()
        } else {
            route.scopes.iter().cloned().collect()
        };
        assert_eq!(scopes(operation), expected, "{}", route.key());
        assert_eq!(
            operation["operationId"],
            route.event.as_str(),
            "{}",
            route.key()
        );
    }
}

#[test]
fn every_operation_lists_its_problems_and_its_path_parameters() {
    let document = document();
    for (key, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.contains_key("429") && responses.contains_key("500"),
            "{key}"
        );
        if operation["security"].as_array().unwrap().is_empty() {
            assert!(!responses.contains_key("401"), "{key}");
        } else {
            for status in ["400", "401", "403", "503"] {
                assert!(responses.contains_key(status), "{key} {status}");
            }
        }
        let (_, path) = key.split_once(' ').unwrap();
        let named: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| resolve(&document, parameter))
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let wanted: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(named, wanted, "{key}");
    }
}

#[test]
fn every_operation_has_what_the_page_shows() {
    let document = document();
    let tags = document["tags"].as_array().unwrap().iter();
    let tags: BTreeSet<&str> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
    for (key, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.trim().is_empty(), "{key} has no summary");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses
                .keys()
                .any(|status| status.starts_with(['2', '3'])),
            "{key} has no response of a success: 2xx, or 3xx where it leads elsewhere"
        );
        let own = operation["tags"].as_array().into_iter().flatten();
        assert!(
            own.filter_map(Value::as_str).any(|tag| tags.contains(tag)),
            "{key} has none of the document's tags, which are {tags:?}"
        );
    }
}

fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap(),
        None => part,
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_part_is_used() {
    let document = document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    for reference in &references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for kind in ["parameters", "responses", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(
                references.contains(&reference),
                "{reference} is used nowhere"
            );
        }
    }
}

fn collect_references(part: &Value, references: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            references.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields
                .values()
                .for_each(|field| collect_references(field, references));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, references)),
        _ => {}
    }
}

#[test]
fn the_policy_allows_the_pages_own_style_and_script_and_nothing_from_elsewhere() {
    for tag in ["style", "script"] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        assert_eq!(PAGE.matches(&open).count(), 1);
        let (_, rest) = PAGE.split_once(&open).unwrap();
        let (content, _) = rest.split_once(&close).unwrap();
        let hash = STANDARD.encode(Sha256::digest(content.as_bytes()));
        assert!(
            PAGE_POLICY.contains(&format!("{tag}-src 'sha256-{hash}'")),
            "{tag}: {hash}"
        );
    }
    assert!(
        !PAGE.contains("http://") && !PAGE.contains("https://"),
        "nothing from elsewhere"
    );
    assert!(
        !PAGE.contains(" style=") && !PAGE.contains(" onclick="),
        "the policy forbids them"
    );
}

#[tokio::test]
async fn both_documents_are_served_as_they_are() {
    let now = UtcMillis::new(0).unwrap();
    for case in event_cases(FUNCTION) {
        let answer = http::answer(&ApiDocs, event(FUNCTION, &case), &Invocation::at(now)).await;
        let (status, kind, body) = match case.as_str() {
            "accepted-docs" => (200, "text/html; charset=utf-8", PAGE),
            "accepted-openapi" => (200, "application/json", OPENAPI),
            _ => (404, "application/problem+json", ""),
        };
        assert_eq!(answer["statusCode"], status, "{case}");
        assert_eq!(answer["headers"]["content-type"], kind, "{case}");
        assert!(answer["body"].as_str().unwrap().starts_with(body), "{case}");
    }
}
