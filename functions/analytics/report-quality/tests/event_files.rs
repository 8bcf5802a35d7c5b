//! Every event file of report-quality, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::time::{Day, UtcMillis};
use lambda_kit::{Invocation, http};
use report_quality::ReportQuality;
use serde_json::Value;
use sql_store::{
    Store, StoreError, Tx,
    quality::{CheckResult, record},
};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "report-quality";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

async fn checked(database: &TestDatabase) -> ReportQuality {
    let store = Store::open(database.url()).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    for date in ["2026-11-18", "2026-11-19"] {
        let date = Day::parse(date).unwrap();
        let results = ["vendas_recentes", "vendas_volume"].map(|name| CheckResult {
            failures: 2,
            failures_key: Some("relatorios/x.csv.gz".to_owned()),
            ..CheckResult::begun(date, name, "frescor", now())
        });
        let work = async |tx: &Tx| record(tx, date, &results).await;
        store.transact::<_, StoreError, _>(work).await.unwrap();
    }
    ReportQuality::new(store)
}

async fn send(handler: &ReportQuality, event: Value) -> (u64, Value) {
    let answer = http::answer(handler, event, &Invocation::at(now())).await;
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test]
async fn every_event_is_answered_as_its_name_says() {
    for database in databases().await {
        let handler = checked(&database).await;
        for case in event_cases(FUNCTION) {
            let (status, body) = send(&handler, event(FUNCTION, &case)).await;
            let expected = if case.starts_with("accepted-") {
                200
            } else {
                400
            };
            assert_eq!(status, expected, "{case} {body}");
        }
    }
}

#[tokio::test]
async fn the_newest_date_is_told_and_a_check_has_its_history_page_by_page() {
    for database in databases().await {
        let handler = checked(&database).await;
        let (_, newest) = send(&handler, event(FUNCTION, "accepted-newest")).await;
        let items = newest["itens"].as_array().unwrap();
        assert_eq!(items.len(), 2, "{}", database.label());
        assert_eq!(items[0]["data"], "2026-11-19");
        assert_eq!(items[0]["verificacao"], "vendas_recentes");
        assert_eq!(items[0]["veredito"], "sem_dados");
        assert_eq!(items[0]["arquivo_falhas"], "relatorios/x.csv.gz");
        assert_eq!(items[0]["verificado_em"], "2026-11-20T12:00:00.000Z");
        assert!(items[0].get("versao_lago").is_none());
        assert_eq!(newest["tem_mais"], false);

        let mut history = event(FUNCTION, "accepted-history");
        let (_, first) = send(&handler, history.clone()).await;
        assert_eq!(first["itens"][0]["data"], "2026-11-19");
        assert_eq!(first["tem_mais"], true);
        history["queryStringParameters"]["cursor"] = first["proximo"].clone();
        let (_, second) = send(&handler, history).await;
        assert_eq!(second["itens"][0]["data"], "2026-11-18");
        assert_eq!(second["tem_mais"], false, "{}", database.label());
    }
}
