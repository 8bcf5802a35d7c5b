//! A process killed before or after any statement, then the same work once more: as if it had been
//! done once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::code::ReferralCode;
use domain::customers::{News, Place, Profile};
use domain::identity::CampaignId;
use domain::mgm::attribution::{SigningKey, Visitor};
use domain::mgm::campaign::{Amendment, CouponMoment, Proposal};
use domain::mgm::click::ClickKind;
use domain::time::{Day, UtcMillis};
use sql_store::customers::sync;
use sql_store::idempotency::RequestKey;
use sql_store::jobs::Attempt;
use sql_store::mgm::campaigns::{change_campaign, open_campaign};
use sql_store::mgm::clicks::{Click, open_link};
use sql_store::mgm::links::create_link;
use sql_store::mgm::promoters::set_promoters;
use sql_store::observer::{Point, StatementObserver};
use sql_store::{FromQueryResult, Options, Store, Tx, values};
use tokio::sync::Notify;

use crate::scene::{NOW, Scene, answer_with_id, centavos, customer, proposal, time};

/// Ends the run at the point that is counted down to.
struct Killer {
    points_left: AtomicUsize,
    killed: Notify,
}

impl StatementObserver for Killer {
    fn cuts_at(&self, _: Point<'_>) -> bool {
        let before = self.points_left.fetch_sub(1, Ordering::AcqRel);
        if before == 1 {
            self.killed.notify_one();
        }
        before == 1
    }
}

/// True when the work ended before the point was reached.
async fn run_until(scene: &Scene, point: usize, work: &impl AsyncFn(&Store)) -> bool {
    let killer = Arc::new(Killer {
        points_left: AtomicUsize::new(point),
        killed: Notify::new(),
    });
    let observer: Arc<dyn StatementObserver> = killer.clone();
    let options = Options {
        observer: Some(observer),
        ..Options::default()
    };
    let store = Store::open_with(scene.url(), options).await.unwrap();
    tokio::select! {
        () = work(&store) => true,
        () = killer.killed.notified() => false,
    }
}

#[derive(FromQueryResult)]
struct Number {
    number: i64,
}

/// What each table holds, as numbers that do not depend on ids.
async fn state(store: &Store) -> Vec<i64> {
    let mut numbers = Vec::new();
    for sql in [
        "SELECT COUNT(*) AS number FROM campaigns",
        "SELECT COALESCE(MAX(version), 0) AS number FROM campaigns",
        "SELECT COALESCE(MAX(budget_centavos), 0) AS number FROM campaigns",
        "SELECT COUNT(*) AS number FROM idempotency_keys WHERE status = 201",
        "SELECT COUNT(*) AS number FROM promoters",
        "SELECT COUNT(*) AS number FROM clicks",
        "SELECT COUNT(*) AS number FROM link_visits",
        "SELECT COUNT(*) AS number FROM vouchers",
        "SELECT COUNT(*) AS number FROM audit_log",
        "SELECT COUNT(*) AS number FROM customers WHERE deleted = 0",
        "SELECT COUNT(*) AS number FROM customers WHERE deleted = 1",
        "SELECT COUNT(*) AS number FROM job_runs WHERE status = 'done'",
        "SELECT COUNT(*) AS number FROM job_runs WHERE counts LIKE '%\"promotores\":1100%'",
    ] {
        let read = async |tx: &Tx| tx.one::<Number>(sql, values![]).await;
        let row = store.transact(read).await.unwrap();
        numbers.push(row.unwrap().number);
    }
    numbers
}

/// Kills the work at each of its points and does it again; answers how many points there are.
async fn killed_anywhere(
    prepare: impl AsyncFn(&Scene),
    work: impl AsyncFn(&Store),
    again: impl AsyncFn(&Store),
) -> usize {
    let mut points = 0;
    for scene in Scene::everywhere().await {
        prepare(&scene).await;
        work(&scene.store).await;
        let expected = state(&scene.store).await;
        for point in 1.. {
            scene.empty().await;
            prepare(&scene).await;
            let ended = run_until(&scene, point, &work).await;
            again(&scene.store).await;
            assert_eq!(
                state(&scene.store).await,
                expected,
                "killed at point {point} on {}",
                scene.label()
            );
            if ended {
                points = point;
                break;
            }
        }
    }
    points
}

