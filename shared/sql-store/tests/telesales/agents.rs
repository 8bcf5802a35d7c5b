//! What agents may do.

use super::*;
use domain::telesales::{CallOutcome, HOURLY_CONTACTS, LEASE_MS, NotYours, OPEN_CLAIMS};
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

#[tokio::test]
async fn two_customers_with_one_phone_are_one_agents() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let family = ["ana", "bia"].map(|id| {
            let row = contact(id, "11964166764");
            change(id, 1, 1, Some(row))
        });
        scene.apply(&family, at(0)).await;
        let other = Store::open(database.url()).await.unwrap();
        let (ana, bia) = (contact_id("ana"), contact_id("bia"));
        let agents = [agent("a"), agent("b")];
        let (one, two) = tokio::join!(
            claim(&scene.store, &agents[0], &ana, at(1)),
            claim(&other, &agents[1], &bia, at(1)),
        );
        let label = database.label();
        assert_ne!(one.is_ok(), two.is_ok(), "{label}: {one:?} {two:?}");
        let (winner, loser, hers, free) = match one.is_ok() {
            true => (&agents[0], &agents[1], &ana, &bia),
            false => (&agents[1], &agents[0], &bia, &ana),
        };
        let listed = async |agent: &AgentId, now| {
            let page = list(&scene.store, agent, region("SP"), None, 10, now).await;
            page.unwrap().rows.len()
        };
        assert_eq!(listed(loser, at(2)).await, 0, "{label}");
        assert_eq!(listed(winner, at(2)).await, 2, "{label}");
        end_call(&scene.store, winner, hers, CallOutcome::CallBack, at(3))
            .await
            .unwrap();
        assert_eq!(listed(loser, at(4)).await, 2, "{label}");
        assert!(
            claim(&scene.store, loser, free, at(4)).await.is_ok(),
            "{label}"
        );
        let refused = claim(&scene.store, winner, hers, at(5)).await;
        assert_eq!(refused, Err(TelesalesError::NotYours(NotYours::Claimed)));
        assert!(
            claim(&scene.store, winner, hers, at(4 + LEASE_MS))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn who_gave_an_answer_is_not_claimed_again_and_nobody_holds_too_many() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let most = usize::try_from(OPEN_CLAIMS).unwrap();
        fill(&scene, i64::from(OPEN_CLAIMS) + 3).await;
        let ids: Vec<_> = (0..most + 3)
            .map(|number| contact_id(&format!("c{number}")))
            .collect();
        let (one, label) = (agent("a"), database.label());
        for (id, outcome) in [
            (&ids[0], CallOutcome::Sale),
            (&ids[1], CallOutcome::NotInterested),
            (&ids[2], CallOutcome::WrongNumber),
        ] {
            claim(&scene.store, &one, id, at(1)).await.unwrap();
            end_call(&scene.store, &one, id, outcome, at(2))
                .await
                .unwrap();
            for who in [agent("a"), agent("b")] {
                let refused = claim(&scene.store, &who, id, at(3)).await;
                let ended = Err(TelesalesError::NotYours(NotYours::Ended));
                assert_eq!(refused, ended, "{label}: {}", outcome.as_str());
            }
        }
        for id in &ids[3..most + 2] {
            claim(&scene.store, &one, id, at(4)).await.unwrap();
        }
        let other = Store::open(database.url()).await.unwrap();
        fill_one(&scene, "late").await;
        let late = contact_id("late");
        let (first, second) = tokio::join!(
            claim(&scene.store, &one, &ids[most + 2], at(5)),
            claim(&other, &one, &late, at(5)),
        );
        let too_many = Err(TelesalesError::NotYours(NotYours::TooMany));
        let refused = [first, second]
            .into_iter()
            .filter(|claimed| *claimed == too_many);
        assert_eq!(refused.count(), 1, "{label}");
        assert!(
            claim(&scene.store, &one, &ids[3], at(6)).await.is_ok(),
            "hers already"
        );
        end_call(&scene.store, &one, &ids[3], CallOutcome::NoAnswer, at(7))
            .await
            .unwrap();
        assert!(claim(&scene.store, &one, &ids[3], at(8)).await.is_ok());
    }
}

async fn fill_one(scene: &Scene, id: &str) {
    let row = contact("Nome", "11955555555");
    scene.apply(&[change(id, 1, 1, Some(row))], at(0)).await;
}
