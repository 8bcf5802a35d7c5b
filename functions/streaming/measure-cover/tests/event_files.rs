//! Every event file of measure-cover, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::cell::RefCell;

use domain::{
    identity::ProductId,
    lake::{Snapshot, SnapshotId},
    sales::{Group, Question, Sums},
    stock::{Level, Limits},
    time::UtcMillis,
};
use lambda_kit::{
    Invocation,
    schedule::{Handler, read},
};
use measure_cover::{MeasureCover, Measured};
use sales_answers::{SalesSource, SourceError};
use sql_store::{Store, stock};
use testkit::{databases, event, event_cases};

const FUNCTION: &str = "measure-cover";
const USUAL: Limits = Limits {
    threshold_units: 0,
    cover_days: 7,
};

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

/// Sales of these products, and what was asked.
struct Sales {
    sold: Vec<(&'static str, i64)>,
    asked: RefCell<Vec<Question>>,
}

impl SalesSource for &Sales {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        Ok(Some(Snapshot {
            id: SnapshotId(1),
            committed: now(),
        }))
    }

    async fn answer(&self, _: SnapshotId, asked: &Question) -> Result<Vec<Group>, SourceError> {
        self.asked.borrow_mut().push(asked.clone());
        let groups = self.sold.iter().map(|(product, quantity)| Group {
            key: Some((*product).to_owned()),
            sums: Sums {
                quantity: *quantity,
                ..Sums::default()
            },
        });
        Ok(groups.collect())
    }
}

async fn run(store: &Store, sales: &Sales, name: &str) -> Result<Measured, String> {
    let run = read(&event(FUNCTION, name)).map_err(|failed| failed.code)?;
    let handler = MeasureCover::new(store.clone(), sales, USUAL, now);
    let done = handler.handle(run, &Invocation::at(now())).await;
    done.map_err(|failed| failed.code)
}

#[tokio::test]
async fn what_sells_too_fast_for_its_stock_alerts_once() {
    let cases = ["accepted-scheduled", "refused-without-date"];
    assert_eq!(event_cases(FUNCTION), cases);
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        for product in ["fast", "slow"] {
            let product = ProductId::parse(product).unwrap();
            let level = Level::new(product, 20, now()).unwrap();
            let recorded = stock::record_level(&store, &level, USUAL, now()).await;
            recorded.unwrap();
        }
        let sales = Sales {
            sold: vec![("fast", 100), ("slow", 8), ("returned", -2)],
            asked: RefCell::default(),
        };
        for alertas in [1, 0] {
            let expected = Measured {
                vendidos: 3,
                parados: 0,
                alertas,
            };
            assert_eq!(run(&store, &sales, cases[0]).await, Ok(expected));
        }
        let asked = sales.asked.borrow().first().cloned().unwrap();
        let days = [asked.from, asked.to].map(|day| day.unwrap().to_string());
        assert_eq!(days, ["2026-10-23", "2026-11-19"], "28 days");
        let page = stock::levels(&store, Some("fast"), None, 1).await.unwrap();
        let row = page.rows.first().unwrap();
        assert_eq!(row.low_reason.as_deref(), Some("cobertura"));
        let refused = run(&store, &sales, cases[1]).await.unwrap_err();
        assert!(refused.contains("horario"), "{refused}");
    }
}
