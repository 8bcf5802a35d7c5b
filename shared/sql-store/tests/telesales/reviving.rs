//! Who is erased because the source says so comes back by what is newer than its word, and by nothing
//! else.

use domain::telesales::RETENTION_DAYS;
use sql_store::telesales::{
    reconciliation::{AsOf, Source, SourceRow},
    retention::expire_contacts,
};

use super::{
    reconciling::{Rows, ana, row, run},
    *,
};

/// A record of somebody without a version.
fn unversioned(id: &str, offset: i64) -> Change<Contact> {
    let mut change = change(id, 0, offset, Some(ana()));
    change.stamp.version = None;
    change
}

#[tokio::test]
async fn whom_a_comparison_erased_no_older_letter_revives_and_newer_news_do() {
    for database in databases().await {
        let label = database.label();
        let scene = Scene::open(database.url()).await;
        let known = ["gone", "here", "refuses"].map(|id| change(id, 5, 1, Some(ana())));
        scene.apply(&known, at(1)).await;
        let rows = vec![row("here", 5, Some(ana())), row("refuses", 7, None)];
        let counts = run(&scene, &mut Rows::new(rows), at(60_000)).await;
        assert_eq!(counts.unwrap()["sobrando"], 2, "{label}");
        let mut letters = ["gone", "refuses"]
            .map(|id| change(id, 6, 2, Some(ana())))
            .to_vec();
        letters.extend(["gone", "refuses"].map(|id| unversioned(id, 3)));
        // Of a partition that the customer's key moved to.
        let mut moved = change("gone", 6, 4, Some(ana()));
        moved.stamp.place.partition = 4;
        letters.push(moved);
        for letter in letters {
            scene.apply(&[letter], at(61_000)).await;
            assert_eq!(
                scene.count("contacts WHERE deleted = 0").await,
                1,
                "{label}"
            );
        }
        let news = ["gone", "refuses"].map(|id| change(id, 8, 60_001, Some(ana())));
        scene.apply(&news, at(62_000)).await;
        assert_eq!(
            scene.count("contacts WHERE deleted = 0").await,
            3,
            "{label}"
        );
    }
}

#[tokio::test]
async fn whom_a_comparison_erased_the_next_one_brings_back_with_news() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let known = ["gone", "here", "refuses"].map(|id| change(id, 5, 1, Some(ana())));
        scene.apply(&known, at(1)).await;
        let rows = vec![row("here", 5, Some(ana())), row("refuses", 7, None)];
        let counts = run(&scene, &mut Rows::new(rows), at(60_000)).await;
        assert_eq!(counts.unwrap()["sobrando"], 2, "{}", database.label());
        let rows = ["gone", "here", "refuses"].map(|id| row(id, 8, Some(ana())));
        let counts = run(&scene, &mut Rows::new(rows.to_vec()), at(120_000)).await;
        assert_eq!(counts.unwrap()["faltando"], 2);
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 3);
        let gone = ["gone", "refuses"].map(|id| change(id, 0, 130_000, None));
        scene.apply(&gone, at(131_000)).await;
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 1);
    }
}

#[tokio::test]
async fn a_withdrawal_that_only_the_source_tells_outranks_older_letters_of_who_is_gone() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let later = at(i64::from(RETENTION_DAYS + 1) * DAY_MS);
        let known = ["deleted", "expired"].map(|id| change(id, 5, 1, Some(ana())));
        scene.apply(&known, at(1)).await;
        scene.apply(&[change("deleted", 0, 2, None)], later).await;
        let expired = expire_contacts(&scene.store, later.day(), true, &Clock(later)).await;
        assert_eq!(expired.unwrap()["contatos"], 1, "{}", database.label());
        let rows = ["deleted", "expired"].map(|id| row(id, 7, None));
        run(&scene, &mut Rows::new(rows.to_vec()), later)
            .await
            .unwrap();
        let letters = ["deleted", "expired"].map(|id| change(id, 6, 3, Some(ana())));
        scene.apply(&letters, later.plus_millis(1)).await;
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 0);
        // The source's copy was wrong: under the same version it has them.
        let rows = ["deleted", "expired"].map(|id| row(id, 7, Some(ana())));
        let mended = &mut Rows::new(rows.to_vec());
        let counts = run(&scene, mended, later.plus_days(1)).await;
        assert_eq!(counts.unwrap()["faltando"], 2);
        assert_eq!(scene.count("contacts WHERE deleted = 0").await, 2);
    }
}

/// A source that was read to its end when a letter is replayed.
struct Replayed<'a> {
    rows: Rows,
    scene: &'a Scene,
    letters: Vec<Change<Contact>>,
}

impl Source for Replayed<'_> {
    async fn as_of(&mut self, began: UtcMillis) -> Result<AsOf, &'static str> {
        self.rows.as_of(began).await
    }

    async fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        let rows = self.rows.page(after, limit).await;
        if after.is_some() {
            let letters = std::mem::take(&mut self.letters);
            self.scene.apply(&letters, at(61_000)).await;
        }
        rows
    }
}

#[tokio::test]
async fn a_letter_that_is_replayed_during_a_comparison_keeps_nobody_who_withdrew() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let known = ["again", "refuses"].map(|id| change(id, 5, 1, Some(ana())));
        scene.apply(&known, at(1)).await;
        let rows = ["again", "refuses"].map(|id| row(id, 7, None));
        let mut source = Replayed {
            rows: Rows::new(rows.to_vec()),
            scene: &scene,
            letters: vec![
                change("refuses", 6, 2, Some(ana())),
                change("again", 8, 61_000, Some(ana())),
            ],
        };
        let counts = run(&scene, &mut source, at(60_000)).await.unwrap();
        assert_eq!(counts["sobrando"], 1, "{}", database.label());
        assert_eq!(scene.name_of("refuses").await, None);
        assert_eq!(scene.name_of("again").await.as_deref(), Some("Ana Lima"));
    }
}
