//! Database 2 against the company's source.

use super::*;
use domain::{
    jobs::TELESALES_RECONCILE,
    telesales::{DELETION_DAYS, EXPIRED_DAYS, RETENTION_DAYS},
    time::Day,
};
use sql_store::{
    jobs::{self, Counts, RunError},
    telesales::{
        reconciliation::{AsOf, Limits, Source, SourceRow, reconcile},
        retention::expire_contacts,
    },
};

/// A source in memory; it may fail after some pages.
pub(crate) struct Rows {
    rows: Vec<SourceRow>,
    pages_left: usize,
    /// As of when it tells; of what was asked now, nothing.
    written: Option<UtcMillis>,
}

impl Rows {
    pub(crate) fn new(rows: Vec<SourceRow>) -> Self {
        Self {
            rows,
            pages_left: usize::MAX,
            written: None,
        }
    }

    fn written(self, written: UtcMillis) -> Self {
        Self {
            written: Some(written),
            ..self
        }
    }
}

impl Source for Rows {
    async fn as_of(&mut self, began: UtcMillis) -> Result<AsOf, &'static str> {
        let told = self.written.unwrap_or(began);
        Ok(AsOf {
            complete: told,
            latest: told,
        })
    }

    async fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        self.pages_left = self
            .pages_left
            .checked_sub(1)
            .ok_or("origem_nao_respondeu")?;
        let rest = self
            .rows
            .iter()
            .filter(|row| after.is_none_or(|after| row.customer > *after));
        Ok(rest.take(limit as usize).cloned().collect())
    }
}

pub(crate) fn row(id: &str, version: i64, contact: Option<Contact>) -> SourceRow {
    SourceRow {
        customer: customer(id),
        version,
        contact,
    }
}

pub(crate) async fn run(
    scene: &Scene,
    source: &mut impl Source,
    now: UtcMillis,
) -> Result<Counts, RunError> {
    run_within(scene, source, 5, now).await
}

async fn run_within(
    scene: &Scene,
    source: &mut impl Source,
    deleted_percent: u32,
    now: UtcMillis,
) -> Result<Counts, RunError> {
    let limits = Limits {
        deleted_percent,
        deleted_at_least: 3,
    };
    let run = (now.day(), true);
    reconcile(
        &scene.table,
        &pseudonyms(),
        source,
        limits,
        run,
        &Clock(now),
    )
    .await
}

pub(crate) fn ana() -> Contact {
    contact("Ana Lima", "11964166764")
}

#[tokio::test]
async fn what_is_missing_stale_or_extra_is_repaired_once() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ids = ["ahead", "extra", "refuses", "same", "spoilt", "stale"];
        let known: Vec<_> = ids.iter().map(|id| change(id, 3, 1, Some(ana()))).collect();
        scene.apply(&known, at(0)).await;
        let spoil = "UPDATE contacts SET name = 'Outra' WHERE subject = ?";
        scene
            .execute(spoil, values![contact_id("spoilt").as_str()])
            .await;
        let bia = || Some(contact("Bia", "21964166764"));
        let mut source = Rows::new(vec![
            row("ahead", 2, bia()),
            row("missing", 1, bia()),
            row("refuses", 4, None),
            row("same", 3, Some(ana())),
            row("spoilt", 3, Some(ana())),
            row("stale", 9, bia()),
        ]);
        let counts = run(&scene, &mut source, at(1_000)).await.unwrap();
        let told = ["origem", "faltando", "desatualizados", "sobrando"].map(|name| counts[name]);
        assert_eq!(told, [6, 1, 2, 2], "{}", database.label());
        for (id, name) in [
            ("ahead", Some("Ana Lima")),
            ("extra", None),
            ("missing", Some("Bia")),
            ("refuses", None),
            ("same", Some("Ana Lima")),
            ("spoilt", Some("Ana Lima")),
            ("stale", Some("Bia")),
        ] {
            assert_eq!(scene.name_of(id).await.as_deref(), name, "{id}");
        }
        assert_eq!(
            scene
                .count("erasure_receipts WHERE reason = 'reconciliacao'")
                .await,
            2
        );
        let again = run(&scene, &mut source, at(2_000)).await.unwrap();
        let told = ["faltando", "desatualizados", "sobrando"].map(|name| again[name]);
        assert_eq!(told, [0, 0, 0]);
    }
}

