//! Every event file of report-load, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use report_load::ReportLoad;
use serde_json::{Value, json};
use sql_store::{
    Store,
    sales_loads::{FileVersion, LoadCounts, Report, begin, refuse},
};
use testkit::{databases, event_cases, event_text};

const FUNCTION: &str = "report-load";
/// The load that the event files name.
const NAMED: &str = "01K9Z7D4Q0CARGA00000000001";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

async fn send(handler: &ReportLoad, case: &str, id: &str) -> (u64, Value) {
    let event = event_text(FUNCTION, case).replace(NAMED, id);
    let event = serde_json::from_str(&event).unwrap();
    let answer = http::answer(handler, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test]
async fn a_load_is_told_from_its_beginning_and_its_report_as_it_stands() {
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let file = FileVersion {
            bucket: "sales-bucket".to_owned(),
            key: "vendas/novembro.csv".to_owned(),
            modified_ms: 1,
            etag: "e".to_owned(),
            size_bytes: 9,
        };
        let load = begin(&store, &file, now()).await.unwrap();
        let handler = ReportLoad::new(store.clone());
        for case in event_cases(FUNCTION) {
            let (status, body) = send(&handler, &case, &load.id).await;
            assert_eq!(
                status == 200,
                case.starts_with("accepted-"),
                "{case} {body}"
            );
        }
        let (_, begun) = send(&handler, "accepted-report", &load.id).await;
        assert_eq!(begun["situacao"], "carregando");
        assert_eq!(begun["iniciada_em"], "2026-11-20T12:00:00.000Z");
        let told = json!({"id": load.id, "situacao": "recusada", "motivo": "arquivo_vazio"});
        let json = told.to_string();
        let report = Report {
            counts: LoadCounts::default(),
            quarantine_key: None,
            json: &json,
        };
        refuse(&store, load.number, report, now()).await.unwrap();
        let (_, body) = send(&handler, "accepted-report", &load.id).await;
        assert_eq!(body, told);
        let (status, _) = send(&handler, "accepted-report", "01K9Z7D4Q0NENHUMA000000001").await;
        assert_eq!(status, 404);
    }
}
