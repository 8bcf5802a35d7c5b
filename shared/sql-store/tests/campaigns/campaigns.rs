//! Opening, changing and listing campaigns.

use std::cell::Cell;

use domain::identity::CampaignId;
use domain::mgm::campaign::{AmendError, Amendment, CampaignStatus, Proposal};
use sql_store::idempotency::RequestKey;
use sql_store::mgm::campaigns::{
    ChangeCampaignError, OpenCampaignError, change_campaign, find, list, load, open_campaign,
    refusals,
};

use sql_store::Tx;
use sql_store::mgm::vouchers::budget::hold_as_read;

use crate::scene::{NOW, Scene, answer_with_id, centavos, proposal, time};

#[tokio::test]
async fn a_campaign_is_opened_once_for_an_idempotency_key() {
    for scene in Scene::everywhere().await {
        let asked = Amendment {
            proposal: proposal(),
            status: None,
        };
        let key = RequestKey::new("op", "POST /mgm/campaigns", "k1", b"body");
        let open = async |key: &RequestKey| {
            open_campaign(&scene.store, key, &asked, time(NOW), answer_with_id).await
        };
        let first = open(&key).await.unwrap();
        assert_eq!(open(&key).await.unwrap(), first, "{}", scene.label());
        let other = RequestKey::new("op", "POST /mgm/campaigns", "k1", b"other");
        assert!(matches!(
            open(&other).await,
            Err(OpenCampaignError::KeyOfOtherRequest)
        ));
        let all = list(&scene.store, None, None, 10).await.unwrap();
        assert_eq!(all.rows.len(), 1);
        let id = CampaignId::parse(first.body).unwrap();
        let found = find(&scene.store, &id).await.unwrap().unwrap();
        assert_eq!(found.terms(), &proposal().check().unwrap());
        assert_eq!(all.rows[0], found);
    }
}

#[tokio::test]
async fn a_wrong_campaign_writes_nothing_and_its_key_stays_free() {
    for scene in Scene::everywhere().await {
        let key = RequestKey::new("op", "POST /mgm/campaigns", "k1", b"body");
        let wrong = Amendment::default();
        let refused = open_campaign(&scene.store, &key, &wrong, time(NOW), answer_with_id).await;
        assert!(matches!(refused, Err(OpenCampaignError::Wrong(all)) if all.len() == 8));
        let right = Amendment {
            proposal: proposal(),
            status: None,
        };
        let opened = open_campaign(&scene.store, &key, &right, time(NOW), answer_with_id).await;
        assert!(opened.is_ok(), "{}", scene.label());
    }
}

#[tokio::test]
async fn what_was_promised_stays_once_a_referral_exists() {
    for scene in Scene::everywhere().await {
        let id = scene.campaign(proposal()).await;
        let change = async |asked: Proposal| {
            let asked = Amendment {
                proposal: asked,
                status: None,
            };
            change_campaign(&scene.store, &id, &asked, time(NOW)).await
        };
        let reward = |count| Proposal {
            reward: centavos(count),
            ..Proposal::default()
        };
        assert_eq!(
            change(reward(2_000)).await.unwrap().version(),
            2,
            "{}",
            scene.label()
        );
        assert_eq!(
            change(reward(2_000)).await.unwrap().version(),
            2,
            "nothing changed"
        );
        scene.coupon_of(&id).await;
        let refused = change(reward(1_000)).await.unwrap_err();
        assert!(matches!(
            refused,
            ChangeCampaignError::Refused(AmendError::Promised(_))
        ));
        scene.commit_budget(&id, 50_000, 10_000).await;
        let budget = |count| Proposal {
            budget: centavos(count),
            ..Proposal::default()
        };
        let refused = change(budget(59_999)).await.unwrap_err();
        let low = ChangeCampaignError::Refused(AmendError::BudgetBelowCommitments);
        assert_eq!(refused.to_string(), low.to_string());
        let changed = change(budget(60_000)).await.unwrap();
        assert_eq!(changed.commitments().reserved, centavos(50_000).unwrap());
        let stored = find(&scene.store, &id).await.unwrap().unwrap();
        assert_eq!(stored, changed);
        let unknown = CampaignId::parse("NONE").unwrap();
        let asked = Amendment::default();
        let refused = change_campaign(&scene.store, &unknown, &asked, time(NOW)).await;
        assert!(matches!(refused, Err(ChangeCampaignError::Unknown)));
    }
}

#[tokio::test]
async fn a_budget_is_held_for_what_the_campaign_promises_now() {
    for scene in Scene::everywhere().await {
        let id = scene.campaign(proposal()).await;
        let read_before = find(&scene.store, &id).await.unwrap().unwrap();
        let reward = Proposal {
            reward: centavos(2_000),
            ..Proposal::default()
        };
        let asked = Amendment {
            proposal: reward,
            status: None,
        };
        change_campaign(&scene.store, &id, &asked, time(NOW))
            .await
            .unwrap();
        let tries = Cell::new(0);
        let held = scene
            .store
            .transact(async |tx: &Tx| {
                tries.set(tries.get() + 1);
                let campaign = match tries.get() {
                    1 => read_before.clone(),
                    _ => load(tx, &id).await?.unwrap(),
                };
                let reward = campaign.terms().reward();
                hold_as_read(tx, &campaign, reward).await
            })
            .await;
        assert_eq!((held, tries.get()), (Ok(true), 2), "{}", scene.label());
        let stored = find(&scene.store, &id).await.unwrap().unwrap();
        assert_eq!(stored.commitments().reserved, centavos(2_000).unwrap());
        let more = async |tx: &Tx| hold_as_read(tx, &stored, stored.terms().budget()).await;
        assert_eq!(scene.store.transact(more).await, Ok(false));
    }
}

#[tokio::test]
async fn lists_are_paged_until_there_is_no_more() {
    for scene in Scene::everywhere().await {
        let mut ids = Vec::new();
        for minute in 0..5 {
            let at = time(NOW).plus_millis(minute * 60_000);
            ids.push(scene.campaign_at(proposal(), at).await);
        }
        ids.reverse();
        let first = list(&scene.store, None, None, 3).await.unwrap();
        assert!(first.has_more, "{}", scene.label());
        let last = first.rows[2].id().clone();
        let second = list(&scene.store, None, Some(&last), 3).await.unwrap();
        assert!(!second.has_more);
        let listed: Vec<_> = first
            .rows
            .iter()
            .chain(&second.rows)
            .map(|row| row.id().clone())
            .collect();
        assert_eq!(listed, ids);
        let paused = list(&scene.store, Some(CampaignStatus::Paused), None, 3)
            .await
            .unwrap();
        assert!(paused.rows.is_empty());
        for (order, reason) in [
            ("o3", "velocidade"),
            ("o1", "velocidade"),
            ("o2", "link_proprio"),
        ] {
            scene.refusal(&ids[0], order, reason).await;
        }
        let all = refusals(&scene.store, &ids[0], None, None, 2)
            .await
            .unwrap();
        let orders: Vec<_> = all.rows.iter().map(|row| row.order.to_string()).collect();
        assert_eq!(
            (orders, all.has_more),
            (vec!["o2".to_owned(), "o1".to_owned()], true)
        );
        let after = Some(("velocidade", "o1"));
        let rest = refusals(&scene.store, &ids[0], None, after, 2)
            .await
            .unwrap();
        assert_eq!((rest.rows[0].order.as_str(), rest.has_more), ("o3", false));
        let own = refusals(&scene.store, &ids[0], Some("link_proprio"), None, 2)
            .await
            .unwrap();
        assert_eq!(own.rows.len(), 1);
    }
}
