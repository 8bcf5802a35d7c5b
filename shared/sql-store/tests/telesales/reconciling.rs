//! Database 2 against the company's source.

use super::*;
use sql_store::{
    jobs::{Counts, RunError},
    telesales::reconciliation::{Limits, Source, SourceRow, reconcile},
};

/// A source in memory; it may fail after some pages.
struct Rows {
    rows: Vec<SourceRow>,
    pages_left: usize,
}

impl Rows {
    fn new(rows: Vec<SourceRow>) -> Self {
        let pages_left = usize::MAX;
        Self { rows, pages_left }
    }
}

impl Source for Rows {
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

fn row(id: &str, version: i64, contact: Option<Contact>) -> SourceRow {
    SourceRow {
        customer: customer(id),
        version,
        contact,
    }
}

async fn run(scene: &Scene, source: &mut Rows, now: UtcMillis) -> Result<Counts, RunError> {
    let limits = Limits {
        deleted_percent: 5,
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

fn ana() -> Contact {
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
            rows: rows(1_200),
            pages_left: 1,
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
