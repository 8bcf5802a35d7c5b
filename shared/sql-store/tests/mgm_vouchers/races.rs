//! Instances side by side: of rivals for one thing exactly one gets it.

use futures::future::join_all;
use sql_store::Store;
use testkit::databases;

use crate::{
    arrival_coupon, at, budget, count, coupon, issue_all, order, reais, refused, store_with,
    try_commit, try_release, try_reserve,
};

const RIVALS: usize = 6;

async fn instances(url: &str) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..RIVALS {
        stores.push(Store::open(url).await.unwrap());
    }
    stores
}

#[tokio::test]
async fn of_orders_that_want_a_voucher_at_the_same_time_one_gets_it() {
    for database in databases().await {
        let store = store_with(database.url(), reais(30)).await;
        let voucher = issue_all(&store, &[coupon("R1")]).await.remove(0);
        let instances = instances(database.url()).await;
        let running = instances
            .iter()
            .enumerate()
            .map(async |(number, instance)| {
                try_reserve(instance, &voucher, "friend", &format!("O{number}"), at(0)).await
            });
        let outcomes = join_all(running).await;
        let won: Vec<usize> = (0..RIVALS)
            .filter(|&number| outcomes[number].is_ok())
            .collect();
        assert_eq!(won.len(), 1, "{}", database.label());
        assert_eq!(count(&store, "order_vouchers WHERE holders = 1").await, 1);
        let winner = format!("O{}", won[0]);
        let running = instances.iter().map(async |instance| {
            try_commit(instance, &voucher, &winner, at(1))
                .await
                .unwrap()
        });
        let used = join_all(running).await;
        assert!(
            used.iter().all(|answer| *answer == used[0]),
            "each gets the same answer"
        );
        assert_eq!(budget(&store).await, (0, 30), "settled once");
        assert_eq!(
            count(&store, "audit_log WHERE event = 'voucher_usado'").await,
            1
        );
    }
}

#[tokio::test]
async fn of_vouchers_that_do_not_stack_one_gets_the_order() {
    for database in databases().await {
        let store = store_with(database.url(), reais(180)).await;
        let coupons: Vec<_> = (0..RIVALS)
            .map(|number| coupon(&format!("R{number}")))
            .collect();
        let issued = issue_all(&store, &coupons).await;
        let instances = instances(database.url()).await;
        let running = instances
            .iter()
            .zip(&issued)
            .map(async |(instance, voucher)| {
                try_reserve(instance, voucher, "friend", order("A").as_str(), at(0)).await
            });
        let outcomes = join_all(running).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{}", database.label());
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(
                refused(outcome),
                "the order's other vouchers leave no place"
            );
        }
        let sound = "order_vouchers WHERE holders = 1 AND exclusive = 1";
        assert_eq!(count(&store, sound).await, 1);
    }
}

#[tokio::test]
async fn a_customer_binds_one_arrival_coupon_of_a_campaign() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let visitors: Vec<_> = (0..RIVALS)
            .map(|number| arrival_coupon(&format!("v{number}")))
            .collect();
        let issued = issue_all(&store, &visitors).await;
        let instances = instances(database.url()).await;
        let running =
            instances
                .iter()
                .zip(&issued)
                .enumerate()
                .map(async |(number, (instance, voucher))| {
                    try_reserve(instance, voucher, "friend", &format!("O{number}"), at(0)).await
                });
        let outcomes = join_all(running).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{}", database.label());
        assert_eq!(
            budget(&store).await,
            (20, 0),
            "what the others held went back"
        );
        assert_eq!(count(&store, "vouchers WHERE owner_id = 'friend'").await, 1);
    }
}

#[tokio::test]
async fn a_release_and_a_commit_at_the_same_time_do_not_both_win() {
    for database in databases().await {
        let store = store_with(database.url(), reais(30)).await;
        let voucher = issue_all(&store, &[coupon("R1")]).await.remove(0);
        try_reserve(&store, &voucher, "friend", "A", at(0))
            .await
            .unwrap();
        let other = Store::open(database.url()).await.unwrap();
        let (used, released) = futures::future::join(
            try_commit(&store, &voucher, "A", at(1)),
            try_release(&other, &voucher, "A"),
        )
        .await;
        assert_ne!(used.is_ok(), released.is_ok(), "{}", database.label());
        let spent = if used.is_ok() { (0, 30) } else { (30, 0) };
        assert_eq!(budget(&store).await, spent);
    }
}
