//! Every parameter of the routes that answer questions of sales, stock, events and quality, and the
//! key of the door for events.

use std::collections::BTreeMap;

use collect_events::CollectEvents;
use contracts::collect::{EVENTS_TOPIC, STOCK_TOPIC};
use domain::time::UtcMillis;
use event_door::Door;
use files::{Files, FolderFiles};
use lambda_kit::{Invocation, http};
use live_metrics::LiveMetrics;
use most_viewed::MostViewed;
use queues::{EmbeddedQueues, Queues, embedded_queue_url};
use report_load::ReportLoad;
use report_quality::ReportQuality;
use report_stock::ReportStock;
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use serde_json::{Value, json};
use sql_store::Store;
use sql_store::migrate::migrate;
use top_products::TopProducts;

use crate::fields::{Case, keys};
use crate::shop::{Answer, BEGIN_MS, Call, SECRET, dump};

const LOAD: &str = "GET /cargas/{id}";
const SUMMARY: &str = "GET /vendas/resumo";
const TOP: &str = "GET /produtos/mais_vendidos";
const VIEWED: &str = "GET /produtos/mais_vistos";
const LIVE: &str = "GET /metricas/tempo-real";
const STOCK: &str = "GET /estoque";
const ALERTS: &str = "GET /estoque/alertas";
const QUALITY: &str = "GET /qualidade";
const EVENTS: &str = "POST /eventos";

const NO_DAYS: [&str; 6] = ["", "ontem", "2026-02-30", "20260101", "2026-1-1", SECRET];
const NO_SIZES: [&str; 6] = ["0", "-1", "1.5", "dez", "", "4294967297"];
const NO_CURSORS: [&str; 4] = ["%", SECRET, "_____w", "AAAA"];

fn each(route: &str, name: &str, values: &[&str]) -> Vec<Case> {
    let case = |value: &&str| Case::new(Call::service(route).query(name, value), name, value);
    values.iter().map(case).collect()
}

pub fn cases() -> Vec<Case> {
    let long = "x".repeat(300);
    let mut cases = Vec::new();
    for id in ["x", "../../x", SECRET] {
        let call = Call::service(LOAD).path("id", id);
        cases.push(Case::new(call, "id", id).status(404));
    }
    for route in [SUMMARY, TOP] {
        for name in ["de", "ate"] {
            cases.extend(each(route, name, &NO_DAYS));
        }
        for name in ["regiao", "categoria"] {
            cases.extend(each(route, name, &[&long, "a\nb", "a\0b"]));
        }
        cases.extend(each(route, "limite", &NO_SIZES));
        cases.extend(each(route, "formato", &["", "xml", "JSON", SECRET]));
        cases.extend(each(route, "produtos", &["1"]));
    }
    cases.extend(each(
        SUMMARY,
        "agrupar_por",
        &["", "ano", "Produto", SECRET],
    ));
    cases.extend(each(SUMMARY, "id_produto", &["", &long, "a\nb"]));
    cases.extend(each(TOP, "por", &["", "nome", SECRET]));
    for route in [VIEWED, STOCK, ALERTS, QUALITY] {
        cases.extend(each(route, "limite", &NO_SIZES));
        cases.extend(each(route, "outro", &["1"]));
    }
    for name in ["de", "ate"] {
        cases.extend(each(VIEWED, name, &NO_DAYS));
    }
    cases.extend(each(
        LIVE,
        "janela",
        &["", "5", "0m", "-5m", "1d", "5 m", SECRET],
    ));
    cases.extend(each(STOCK, "id_produto", &["", &long, "a b"]));
    cases.extend(each(ALERTS, "abertos", &["", "sim", "1", SECRET]));
    cases.extend(each(QUALITY, "data", &NO_DAYS));
    let door = Call::service(EVENTS).json(&json!({"tipo_evento": "clique"}));
    cases.extend(keys(&door));
    cases
}

/// Cursors belong to a list that is asked for with what it needs.
pub fn cursors() -> Vec<Case> {
    let mut cases = Vec::new();
    for route in [SUMMARY, TOP, VIEWED, STOCK, ALERTS] {
        cases.extend(each(route, "cursor", &NO_CURSORS));
    }
    for cursor in NO_CURSORS {
        let call = Call::service(QUALITY).query("verificacao", "x");
        cases.push(Case::new(call.query("cursor", cursor), "cursor", cursor));
    }
    cases.extend(each(QUALITY, "verificacao", &["", SECRET]));
    cases
}

#[tokio::test]
async fn every_wrong_parameter_of_a_question_gets_a_problem_that_names_it() {
    for database in testkit::databases().await {
        let now = UtcMillis::new(BEGIN_MS).unwrap();
        let store = Store::open(database.url()).await.expect("opens");
        migrate(&store, now).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let source = || LakeSource::new(store.clone(), files.clone(), "sales-bucket");
        let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite")).await;
        let door = Door::Queues {
            urls: [
                (EVENTS_TOPIC, "EventosQueue"),
                (STOCK_TOPIC, "EstoqueQueue"),
            ]
            .map(|(topic, queue)| (topic, embedded_queue_url(queue)))
            .into(),
            queues: Queues::Embedded(queues.unwrap()),
        };
        let (load, summary) = (ReportLoad::new(store.clone()), SalesSummary::new(source()));
        let (top, viewed) = (TopProducts::new(source()), MostViewed::new(store.clone()));
        let (live, stock) = (
            LiveMetrics::new(store.clone()),
            ReportStock::new(store.clone()),
        );
        let (quality, door) = (ReportQuality::new(store.clone()), CollectEvents::new(door));
        let before = dump(&store).await;
        let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for case in cases().into_iter().chain(cursors()) {
            let (event, call) = (case.call.event.clone(), Invocation::at(now));
            let answer: Value = match case.call.route.as_str() {
                LOAD => http::answer(&load, event, &call).await,
                SUMMARY => http::answer(&summary, event, &call).await,
                TOP => http::answer(&top, event, &call).await,
                VIEWED => http::answer(&viewed, event, &call).await,
                LIVE => http::answer(&live, event, &call).await,
                STOCK | ALERTS => http::answer(&stock, event, &call).await,
                QUALITY => http::answer(&quality, event, &call).await,
                _ => http::answer(&door, event, &call).await,
            };
            let answer = Answer::of(&answer);
            let mut complaints = answer.complaints(case.status);
            if case.status == 400 && !answer.named().contains(&case.field) {
                complaints.push("the field is not named");
            }
            if !complaints.is_empty() {
                let (what, status, body) = (&case.what, answer.status, &answer.body);
                let told = format!("{what:.100}: {complaints:?} in {status} {body:.200}");
                wrong.entry(case.field).or_default().push(told);
            }
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", database.label());
        assert_eq!(dump(&store).await, before);
    }
}
