//! Every event file of anchor-audit, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use anchor_audit::AnchorAudit;
use domain::identity::{CampaignId, CustomerId, ReferralId};
use domain::mgm::campaign::Discount;
use domain::mgm::voucher::Kind;
use domain::money::Centavos;
use domain::time::UtcMillis;
use lambda_kit::schedule::{Handler, read};
use lambda_kit::{Invocation, InvocationFailed};
use serde_json::{Value, json};
use sql_store::mgm::vouchers::{NewVoucher, issue};
use sql_store::{Store, StoreError, Tx};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "anchor-audit";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T03:30:00Z").unwrap()
}

/// A shop where a coupon was issued the evening before.
async fn shop(database: &TestDatabase) -> AnchorAudit {
    let store = Store::open(database.url()).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    let coupon = NewVoucher {
        kind: Kind::FriendCoupon,
        campaign: CampaignId::parse("C1").unwrap(),
        referral: Some(ReferralId::parse("R1").unwrap()),
        arrival: None,
        owner: Some(CustomerId::parse("cliente-1").unwrap()),
        worth: Discount::Amount(Centavos::new(3_000).unwrap()),
        stackable: false,
        held: Centavos::ZERO,
        expires: now().plus_days(30),
    };
    let evening = now().plus_millis(-3_600_000);
    let work = async |tx: &Tx| issue(tx, std::slice::from_ref(&coupon), evening).await;
    store.transact::<_, StoreError, _>(work).await.unwrap();
    AnchorAudit::new(store, now)
}

async fn send(function: &AnchorAudit, case: &str) -> Result<Value, InvocationFailed> {
    let run = read(&event(FUNCTION, case))?;
    let report = function.handle(run, &Invocation::at(now())).await?;
    Ok(serde_json::to_value(report).unwrap())
}

#[tokio::test]
async fn the_schedule_anchors_the_day_that_is_over_once() {
    for database in databases().await {
        let function = shop(&database).await;
        let report = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], "feito", "{}", database.label());
        let counts = json!({"cadeias": 1, "dias_ancorados": 1});
        assert_eq!(report["contagens"], counts);
        let again = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(again["situacao"], "ja_feito");
        let once_more = send(&function, "accepted-date-again").await.unwrap();
        assert_eq!(once_more["contagens"]["dias_ancorados"], 0);
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field_and_changes_nothing() {
    for database in databases().await {
        let function = shop(&database).await;
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let field = if case.contains("date") {
                    "data"
                } else {
                    "horario"
                };
                let error = send(&function, &case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        let report = send(&function, "accepted-schedule").await.unwrap();
        assert_eq!(report["contagens"]["dias_ancorados"], 1);
    }
}
