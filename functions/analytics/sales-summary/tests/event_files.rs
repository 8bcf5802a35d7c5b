//! Every event file of sales-summary, on every database that there is.
use domain::time::UtcMillis;
use files::{Files, FolderFiles};
use lambda_kit::{Invocation, http};
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use sql_store::Store;
use tempfile::TempDir;
use testkit::{databases, event, event_cases};

const FUNCTION: &str = "sales-summary";

#[tokio::test]
async fn an_empty_lake_answers_what_is_asked_well_and_refuses_the_rest() {
    let now = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now).await.unwrap();
        let folder = TempDir::new().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let handler = SalesSummary::new(LakeSource::new(store, files, "sales-bucket"));
        for case in event_cases(FUNCTION) {
            let answer = http::answer(&handler, event(FUNCTION, &case), &Invocation::at(now)).await;
            let expected = if case.starts_with("accepted-") {
                200
            } else {
                400
            };
            assert_eq!(answer["statusCode"], expected, "{case}: {answer}");
        }
    }
}
