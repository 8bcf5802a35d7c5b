//! A message's mark stands in the transaction of its effect.

use sql_store::{StoreError, Tx};

use crate::stores::{NOON, fresh, rows};

#[tokio::test]
async fn a_message_is_marked_once_by_each_consumer() {
    for fresh in fresh().await {
        let label = fresh.label();
        for (consumer, message, first) in [
            ("reward-purchase", "m1", true),
            ("reward-purchase", "m1", false),
            ("issue-trip-voucher", "m1", true),
            ("reward-purchase", "M1", true),
        ] {
            let marked = fresh
                .store
                .transact(async |tx: &Tx| tx.mark_handled(consumer, message, NOON).await)
                .await;
            assert_eq!(marked, Ok(first), "{label}: {consumer} {message}");
        }
    }
}

#[tokio::test]
async fn a_mark_goes_with_the_effect_that_was_rolled_back() {
    for fresh in fresh().await {
        let failed: Result<(), StoreError> = fresh
            .store
            .transact(async |tx: &Tx| {
                assert!(tx.mark_handled("c", "m1", NOON).await?);
                Err(StoreError::Broken("the effect failed"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(rows(&fresh.store, "handled_messages").await, 0);
    }
}

#[tokio::test]
async fn many_marks_at_once_are_all_new_or_none_is_made() {
    for fresh in fresh().await {
        let mark = async |ids: &[&str]| {
            fresh
                .store
                .transact(async |tx: &Tx| tx.mark_all_handled("c", ids, NOON).await)
                .await
        };
        assert_eq!(mark(&[]).await, Ok(()));
        assert_eq!(mark(&["a", "b"]).await, Ok(()));
        assert_eq!(mark(&["c", "b"]).await, Err(StoreError::Duplicate));
        assert_eq!(rows(&fresh.store, "handled_messages").await, 2);
    }
}

#[tokio::test]
async fn of_two_consumers_of_one_message_at_once_one_is_first() {
    for fresh in fresh().await {
        let other = fresh.beside(Default::default()).await;
        for round in 0..20 {
            let id = format!("m{round}");
            let mark = async |store: &sql_store::Store| {
                store
                    .transact(async |tx: &Tx| tx.mark_handled("c", &id, NOON).await)
                    .await
                    .unwrap()
            };
            let (one, two) = tokio::join!(mark(&fresh.store), mark(&other));
            assert!(one != two, "{}: {one} {two}", fresh.label());
        }
    }
}
