//! What agents may do.

use super::*;
use domain::telesales::{CallOutcome, HOURLY_CONTACTS, LEASE_MS, NotYours};
use sql_store::telesales::contacts::{TelesalesError, claim, end_call, list};

async fn fill(scene: &Scene, count: i64) {
    let changes: Vec<Change<Contact>> = (0..count)
        .map(|number| {
            let row = contact(&format!("Nome {number}"), &format!("119{number:08}"));
            change(&format!("c{number}"), 1, number, Some(row))
        })
        .collect();
    scene.apply(&changes, at(0)).await;
}

#[tokio::test]
async fn an_agent_pages_through_a_region_and_every_look_is_written_down() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        fill(&scene, 25).await;
        let rio = change("rio", 1, 99, Some(contact("Do Rio", "21964166764")));
        scene.apply(&[rio], at(0)).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(
                &scene.store,
                &agent("a"),
                region("SP"),
                after.as_ref(),
                10,
                at(1),
            )
            .await
            .unwrap();
            seen.extend(page.rows.into_iter().map(|row| row.id));
            after = seen.last().cloned();
            if !page.has_more {
                break;
            }
        }
        seen.dedup();
        assert_eq!(seen.len(), 25, "{}", database.label());
        let looks = "access_log WHERE agent = 'a' AND purpose = 'lista'";
        assert_eq!(scene.count(looks).await, 25);
    }
}

#[tokio::test]
async fn nobody_copies_the_base_hour_by_hour_it_is_bounded() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        fill(&scene, i64::from(HOURLY_CONTACTS) + 50).await;
        let (mut seen, mut after) = (0, None);
        let refused = loop {
            match list(
                &scene.store,
                &agent("a"),
                region("SP"),
                after.as_ref(),
                100,
                at(1),
            )
            .await
            {
                Ok(page) => {
                    seen += page.rows.len();
                    after = page.rows.last().map(|row| row.id.clone());
                }
                Err(error) => break error,
            }
        };
        assert_eq!(seen, HOURLY_CONTACTS as usize, "{}", database.label());
        assert!(
            matches!(refused, TelesalesError::HourIsFull { retry_after_ms } if retry_after_ms > 0)
        );
        let other = list(&scene.store, &agent("b"), region("SP"), None, 10, at(1)).await;
        assert_eq!(other.unwrap().rows.len(), 10);
        let next_hour = list(
            &scene.store,
            &agent("a"),
            region("SP"),
            None,
            10,
            at(3_600_000),
        )
        .await;
        assert_eq!(next_hour.unwrap().rows.len(), 10);
    }
}

#[tokio::test]
async fn two_agents_never_call_one_person() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        fill(&scene, 1).await;
        let other = Store::open(database.url()).await.unwrap();
        let id = contact_id("c0");
        let (first, second) = (agent("a"), agent("b"));
        let (one, two) = tokio::join!(
            claim(&scene.store, &first, &id, at(1)),
            claim(&other, &second, &id, at(1)),
        );
        let won = [&one, &two]
            .iter()
            .filter(|claimed| claimed.is_ok())
            .count();
        assert_eq!(won, 1, "{}: {one:?} {two:?}", database.label());
        let (winner, loser) = if one.is_ok() {
            (first, second)
        } else {
            (second, first)
        };
        let foreign = end_call(&scene.store, &loser, &id, CallOutcome::Sale, at(2)).await;
        assert_eq!(foreign, Err(TelesalesError::NotYours(NotYours::Claimed)));
        let listed = list(&scene.store, &loser, region("SP"), None, 10, at(2)).await;
        assert!(listed.unwrap().rows.is_empty(), "claimed by another");
        for _ in 0..2 {
            let told = end_call(&scene.store, &winner, &id, CallOutcome::NoAnswer, at(2)).await;
            assert_eq!(told, Ok(()));
        }
        assert_eq!(
            scene.count("access_log WHERE purpose = 'resultado'").await,
            1
        );
        assert!(
            claim(&scene.store, &loser, &id, at(3)).await.is_ok(),
            "to be called again"
        );
        let lapsed = at(3 + LEASE_MS);
        let late = end_call(&scene.store, &loser, &id, CallOutcome::Sale, lapsed).await;
        assert_eq!(late, Err(TelesalesError::NotYours(NotYours::NotClaimed)));
    }
}

#[tokio::test]
async fn who_asked_not_to_be_called_is_not_whatever_comes_later() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ana =
            |version, offset, phone| change("ana", version, offset, Some(contact("Ana", phone)));
        scene.apply(&[ana(1, 1, "11964166764")], at(0)).await;
        let id = contact_id("ana");
        claim(&scene.store, &agent("a"), &id, at(1)).await.unwrap();
        end_call(
            &scene.store,
            &agent("a"),
            &id,
            CallOutcome::DoNotCall,
            at(2),
        )
        .await
        .unwrap();
        let listed = async || {
            let page = list(&scene.store, &agent("b"), region("SP"), None, 10, at(3)).await;
            page.unwrap().rows.len()
        };
        assert_eq!(listed().await, 0, "{}", database.label());
        scene.apply(&[ana(2, 2, "11964166764")], at(3)).await;
        scene.apply(&[change("ana", 0, 3, None)], at(3)).await;
        scene.apply(&[ana(3, 4, "11964166764")], at(3)).await;
        assert_eq!(listed().await, 0, "an update and an erasure change nothing");
        let refused = claim(&scene.store, &agent("b"), &id, at(4)).await;
        assert_eq!(refused, Err(TelesalesError::Unknown));
        assert_eq!(
            scene
                .count("do_not_call WHERE phone_mark LIKE '%964166764%'")
                .await,
            0
        );
    }
}
