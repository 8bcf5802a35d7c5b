//! Idempotency keys live in the transaction of their work.

use sql_store::{
    Store, StoreError, Tx,
    idempotency::{KeyState, RequestKey, StoredAnswer},
};
use tokio::sync::oneshot;

use crate::stores::{NOON, fresh, rows, together};

fn key(content: &str) -> RequestKey {
    RequestKey::new("ana", "POST /mgm/links", "k-1", content.as_bytes())
}

fn answer(body: &str) -> StoredAnswer {
    StoredAnswer {
        status: 201,
        body: body.to_owned(),
    }
}

/// The work of a request: one mark and the answer, or what the key says instead.
async fn request(store: &Store, key: &RequestKey, body: &str) -> Result<KeyState, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let state = tx.claim_key(key, NOON).await?;
            if state == KeyState::New {
                tx.mark_handled("work", &tx.new_id(NOON)?, NOON).await?;
                tx.store_answer(key, &answer(body)).await?;
            }
            Ok(state)
        })
        .await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_no_second_effect() {
    for fresh in fresh().await {
        let store = &fresh.store;
        assert_eq!(request(store, &key("a"), "one").await, Ok(KeyState::New));
        assert_eq!(
            request(store, &key("a"), "two").await,
            Ok(KeyState::Replay(answer("one")))
        );
        assert_eq!(
            request(store, &key("b"), "three").await,
            Ok(KeyState::OtherRequest)
        );
        assert_eq!(rows(store, "handled_messages").await, 1);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_principal_and_route() {
    for fresh in fresh().await {
        let mine = key("a");
        let of_bia = RequestKey {
            principal: "bia".to_owned(),
            ..mine.clone()
        };
        let of_another_route = RequestKey {
            route: "POST /mgm/campaigns".to_owned(),
            ..mine.clone()
        };
        for key in [mine, of_bia, of_another_route] {
            assert_eq!(request(&fresh.store, &key, "x").await, Ok(KeyState::New));
        }
    }
}

#[tokio::test]
async fn failed_work_leaves_its_key_free() {
    for fresh in fresh().await {
        let failed: Result<(), StoreError> = fresh
            .store
            .transact(async |tx: &Tx| {
                assert_eq!(tx.claim_key(&key("a"), NOON).await?, KeyState::New);
                Err(StoreError::Broken("the work failed"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(
            request(&fresh.store, &key("b"), "one").await,
            Ok(KeyState::New)
        );
    }
}

#[tokio::test]
async fn the_second_of_two_requests_waits_for_the_first_and_replays_it() {
    for fresh in fresh().await {
        let other = fresh.beside(Default::default()).await;
        let (claimed, first_has_claimed) = oneshot::channel();
        let claimed = std::sync::Mutex::new(Some(claimed));
        let first = fresh.store.transact(async |tx: &Tx| {
            let state = tx.claim_key(&key("a"), NOON).await?;
            if let Some(claimed) = claimed.lock().unwrap().take() {
                claimed.send(()).unwrap();
            }
            // The second request has time to run into the key.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            tx.store_answer(&key("a"), &answer("one")).await?;
            Ok::<_, StoreError>(state)
        });
        let second = async {
            first_has_claimed.await.unwrap();
            request(&other, &key("a"), "two").await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first, Ok(KeyState::New), "{}", fresh.label());
        assert_eq!(
            second,
            Ok(KeyState::Replay(answer("one"))),
            "{}",
            fresh.label()
        );
    }
}

#[tokio::test]
async fn the_second_of_two_requests_does_the_work_when_the_first_fails() {
    for fresh in fresh().await {
        let other = fresh.beside(Default::default()).await;
        let (claimed, first_has_claimed) = oneshot::channel();
        let claimed = std::sync::Mutex::new(Some(claimed));
        let first = fresh.store.transact(async |tx: &Tx| {
            tx.claim_key(&key("a"), NOON).await?;
            if let Some(claimed) = claimed.lock().unwrap().take() {
                claimed.send(()).unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            Err::<(), _>(StoreError::Broken("the first fails"))
        });
        let second = async {
            first_has_claimed.await.unwrap();
            request(&other, &key("a"), "two").await
        };
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err());
        assert_eq!(second, Ok(KeyState::New), "{}", fresh.label());
    }
}

#[tokio::test]
async fn twenty_requests_at_once_do_the_work_once() {
    for fresh in fresh().await {
        let mut requests = Vec::new();
        for place in 0..20 {
            let store = fresh.beside(Default::default()).await;
            requests.push(async move { request(&store, &key("a"), &place.to_string()).await });
        }
        let states = together(requests).await;
        let new = states.iter().filter(|state| **state == Ok(KeyState::New));
        assert_eq!(new.count(), 1, "{}: {states:?}", fresh.label());
        let replayed = states
            .iter()
            .filter(|state| matches!(state, Ok(KeyState::Replay(_))));
        assert_eq!(replayed.count(), 19, "{}: {states:?}", fresh.label());
        assert_eq!(rows(&fresh.store, "handled_messages").await, 1);
    }
}

#[tokio::test]
async fn keys_tell_upper_and_lower_case_apart() {
    for fresh in fresh().await {
        for text in ["k", "K"] {
            let key = RequestKey::new("ana", "POST /x", text, b"");
            assert_eq!(request(&fresh.store, &key, "x").await, Ok(KeyState::New));
        }
    }
}