#[tokio::test]
async fn a_broken_source_deletes_nothing() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ids: Vec<String> = (0..1_200).map(|number| format!("c{number:05}")).collect();
        let known: Vec<_> = ids.iter().map(|id| change(id, 1, 1, Some(ana()))).collect();
        scene.apply(&known, at(0)).await;
        let rows = |count: usize| {
            ids[..count]
                .iter()
                .map(|id| row(id, 1, Some(ana())))
                .collect()
        };
        let unreachable = Rows {
            pages_left: 1,
            ..Rows::new(rows(1_200))
        };
        for (mut source, code) in [
            (Rows::new(Vec::new()), "origem_vazia"),
            (Rows::new(rows(1_100)), "exclusoes_demais"),
            (unreachable, "origem_nao_respondeu"),
        ] {
            let refused = run(&scene, &mut source, at(1_000)).await.unwrap_err();
            assert_eq!(refused.code(), code, "{}", database.label());
        }
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 1_200);
        let few = run(&scene, &mut Rows::new(rows(1_190)), at(2_000))
            .await
            .unwrap();
        assert_eq!(few["sobrando"], 10);
    }
}

async fn ledger(scene: &Scene, day: Day) -> (String, Counts) {
    let rows = jobs::history(&scene.store, TELESALES_RECONCILE.name, day, day, 1).await;
    let row = rows.unwrap().remove(0);
    let counts = serde_json::from_str(&row.counts).unwrap();
    (row.error.unwrap_or(row.status), counts)
}

#[tokio::test]
async fn a_comparison_that_would_delete_too_much_tells_what_it_repaired() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let mut known: Vec<_> = (0..20)
            .map(|number| change(&format!("c{number:02}"), 1, 1, Some(ana())))
            .collect();
        known.push(change("stale", 1, 1, Some(ana())));
        scene.apply(&known, at(0)).await;
        let bia = || Some(contact("Bia", "21964166764"));
        let rows = vec![row("missing", 1, bia()), row("stale", 2, bia())];
        let refused = run(&scene, &mut Rows::new(rows), at(DAY_MS)).await;
        assert_eq!(refused.unwrap_err().code(), "exclusoes_demais");
        let (error, counts) = ledger(&scene, at(DAY_MS).day()).await;
        assert_eq!(error, "exclusoes_demais", "{}", database.label());
        let told = ["origem", "faltando", "desatualizados"].map(|name| counts[name]);
        assert_eq!(told, [2, 1, 1]);
        let withdrawn = known[..20].iter().map(|change| SourceRow {
            customer: change.customer.clone(),
            version: 9,
            contact: None,
        });
        let mut source = Rows::new(withdrawn.collect());
        let refused = run(&scene, &mut source, at(2 * DAY_MS)).await;
        assert_eq!(refused.unwrap_err().code(), "exclusoes_demais");
        let (_, counts) = ledger(&scene, at(2 * DAY_MS).day()).await;
        assert_eq!(counts["origem"], 20);
    }
}

#[tokio::test]
async fn an_attempt_that_goes_on_counts_nothing_twice() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ids: Vec<String> = (0..1_200).map(|number| format!("c{number:05}")).collect();
        let known: Vec<_> = ids.iter().map(|id| change(id, 1, 1, Some(ana()))).collect();
        scene.apply(&known, at(0)).await;
        let rows = || {
            Rows::new(vec![
                row("c00000", 1, Some(ana())),
                row("new", 1, Some(ana())),
            ])
        };
        let limits = Limits {
            deleted_percent: 100,
            deleted_at_least: 0,
        };
        let now = at(DAY_MS);
        let attempt = async |batches| {
            let (date, clock) = ((now.day(), true), Hurried::new(now, batches));
            let (table, key) = (&scene.table, pseudonyms());
            reconcile(table, &key, &mut rows(), limits, date, &clock).await
        };
        // Of the time to begin, of two pages and of the first deletions.
        let cut = attempt(5).await.unwrap_err();
        assert_eq!(cut.code(), "out_of_time", "{}", database.label());
        let living = scene.count("contacts WHERE deleted = 0").await;
        assert!((2..1_200).contains(&living), "{living}");
        let counts = attempt(100).await.unwrap();
        let told = ["origem", "faltando", "sobrando"].map(|name| counts[name]);
        assert_eq!(told, [2, 1, 1_199]);
    }
}

#[tokio::test]
async fn a_percentage_of_nothing_deletes_nobody() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let known = ["gone", "here"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&known, at(0)).await;
        let mut source = Rows::new(vec![row("here", 1, Some(ana()))]);
        let refused = run_within(&scene, &mut source, 0, at(1_000)).await;
        assert_eq!(refused.unwrap_err().code(), "exclusoes_demais");
        let nobody = scene.count("contacts WHERE deleted = 1").await;
        assert_eq!(nobody, 0, "{}", database.label());
        scene.apply(&[change("gone", 0, 2, None)], at(2_000)).await;
        assert!(run_within(&scene, &mut source, 0, at(3_000)).await.is_ok());
    }
}

