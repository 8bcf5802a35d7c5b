//! What an operator sees of all this: the funnel, one referral's story, and that nobody changed it.

use domain::{
    identity::{CampaignId, CustomerId, OrderId, ReferralId},
    jobs::NotStarted,
    mgm::{audit::Broken, trip::Leg},
    orders::OrderStatus,
    time::{Day, UtcMillis},
};
use sql_store::{
    Value,
    jobs::{Attempt, JobError, RunError},
    mgm::{
        audit::{Place, Verdict, anchor_days, verify},
        funnel::by_cohort,
        trace::{Filter, referrals, trace},
    },
    values,
};
use testkit::databases;

use crate::scene::{CAMPAIGN, DAY_MS, Scene, at, news, purchase};

struct Clock(UtcMillis);

impl Attempt for Clock {
    fn holder(&self) -> &str {
        "test"
    }

    fn now(&self) -> Option<UtcMillis> {
        Some(self.0)
    }
}

/// Two promoters; one referral rewarded and its coupon used, one waiting, one voided, one refused.
async fn busy_scene(url: &str) -> Scene {
    let scene = Scene::open(url, "").await;
    scene.promoter(1).await;
    scene.promoter(2).await;
    let sql = "UPDATE promoters SET cohort = '2026-10' WHERE customer_id = 'promoter-2'";
    scene.execute(sql, values![]).await;
    for (id, kind) in [("c1", "pessoa"), ("c2", "pessoa"), ("c3", "robo")] {
        let sql = "INSERT INTO clicks (id, campaign_id, link_code, kind, clicked_ms) \
                   SELECT ?, campaign_id, link_code, ?, 0 FROM promoters \
                   WHERE customer_id = 'promoter-1'";
        scene.execute(sql, values![id, kind]).await;
    }
    scene.record(&purchase("p1", "friend", 1), at(0)).await;
    scene.complete("p1", Leg::WHOLE, at(1)).await;
    let coupon = "SELECT code AS word FROM vouchers WHERE kind = 'cupom_amigo'";
    let code = scene.word(coupon).await.unwrap();
    scene.spend(&code, "friend", "next-order", at(2)).await;
    scene.record(&purchase("p2", "other", 1), at(3)).await;
    let gone = purchase("p3", "third", 2);
    scene.record(&gone, at(4)).await;
    scene
        .record(&news(&gone, OrderStatus::Cancelled), at(5))
        .await;
    scene.record(&purchase("p4", "promoter-1", 1), at(6)).await;
    scene
}

