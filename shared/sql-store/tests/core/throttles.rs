//! Throttles that several instances share.

use domain::time::UtcMillis;
use sql_store::{
    Store,
    throttle::{Pass, Rate, pass},
};

use crate::stores::{NOON, fresh, together};

const FIVE_A_MINUTE: Rate = Rate {
    burst: 5,
    period_ms: 60_000,
};

fn later(millis: i64) -> UtcMillis {
    NOON.plus_millis(millis)
}

async fn freed(store: &Store, bucket: &str, rate: Rate, at: UtcMillis) -> bool {
    pass(store, bucket, rate, at).await.unwrap() == Pass::Free
}

#[tokio::test]
async fn a_burst_passes_and_retry_after_is_right_to_the_millisecond() {
    for fresh in fresh().await {
        let (store, label) = (&fresh.store, fresh.label());
        for _ in 0..5 {
            assert!(freed(store, "b", FIVE_A_MINUTE, NOON).await, "{label}");
        }
        let wait = pass(store, "b", FIVE_A_MINUTE, NOON).await.unwrap();
        assert_eq!(
            wait,
            Pass::Wait {
                retry_after_ms: 12_000
            },
            "{label}"
        );
        let still = pass(store, "b", FIVE_A_MINUTE, later(11_999))
            .await
            .unwrap();
        assert_eq!(still, Pass::Wait { retry_after_ms: 1 }, "{label}");
        assert!(
            freed(store, "b", FIVE_A_MINUTE, later(12_000)).await,
            "{label}"
        );
        assert!(
            !freed(store, "b", FIVE_A_MINUTE, later(12_000)).await,
            "{label}"
        );
        assert!(freed(store, "other", FIVE_A_MINUTE, NOON).await, "{label}");
    }
}

#[tokio::test]
async fn a_whole_burst_is_free_again_after_its_period() {
    for fresh in fresh().await {
        for start in [NOON, later(60_000), later(1_000_000)] {
            let mut free = 0;
            for _ in 0..8 {
                free += u32::from(freed(&fresh.store, "b", FIVE_A_MINUTE, start).await);
            }
            assert_eq!(free, 5, "{}", fresh.label());
        }
    }
}

#[tokio::test]
async fn many_instances_at_once_pass_no_more_than_the_burst() {
    for fresh in fresh().await {
        let mut instances = Vec::new();
        for _ in 0..8 {
            let store = fresh.beside(Default::default()).await;
            instances.push(async move {
                let mut free = 0;
                for _ in 0..4 {
                    free += u32::from(freed(&store, "b", FIVE_A_MINUTE, NOON).await);
                }
                free
            });
        }
        let free: u32 = together(instances).await.iter().sum();
        assert_eq!(free, 5, "{}", fresh.label());
    }
}

#[tokio::test]
async fn over_any_time_no_more_passes_than_a_burst_and_its_refill() {
    for fresh in fresh().await {
        let mut free = 0;
        for step in 0..120 {
            free += i64::from(freed(&fresh.store, "b", FIVE_A_MINUTE, later(step * 1_000)).await);
        }
        // 119 s refill nine times (one each 12 s).
        assert_eq!(free, 5 + 9, "{}", fresh.label());
    }
}

#[tokio::test]
async fn an_instance_whose_clock_is_behind_takes_no_place_twice() {
    for fresh in fresh().await {
        let rate = Rate {
            burst: 1,
            period_ms: 1_000,
        };
        assert!(freed(&fresh.store, "b", rate, NOON).await);
        let behind = pass(&fresh.store, "b", rate, later(-400)).await.unwrap();
        assert_eq!(
            behind,
            Pass::Wait {
                retry_after_ms: 1_400
            }
        );
        assert!(freed(&fresh.store, "b", rate, later(1_000)).await);
    }
}
