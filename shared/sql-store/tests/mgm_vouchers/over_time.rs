//! Coupons that wait for their friend, vouchers past their date, and what is read about both.

use super::*;

#[tokio::test]
async fn a_coupon_given_on_arrival_binds_to_its_first_friend_and_holds_its_budget_then() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let link = ReferralCode::from_random([1; 11]);
        let sql = "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
                   accepted) VALUES (?, 'promoter', ?, 0, '2026-11', 0)";
        execute(&store, sql, values![CAMPAIGN, link.as_str()]).await;
        for (id, cpf) in [
            ("promoter", Some("1")),
            ("twin", Some("1")),
            ("friend", None),
        ] {
            let sql = "INSERT INTO customers (customer_id, version, deleted, cpf, \
                       consented_ms, registered_ms, updated_ms) VALUES (?, 1, 0, ?, 1, 0, 0)";
            execute(&store, sql, values![id, cpf]).await;
        }
        let issued = issue_all(&store, &[arrival_coupon("v1"), arrival_coupon("v2")]).await;
        for own in ["promoter", "twin"] {
            let outcome = try_reserve(&store, &issued[0], own, "A", at(0)).await;
            assert_eq!(refused(outcome), "the promoter's own link");
        }
        let answer = try_reserve(&store, &issued[0], "friend", "A", at(0))
            .await
            .unwrap();
        assert!(
            answer.starts_with("10.00 "),
            "a tenth of 100, below the cap: {answer}"
        );
        assert_eq!(budget(&store).await, (20, 0), "the cap is held");
        let second = try_reserve(&store, &issued[1], "friend", "B", at(0)).await;
        assert_eq!(refused(second), "the customer has a coupon already");
        let referral = ReferralId::parse("R1").unwrap();
        let work = async |tx: &Tx| {
            bind_arrival_coupon(tx, &link, &customer("friend"), &referral, at(1)).await
        };
        let bound = store
            .transact::<_, StoreError, _>(work)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (bound.held, bound.referral.as_ref()),
            (reais(20), Some(&referral))
        );
        assert!(
            store
                .transact::<_, StoreError, _>(work)
                .await
                .unwrap()
                .is_none()
        );
        try_commit(&store, &issued[0], "A", at(1)).await.unwrap();
        assert_eq!(budget(&store).await, (0, 10), "{}", database.label());
        execute(
            &store,
            "UPDATE campaigns SET spent_centavos = budget_centavos",
            values![],
        )
        .await;
        let broke = try_reserve(&store, &issued[1], "other", "C", at(0)).await;
        assert_eq!(refused(broke), "the budget is spent");
    }
}

#[tokio::test]
async fn what_is_past_its_date_expires_unless_an_order_has_it() {
    for database in databases().await {
        let store = store_with(database.url(), reais(90)).await;
        let issued = issue_all(&store, &[coupon("R1"), coupon("R2"), coupon("R3")]).await;
        let last = RESERVATION_MS * 10;
        for (voucher, id) in [(&issued[0], "A"), (&issued[1], "B")] {
            try_reserve(&store, voucher, "friend", id, at(last - 1))
                .await
                .unwrap();
        }
        purchase(&store, "A", "pendente").await;
        let sweep = async |now: UtcMillis| {
            let work = async |tx: &Tx| expire_due(tx, 100, now).await;
            store.transact::<_, StoreError, _>(work).await.unwrap()
        };
        assert_eq!(sweep(at(last - 1)).await, 0);
        assert_eq!(
            sweep(at(last)).await,
            1,
            "one is reserved, one has an order"
        );
        assert_eq!(
            refused(try_reserve(&store, &issued[2], "friend", "C", at(last)).await),
            "expired"
        );
        let after = at(last + RESERVATION_MS);
        assert_eq!((sweep(after).await, sweep(after).await), (1, 0));
        assert_eq!(budget(&store).await, (30, 0), "{}", database.label());
        assert!(try_commit(&store, &issued[0], "A", after).await.is_ok());
    }
}

#[tokio::test]
async fn an_owner_pages_through_the_vouchers_and_a_service_learns_the_recipient() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let sql = "INSERT INTO customers (customer_id, version, deleted, name, email, \
                   consented_ms, registered_ms, updated_ms) \
                   VALUES ('friend', 1, 0, 'Ana', 'ana@example.com', 1, 0, 0)";
        execute(&store, sql, values![]).await;
        let issued = issue_all(
            &store,
            &(0..5).map(|i| coupon(&format!("R{i}"))).collect::<Vec<_>>(),
        )
        .await;
        let owner = customer("friend");
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = of_owner(&store, &owner, after.as_ref(), 2, at(0))
                .await
                .unwrap();
            seen.extend(page.rows.iter().map(|row| row.voucher.id.clone()));
            after = seen.last().cloned();
            if !page.has_more {
                break;
            }
        }
        let mut expected: Vec<_> = issued.iter().map(|one| one.id.clone()).collect();
        expected.sort();
        expected.reverse();
        assert_eq!(seen, expected, "{}", database.label());
        let key = VoucherKey::Code(issued[0].code.clone());
        let (shown, none) = find(&store, &key, Some(&owner), at(0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((shown.status, none), (Status::Issued, None));
        let gone = find(&store, &key, Some(&owner), at(RESERVATION_MS * 10))
            .await
            .unwrap();
        assert_eq!(
            gone.unwrap().0.status,
            Status::Expired,
            "though no sweep came by"
        );
        assert!(
            find(&store, &key, Some(&customer("thief")), at(0))
                .await
                .unwrap()
                .is_none()
        );
        let (_, recipient) = find(&store, &key, None, at(0)).await.unwrap().unwrap();
        let recipient = recipient.unwrap();
        assert_eq!(recipient.email.as_deref(), Some("ana@example.com"));
        assert!(!format!("{recipient:?}").contains("Ana"));
    }
}

#[tokio::test]
async fn an_idempotency_key_replays_its_answer_and_refuses_another_request() {
    for database in databases().await {
        let store = store_with(database.url(), reais(30)).await;
        let voucher = issue_all(&store, &[coupon("R1")]).await.remove(0);
        let asked = settle(&voucher, "A", Actor::Service);
        let key = |content: &[u8]| RequestKey::new("shop", "POST commit", "k1", content);
        let encode = |_: &_, _: &_| StoredAnswer::json(200, &"done");
        let refused = commit(&store, &asked, Some(&key(b"a")), at(0), encode).await;
        assert!(matches!(refused, Err(RedeemVoucherError::Unavailable(_))));
        try_reserve(&store, &voucher, "friend", "A", at(0))
            .await
            .unwrap();
        let first = commit(&store, &asked, Some(&key(b"a")), at(0), encode)
            .await
            .unwrap();
        let again = commit(&store, &asked, Some(&key(b"a")), at(0), |_, _| panic!())
            .await
            .unwrap();
        assert_eq!(first, again, "{}", database.label());
        let other = commit(&store, &asked, Some(&key(b"b")), at(0), encode).await;
        assert!(matches!(other, Err(RedeemVoucherError::KeyOfOtherRequest)));
    }
}
