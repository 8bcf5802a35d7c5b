//! Whose a voucher is, whose an order is, and who may let go.

use super::*;

#[tokio::test]
async fn what_a_placed_order_holds_its_owner_cannot_let_go() {
    for database in databases().await {
        let store = store_with(database.url(), reais(30)).await;
        let voucher = issue_all(&store, &[coupon("R1")]).await.remove(0);
        try_reserve(&store, &voucher, "friend", "A", at(0))
            .await
            .unwrap();
        purchase(&store, "A", "pago").await;
        let kept = try_release(&store, &voucher, "A").await;
        assert_eq!(refused(kept), "the order holds it", "{}", database.label());
        let asked = settle(&voucher, "A", Actor::Service);
        let by_shop = release(&store, &asked, None, at(1), |_| {
            StoredAnswer::json(200, &"released")
        });
        assert!(by_shop.await.is_ok());
    }
}

#[tokio::test]
async fn nobody_takes_the_place_at_another_customers_order() {
    for database in databases().await {
        let store = store_with(database.url(), reais(60)).await;
        let other = NewVoucher {
            owner: Some(customer("other")),
            ..coupon("R2")
        };
        let issued = issue_all(&store, &[coupon("R1"), other]).await;
        try_reserve(&store, &issued[1], "other", "A", at(0))
            .await
            .unwrap();
        purchase(&store, "A", "pago").await;
        let work =
            async |tx: &Tx| release_of_others(tx, &order("A"), &customer("friend"), at(1)).await;
        assert_eq!(store.transact::<_, StoreError, _>(work).await, Ok(1));
        assert_eq!(store.transact::<_, StoreError, _>(work).await, Ok(0));
        let again = try_reserve(&store, &issued[1], "other", "A", at(1)).await;
        assert_eq!(refused(again), "the order is another customer's");
        let own = try_reserve(&store, &issued[0], "friend", "A", at(1)).await;
        assert!(own.is_ok(), "{}", database.label());
    }
}

#[tokio::test]
async fn a_coupon_given_on_arrival_is_for_whom_the_campaign_takes_now() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let coupon = issue_all(&store, &[arrival_coupon("v1")]).await.remove(0);
        let set = async |what: &str| {
            execute(&store, &format!("UPDATE campaigns SET {what}"), values![]).await;
        };
        set("accepts_existing_buyers = 0").await;
        purchase(&store, "before", "pago").await;
        let buyer = try_reserve(&store, &coupon, "friend", "A", at(0)).await;
        assert_eq!(refused(buyer), "the customer has bought before");
        for closed in ["ends_ms = 1", "ends_ms = 9000000000000, status = 'pausada'"] {
            set(closed).await;
            let late = try_reserve(&store, &coupon, "newcomer", "A", at(0)).await;
            assert_eq!(refused(late), "the campaign takes no purchases now");
        }
        set("status = 'ativa'").await;
        let newcomer = try_reserve(&store, &coupon, "newcomer", "A", at(0)).await;
        assert!(newcomer.is_ok(), "{}", database.label());
    }
}

#[tokio::test]
async fn a_visitor_whose_coupon_was_cancelled_may_get_another() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let coupon = issue_all(&store, &[arrival_coupon("v1")]).await.remove(0);
        try_reserve(&store, &coupon, "friend", "A", at(0))
            .await
            .unwrap();
        let link = ReferralCode::from_random([1; 11]);
        let referral = ReferralId::parse("R1").unwrap();
        let work = async |tx: &Tx| {
            bind_arrival_coupon(tx, &link, &customer("friend"), &referral, at(1)).await?;
            cancel_of_referral(tx, &referral, at(2)).await
        };
        let voided = store.transact::<_, StoreError, _>(work).await.unwrap();
        assert_eq!(voided.cancelled, 1);
        let next = issue_all(&store, &[arrival_coupon("v1")]).await.remove(0);
        assert!(next.is_new, "{}", database.label());
        let second = try_reserve(&store, &next, "friend", "B", at(3)).await;
        assert!(second.is_ok(), "a voided referral blocks no later one");
    }
}
