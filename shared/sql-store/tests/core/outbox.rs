//! Domain events on their way out: order per key, leases, repetition with the same id.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use sql_store::{
    Store, StoreError, Tx,
    outbox::{
        NewEvent, SHARDS, forget_sent, lease_shard, release_shard, shard_of, unrouted, unsent,
        waiting_shards,
    },
    values,
};
use tokio::sync::oneshot;

use crate::stores::{NOON, Scissors, fresh, rows, together};

const TYPE: &str = "voucher.emitido";

fn event(key: &str, version: i64) -> NewEvent {
    NewEvent {
        event_type: TYPE,
        aggregate_key: key.to_owned(),
        version,
        payload: format!(r#"{{"n":{version}}}"#),
    }
}

fn later(millis: i64) -> UtcMillis {
    NOON.plus_millis(millis)
}

async fn publish(store: &Store, events: &[NewEvent], now: UtcMillis) {
    store
        .transact(async |tx: &Tx| tx.publish(events, now).await)
        .await
        .unwrap();
}

/// A key of each of two shards, and two more keys of the first.
fn keys_of_one_shard(count: usize) -> Vec<String> {
    (0..)
        .map(|n| format!("voucher/{n}"))
        .filter(|key| shard_of(key) == 3)
        .take(count)
        .collect()
}

async fn waiting(store: &Store, limit: u32) -> Vec<(String, i64)> {
    let events = unsent(store, 3, &[TYPE], &BTreeSet::new(), limit)
        .await
        .unwrap();
    events
        .into_iter()
        .map(|event| (event.aggregate_key, event.version))
        .collect()
}

#[tokio::test]
async fn sixteen_shards_hold_every_key_and_each_key_lies_in_one() {
    let shards: BTreeSet<u32> = (0..1_000)
        .map(|n| shard_of(&format!("voucher/{n}")))
        .collect();
    assert_eq!(shards, (0..SHARDS).collect());
    for fresh in fresh().await {
        let events: Vec<NewEvent> = (0..200)
            .map(|n| event(&format!("voucher/{n}"), 1))
            .collect();
        publish(&fresh.store, &events, NOON).await;
        let mut seen = BTreeMap::new();
        for shard in waiting_shards(&fresh.store, &[TYPE]).await.unwrap() {
            for event in unsent(&fresh.store, shard, &[TYPE], &BTreeSet::new(), 1_000)
                .await
                .unwrap()
            {
                assert_eq!(shard_of(&event.aggregate_key), shard);
                assert_eq!(seen.insert(event.aggregate_key, event.id), None);
            }
        }
        assert_eq!(seen.len(), 200);
        assert_eq!(
            seen.values().collect::<BTreeSet<_>>().len(),
            200,
            "ids differ"
        );
    }
}

#[tokio::test]
async fn events_of_a_key_leave_in_the_order_of_their_versions_and_whole() {
    for fresh in fresh().await {
        let keys = keys_of_one_shard(2);
        publish(&fresh.store, &[event(&keys[0], 3)], later(0)).await;
        publish(&fresh.store, &[event(&keys[1], 1)], later(1)).await;
        publish(
            &fresh.store,
            &[event(&keys[0], 2), event(&keys[0], 1)],
            later(2),
        )
        .await;
        let of = |key: usize, version| (keys[key].clone(), version);
        assert_eq!(
            waiting(&fresh.store, 10).await,
            [of(0, 1), of(0, 2), of(0, 3), of(1, 1)],
            "{}",
            fresh.label()
        );
        assert_eq!(
            waiting(&fresh.store, 1).await,
            [of(0, 1), of(0, 2), of(0, 3)],
            "a limit cuts no key apart"
        );
    }
}

#[tokio::test]
async fn an_event_whose_commit_was_overtaken_is_not_missed() {
    for fresh in fresh().await {
        if fresh.label() == "SQLite" {
            // One writer at a time: commits can't overtake each other.
            continue;
        }
        let keys = keys_of_one_shard(2);
        let (written, first_is_written) = oneshot::channel();
        let (go, may_commit) = oneshot::channel::<()>();
        let (written, may_commit) = (
            std::sync::Mutex::new(Some(written)),
            tokio::sync::Mutex::new(Some(may_commit)),
        );
        let slow = fresh.store.transact(async |tx: &Tx| {
            tx.publish(&[event(&keys[0], 1)], later(0)).await?;
            written.lock().unwrap().take().unwrap().send(()).unwrap();
            may_commit.lock().await.take().unwrap().await.unwrap();
            Ok::<_, StoreError>(())
        });
        let other = fresh.beside(Default::default()).await;
        let overtaking = async {
            first_is_written.await.unwrap();
            publish(&other, &[event(&keys[1], 1)], later(9)).await;
            let sent = unsent(&other, 3, &[TYPE], &BTreeSet::new(), 10)
                .await
                .unwrap();
            assert_eq!(sent.len(), 1);
            let ids: Vec<String> = sent.into_iter().map(|event| event.id).collect();
            forget_sent(&other, &ids).await.unwrap();
            go.send(()).unwrap();
        };
        let (slow, ()) = tokio::join!(slow, overtaking);
        slow.unwrap();
        assert_eq!(waiting(&other, 10).await, [(keys[0].clone(), 1)]);
    }
}

#[tokio::test]
async fn a_shard_has_one_publisher_until_its_lease_ends() {
    for fresh in fresh().await {
        let lease = async |holder: &str, at: i64| {
            lease_shard(&fresh.store, 3, holder, later(at), later(at + 30_000))
                .await
                .unwrap()
        };
        assert!(lease("one", 0).await);
        assert!(!lease("two", 10_000).await);
        assert!(lease("one", 20_000).await, "its holder renews it");
        assert!(!lease("two", 30_000).await);
        release_shard(&fresh.store, 3, "two").await.unwrap();
        assert!(!lease("two", 30_000).await, "only its holder gives it back");
        assert!(lease("two", 50_000).await, "a dead holder's lease ends");
        release_shard(&fresh.store, 3, "two").await.unwrap();
        assert!(lease("three", 50_001).await);
    }
}

#[tokio::test]
async fn of_many_publishers_at_once_one_gets_the_shard() {
    for fresh in fresh().await {
        for at in [0, 40_000, 80_000] {
            let mut publishers = Vec::new();
            for place in 0..6 {
                let store = fresh.beside(Default::default()).await;
                publishers.push(async move {
                    lease_shard(&store, 3, &place.to_string(), later(at), later(at + 30_000)).await
                });
            }
            let leased = together(publishers).await;
            let won = leased.iter().filter(|leased| **leased == Ok(true)).count();
            assert_eq!(won, 1, "{}: {leased:?}", fresh.label());
        }
    }
}

#[tokio::test]
async fn a_crash_between_sending_and_forgetting_sends_the_same_ids_again() {
    for fresh in fresh().await {
        let key = &keys_of_one_shard(1)[0];
        publish(&fresh.store, &[event(key, 1), event(key, 2)], NOON).await;
        let ids = async |store: &Store| -> Vec<String> {
            let events = unsent(store, 3, &[TYPE], &BTreeSet::new(), 10)
                .await
                .unwrap();
            events.into_iter().map(|event| event.id).collect()
        };
        let before = ids(&fresh.store).await;
        let mut point = 0;
        loop {
            let scissors = Scissors::cutting_at(point);
            let store = fresh.beside(scissors.options()).await;
            let sent = ids(&fresh.store).await;
            let forgotten = scissors.around(forget_sent(&store, &sent)).await;
            drop(store);
            let left = ids(&fresh.store).await;
            assert!(
                left.is_empty() || left == before,
                "all or none is forgotten"
            );
            if forgotten.is_some() || left.is_empty() {
                break;
            }
            point += 1;
        }
        // BEGIN, DELETE, and COMMIT up to the moment that it is done.
        assert_eq!(point, 5, "{}", fresh.label());
    }
}

#[tokio::test]
async fn events_without_a_route_stay_and_are_counted() {
    for fresh in fresh().await {
        let stray = NewEvent {
            event_type: "x.novo",
            ..event("voucher/1", 1)
        };
        publish(&fresh.store, &[event("voucher/1", 2), stray], NOON).await;
        let shard = shard_of("voucher/1");
        assert_eq!(unrouted(&fresh.store, &[TYPE]).await, Ok(1));
        assert_eq!(waiting_shards(&fresh.store, &[TYPE]).await, Ok(vec![shard]));
        let events = unsent(&fresh.store, shard, &[TYPE], &BTreeSet::new(), 10)
            .await
            .unwrap();
        forget_sent(&fresh.store, &[events[0].id.clone()])
            .await
            .unwrap();
        assert_eq!(rows(&fresh.store, "outbox").await, 1);
        assert_eq!(waiting_shards(&fresh.store, &[TYPE]).await, Ok(vec![]));
    }
}

#[tokio::test]
async fn a_store_tells_once_that_it_committed_events_and_nothing_of_a_rollback() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let failed: Result<(), StoreError> = store
            .transact(async |tx: &Tx| {
                tx.publish(&[event("voucher/1", 1)], NOON).await?;
                Err(StoreError::Broken("rolled back"))
            })
            .await;
        assert!(failed.is_err());
        assert!(!store.take_published());
        publish(store, &[], NOON).await;
        assert!(!store.take_published());
        publish(store, &[event("voucher/1", 1)], NOON).await;
        let forget = async |tx: &Tx| tx.execute("DELETE FROM job_pauses", values![]).await;
        store.transact(forget).await.unwrap();
        assert!(store.take_published());
        assert!(!store.take_published());
    }
}