async fn referral_id(scene: &Scene, order: &str) -> ReferralId {
    let sql = format!("SELECT id AS word FROM referrals WHERE order_id = '{order}'");
    ReferralId::parse(scene.word(&sql).await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_funnel_counts_each_cohort_as_the_glossary_says() {
    for database in databases().await {
        let scene = busy_scene(database.url()).await;
        let campaign = CampaignId::parse(CAMPAIGN).unwrap();
        let cohorts = by_cohort(&scene.store, &campaign).await.unwrap();
        let november = &cohorts["2026-11"];
        assert_eq!(
            (november.links, november.clicks),
            (1, 2),
            "{}",
            database.label()
        );
        assert_eq!(
            (november.purchases, november.referrals, november.voided),
            (3, 2, 0)
        );
        assert_eq!((november.coupons, november.used_coupons), (2, 1));
        assert_eq!(
            (
                november.completions,
                november.vouchers,
                november.used_vouchers
            ),
            (1, 1, 0)
        );
        assert_eq!(
            (november.revenue_centavos, november.cost_centavos),
            (20_000, 2_000)
        );
        assert_eq!(november.refused.get("link_proprio"), Some(&1));
        let october = &cohorts["2026-10"];
        assert_eq!(
            (october.links, october.purchases, october.voided),
            (1, 1, 1)
        );
        assert_eq!(
            (october.referrals, october.coupons, october.revenue_centavos),
            (0, 0, 0)
        );
        let other = CampaignId::parse("OTHER").unwrap();
        assert!(by_cohort(&scene.store, &other).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_trace_tells_the_way_to_the_voucher_or_why_there_is_none() {
    for database in databases().await {
        let scene = busy_scene(database.url()).await;
        let story = async |order: &str| {
            let id = referral_id(&scene, order).await;
            trace(&scene.store, &id).await.unwrap().unwrap()
        };
        let rewarded = story("p1").await;
        assert_eq!(rewarded.referral.why_no_voucher(at(9)), Ok(None));
        assert_eq!((rewarded.legs.len(), rewarded.vouchers.len()), (1, 2));
        let events: Vec<&str> = rewarded
            .audit
            .iter()
            .map(|row| row.event.as_str())
            .collect();
        for event in [
            "indicacao_aceita",
            "indicacao_premiada",
            "voucher_emitido",
            "voucher_usado",
        ] {
            assert!(events.contains(&event), "{event} in {events:?}");
        }
        let waiting = story("p2").await;
        assert_eq!(
            waiting.referral.why_no_voucher(at(9)),
            Ok(Some("viagem_nao_concluida"))
        );
        let voided = story("p3").await;
        assert_eq!(voided.referral.why_no_voucher(at(9)), Ok(Some("anulada")));
        assert_eq!(voided.referral.void_reason.as_deref(), Some("cancelamento"));
        let unknown = ReferralId::parse("nobody").unwrap();
        assert!(trace(&scene.store, &unknown).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn referrals_are_found_by_campaign_promoter_and_order_page_by_page() {
    for database in databases().await {
        let scene = busy_scene(database.url()).await;
        let orders = async |filter: Filter| {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let page = referrals(&scene.store, &filter, after.as_ref(), 1)
                    .await
                    .unwrap();
                found.extend(page.rows.iter().map(|row| row.order_id.clone()));
                after = page
                    .rows
                    .last()
                    .map(|row| ReferralId::parse(row.id.as_str()).unwrap());
                if !page.has_more {
                    found.sort();
                    return found;
                }
            }
        };
        let campaign = Some(CampaignId::parse(CAMPAIGN).unwrap());
        let all = orders(Filter {
            campaign: campaign.clone(),
            ..Filter::default()
        })
        .await;
        assert_eq!(all, ["p1", "p2", "p3"], "{}", database.label());
        let promoter = Some(CustomerId::parse("promoter-1").unwrap());
        assert_eq!(
            orders(Filter {
                promoter,
                ..Filter::default()
            })
            .await,
            ["p1", "p2"]
        );
        let order = Some(OrderId::parse("p3").unwrap());
        let promoter = Some(CustomerId::parse("promoter-1").unwrap());
        assert_eq!(
            orders(Filter {
                order: order.clone(),
                ..Filter::default()
            })
            .await,
            ["p3"]
        );
        assert!(
            orders(Filter {
                campaign,
                promoter,
                order
            })
            .await
            .is_empty()
        );
    }
}

#[tokio::test]
async fn ended_days_are_anchored_once_and_without_a_gap() {
    for database in databases().await {
        let scene = busy_scene(database.url()).await;
        scene
            .record(&purchase("p9", "late", 2), at(2 * DAY_MS))
            .await;
        let today = at(3 * DAY_MS);
        let run = async |date: Day, again: bool, now: UtcMillis| {
            anchor_days(&scene.store, date, again, &Clock(now)).await
        };
        let soon = run(at(DAY_MS).day(), false, at(DAY_MS).day().start())
            .await
            .unwrap();
        assert_eq!(soon["dias_ancorados"], 0, "a change may still commit");
        let counts = run(today.day(), false, today).await.unwrap();
        assert_eq!(counts["dias_ancorados"], 3, "{}", database.label());
        assert_eq!(
            scene.count("audit_anchors WHERE heads = 0").await,
            1,
            "a day without changes"
        );
        let done = run(today.day(), false, today).await.unwrap_err();
        let reason = JobError::NotStarted(NotStarted::AlreadyDone);
        assert_eq!(done.to_string(), RunError::Job(reason).to_string());
        assert_eq!(
            run(today.day(), true, today).await.unwrap()["dias_ancorados"],
            0
        );
        let verdict = verify(&scene.store).await.unwrap();
        assert_eq!((verdict.anchors, &verdict.broken), (3, &None));
        assert_eq!(verdict.links, scene.count("audit_log").await);
        let chains = scene.count("referrals").await + scene.count("vouchers").await;
        assert_eq!(verdict.chains, chains);
    }
}

/// A lie, what it does to the database, and where the verifier must find it.
struct Lie {
    statements: Vec<(&'static str, Vec<Value>)>,
    place: Place,
    problem: Broken,
}

async fn verdict_after(url: &str, lie: impl AsyncFn(&Scene) -> Lie) -> (Verdict, Lie) {
    let scene = busy_scene(url).await;
    let tomorrow = at(2 * DAY_MS);
    anchor_days(&scene.store, tomorrow.day(), false, &Clock(tomorrow))
        .await
        .unwrap();
    assert_eq!(verify(&scene.store).await.unwrap().broken, None);
    let lie = lie(&scene).await;
    for (sql, values) in &lie.statements {
        scene.execute(sql, values.clone()).await;
    }
    (verify(&scene.store).await.unwrap(), lie)
}

async fn assert_found(lie: impl AsyncFn(&Scene) -> Lie) {
    for database in databases().await {
        let (verdict, lie) = verdict_after(database.url(), &lie).await;
        let found = verdict.broken.unwrap();
        assert_eq!(
            (found.place, found.problem),
            (lie.place, lie.problem),
            "{}",
            database.label()
        );
    }
}

fn chain_place(id: &ReferralId, version: i64) -> Place {
    Place::Chain {
        entity: "indicacao",
        id: id.as_str().to_owned(),
        version,
    }
}

#[tokio::test]
async fn a_tampered_row_is_found() {
    assert_found(async |scene: &Scene| {
        let id = referral_id(scene, "p1").await;
        let sql = "UPDATE audit_log SET details = '{}' WHERE entity_id = ? AND version = 1";
        Lie {
            statements: vec![(sql, values![id.as_str()])],
            place: chain_place(&id, 1),
            problem: Broken::Changed,
        }
    })
    .await;
}

#[tokio::test]
async fn a_deleted_tail_is_found() {
    assert_found(async |scene: &Scene| {
        let id = referral_id(scene, "p3").await;
        let sql = "DELETE FROM audit_log WHERE entity_id = ? AND version = 2";
        Lie {
            statements: vec![(sql, values![id.as_str()])],
            place: chain_place(&id, 2),
            problem: Broken::Missing,
        }
    })
    .await;
}

#[tokio::test]
async fn a_changed_head_is_found() {
    assert_found(async |scene: &Scene| {
        let id = referral_id(scene, "p2").await;
        let sql = "UPDATE referrals SET audit_hash = '00' WHERE id = ?";
        Lie {
            statements: vec![(sql, values![id.as_str()])],
            place: chain_place(&id, 1),
            problem: Broken::Head,
        }
    })
    .await;
}

#[tokio::test]
async fn a_rewritten_chain_is_found_by_its_days_anchor() {
    assert_found(async |scene: &Scene| {
        let id = referral_id(scene, "p2").await;
        let day = at(0).day().to_string();
        let forged = forged_first_link(scene, &id).await;
        let log = "UPDATE audit_log SET details = '{}', hash = ? WHERE entity_id = ?";
        let row = "UPDATE referrals SET audit_hash = ? WHERE id = ?";
        Lie {
            statements: vec![
                (log, values![forged.as_str(), id.as_str()]),
                (row, values![forged.as_str(), id.as_str()]),
            ],
            place: Place::Anchor { day },
            problem: Broken::Anchor,
        }
    })
    .await;
}

#[tokio::test]
async fn a_referral_deleted_with_its_whole_chain_is_found_by_its_days_anchor() {
    assert_found(async |scene: &Scene| {
        let id = referral_id(scene, "p2").await;
        let log = "DELETE FROM audit_log WHERE entity_id = ?";
        let row = "DELETE FROM referrals WHERE id = ?";
        Lie {
            statements: vec![(log, values![id.as_str()]), (row, values![id.as_str()])],
            place: Place::Anchor {
                day: at(0).day().to_string(),
            },
            problem: Broken::Anchor,
        }
    })
    .await;
}

/// The hash that a forger who knows the rule would write.
async fn forged_first_link(scene: &Scene, id: &ReferralId) -> String {
    let sql = format!(
        "SELECT CAST(changed_ms AS CHAR(20)) AS word FROM audit_log WHERE entity_id = '{id}'"
    );
    let changed_ms = scene.word(&sql).await.unwrap().parse().unwrap();
    domain::mgm::audit::StoredLink {
        previous_hash: "",
        entity: "indicacao",
        id: id.as_str(),
        version: 1,
        changed_ms,
        event: "indicacao_aceita",
        details: "{}",
    }
    .hash()
}