const CODE: [u8; 11] = [9; 11];

fn named() -> CampaignId {
    CampaignId::parse("K1").unwrap()
}

/// A campaign with a known id that gives its coupon on arrival, two customers and a link.
async fn campaign_and_link(scene: &Scene) {
    let asked = Proposal {
        coupon_moment: Some(CouponMoment::Arrival),
        ..proposal()
    };
    let drawn = scene.campaign(asked).await;
    let code = ReferralCode::from_random(CODE);
    let rename = "UPDATE campaigns SET id = ? WHERE id = ?";
    scene.write(rename, values!["K1", drawn.as_str()]).await;
    scene.customers(&[("ana", true), ("bia", true)]).await;
    let link = "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
        accepted) VALUES ('K1', 'bia', ?, 0, '2026-11', 0)";
    scene.write(link, values![code.as_str()]).await;
}

#[tokio::test]
async fn a_campaign_is_opened_once() {
    let open = async |store: &Store| {
        let key = RequestKey::new("op", "POST /mgm/campaigns", "k1", b"body");
        let asked = Amendment {
            proposal: proposal(),
            status: None,
        };
        open_campaign(store, &key, &asked, time(NOW), answer_with_id)
            .await
            .unwrap();
    };
    assert!(killed_anywhere(async |_: &Scene| (), open, open).await > 8);
}

#[tokio::test]
async fn a_campaign_is_changed_once() {
    let change = async |store: &Store| {
        let asked = Amendment {
            proposal: Proposal {
                budget: centavos(200_000),
                ..Proposal::default()
            },
            status: None,
        };
        change_campaign(store, &named(), &asked, time(NOW))
            .await
            .unwrap();
    };
    assert!(killed_anywhere(campaign_and_link, change, change).await > 8);
}

#[tokio::test]
async fn a_link_is_made_once() {
    let ask = async |store: &Store| {
        create_link(store, &named(), &customer("ana"), time(NOW))
            .await
            .unwrap();
    };
    assert!(killed_anywhere(campaign_and_link, ask, ask).await > 8);
}

#[tokio::test]
async fn a_click_and_its_coupon_count_once() {
    let click = async |store: &Store| {
        let key = SigningKey::new([7; 32]).unwrap();
        let click = Click {
            code: ReferralCode::from_random(CODE),
            visitor: Visitor::pseudonym(&key, "10.0.0.1", "Firefox", time(NOW).day()),
            kind: ClickKind::Person,
        };
        open_link(store, &click, time(NOW)).await.unwrap().unwrap();
    };
    assert!(killed_anywhere(campaign_and_link, click, click).await > 12);
}

#[tokio::test]
async fn a_batch_of_customers_is_taken_over_whole() {
    let news = |id: usize, version: Option<i64>, offset: i64| News {
        customer: customer(&format!("c{id:05}")),
        version,
        place: Place {
            partition: 0,
            offset,
            recorded: time(NOW),
        },
        profile: version.map(|_| Profile::default()),
    };
    let prepare = async |scene: &Scene| scene.many_customers(600).await;
    let batch = async |store: &Store| {
        let changed = (300..900).map(|id| news(id, Some(2), 10_000));
        let gone = (0..100).map(|id| news(id, None, 20_000));
        let all: Vec<News> = changed.chain(gone).collect();
        sync(store, &all, time(NOW)).await.unwrap();
    };
    assert!(killed_anywhere(prepare, batch, batch).await > 10);
}

/// A clock that stands still.
struct At(UtcMillis);

impl Attempt for At {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        Some(self.0)
    }
}

#[tokio::test]
async fn the_job_makes_each_promoter_once_and_counts_all() {
    let prepare = async |scene: &Scene| {
        scene.campaign(proposal()).await;
        scene.many_customers(1_100).await;
    };
    let run_at = async |store: &Store, at: UtcMillis| {
        let date = Day::parse("2026-11-20").unwrap();
        // Done before the kill, or done now: both are well.
        let _ = set_promoters(store, date, false, &At(at)).await;
    };
    let work = async |store: &Store| run_at(store, time(NOW)).await;
    let again = async |store: &Store| run_at(store, time(NOW).plus_millis(16 * 60_000)).await;
    assert!(killed_anywhere(prepare, work, again).await > 20);
}