#[tokio::test]
async fn who_came_after_the_file_was_written_is_not_extra() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let old = ["here", "gone"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&old, at(0)).await;
        scene
            .apply(&[change("new", 1, 2, Some(ana()))], at(5_000))
            .await;
        let rows = vec![row("here", 1, Some(ana()))];
        let mut file = Rows::new(rows).written(at(1_000));
        let counts = run(&scene, &mut file, at(9_000)).await.unwrap();
        assert_eq!(counts["sobrando"], 1, "{}", database.label());
        assert_eq!(scene.name_of("new").await.as_deref(), Some("Ana Lima"));
        assert_eq!(scene.name_of("gone").await, None);
    }
}

#[tokio::test]
async fn whom_one_file_lacked_by_mistake_the_next_one_brings_back() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let known = ["erased", "here", "lost"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&known, at(0)).await;
        scene.apply(&[change("erased", 0, 2, None)], at(1)).await;
        let mut lacking = Rows::new(vec![row("here", 1, Some(ana()))]);
        assert_eq!(
            run(&scene, &mut lacking, at(1_000)).await.unwrap()["sobrando"],
            1
        );
        let whole = || {
            let rows = ["erased", "here", "lost"].map(|id| row(id, 1, Some(ana())));
            Rows::new(rows.to_vec())
        };
        // One that was written before the deletion says nothing of it.
        let mut before = whole().written(at(500));
        assert_eq!(
            run(&scene, &mut before, at(2_000)).await.unwrap()["faltando"],
            0
        );
        assert_eq!(
            run(&scene, &mut whole(), at(3_000)).await.unwrap()["faltando"],
            1
        );
        let label = database.label();
        assert_eq!(
            scene.name_of("lost").await.as_deref(),
            Some("Ana Lima"),
            "{label}"
        );
        assert_eq!(
            scene.name_of("erased").await,
            None,
            "the source itself deleted it"
        );
        assert_eq!(
            run(&scene, &mut whole(), at(4_000)).await.unwrap()["faltando"],
            0
        );
    }
}

#[tokio::test]
async fn a_tombstone_that_is_read_after_a_repair_still_deletes() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        scene
            .apply(&[change("ana", 1, 1, Some(ana()))], at(0))
            .await;
        let rows = ["ana", "bia"].map(|id| row(id, 2, Some(ana())));
        let mut file = Rows::new(rows.to_vec()).written(at(1_000));
        run(&scene, &mut file, at(60_000)).await.unwrap();
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 2);
        // Produced when the file was there and before the comparison, read after it.
        let tombstones = ["ana", "bia"].map(|id| change(id, 0, 30_000, None));
        scene.apply(&tombstones, at(61_000)).await;
        let living = scene.count("contacts WHERE deleted = 0").await;
        assert_eq!(living, 0, "{}", database.label());
    }
}

#[tokio::test]
async fn whose_time_was_over_does_not_come_back_while_the_source_has_no_news() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let days = |days: u32| at(i64::from(days) * DAY_MS);
        let both = ["ana", "bia"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&both, days(0)).await;
        let expire = async |now: UtcMillis| {
            expire_contacts(&scene.store, now.day(), true, &Clock(now))
                .await
                .unwrap();
        };
        let compare = async |version: i64, now: UtcMillis| {
            let rows = ["ana", "bia"].map(|id| row(id, version, Some(ana())));
            run(&scene, &mut Rows::new(rows.to_vec()), now)
                .await
                .unwrap()["faltando"]
        };
        expire(days(RETENTION_DAYS + 1)).await;
        for later in [2, DELETION_DAYS + 3, EXPIRED_DAYS - 1, 2 * EXPIRED_DAYS - 3] {
            let now = days(RETENTION_DAYS + later);
            expire(now).await;
            assert_eq!(compare(1, now).await, 0, "{} {later}", database.label());
            assert_eq!(scene.name_of("ana").await, None);
        }
        let now = days(RETENTION_DAYS + 2 * EXPIRED_DAYS);
        assert_eq!(compare(2, now).await, 2, "an update begins anew");
        assert_eq!(scene.name_of("ana").await.as_deref(), Some("Ana Lima"));
        expire(now.plus_days(RETENTION_DAYS + 2)).await;
        expire(now.plus_days(RETENTION_DAYS + EXPIRED_DAYS + 4)).await;
        assert_eq!(
            scene.count("contacts").await,
            0,
            "and no mark stays for ever"
        );
    }
}
