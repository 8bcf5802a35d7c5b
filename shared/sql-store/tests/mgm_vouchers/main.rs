//! Vouchers on every database that there is: issued once, reserved once, used once, and a budget
//! that always adds up.
#![cfg(test)]

use domain::{
    code::ReferralCode,
    identity::{CampaignId, CustomerId, OrderId, ReferralId},
    mgm::{
        campaign::Discount,
        voucher::{Kind, RESERVATION_MS, Status},
    },
    money::{BasisPoints, Centavos},
    time::UtcMillis,
};
use sql_store::{
    FromQueryResult, Store, StoreError, Tx,
    idempotency::{RequestKey, StoredAnswer},
    mgm::vouchers::{
        Actor, Issued, NewVoucher, RedeemVoucherError, Reserve, Settle, VoucherKey,
        bind_arrival_coupon, cancel_of_referral, commit, expire_due, find, issue, of_owner,
        release, release_of_order, release_of_others, reserve,
    },
    values,
};
use testkit::databases;

mod over_time;
mod ownership;
mod races;

const NOW_MS: i64 = 1_795_000_000_000;
const CAMPAIGN: &str = "01CAMPAIGN";

fn at(later_ms: i64) -> UtcMillis {
    UtcMillis::new(NOW_MS + later_ms).unwrap()
}

fn reais(amount: i64) -> Centavos {
    Centavos::new(amount * 100).unwrap()
}

fn order(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

fn customer(id: &str) -> CustomerId {
    CustomerId::parse(id).unwrap()
}

/// A migrated store with one campaign whose budget is R$ 1,000, of which `reserved` is held.
async fn store_with(url: &str, reserved: Centavos) -> Store {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, at(0)).await.unwrap();
    execute(
        &store,
        "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
         reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
         spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
         accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
         updated_ms) VALUES (?, 'Verão', 'ativa', 0, 9000000000000, 3000, 5000, 0, 100000, ?, 0, \
         30, 0, 0, 0, 1, 0, 'https://loja.example/', 1, 0, 0)",
        values![CAMPAIGN, reserved.get()],
    )
    .await;
    store
}

async fn execute(store: &Store, sql: &str, values: Vec<sql_store::Value>) {
    let work = async |tx: &Tx| tx.execute(sql, values.clone()).await.map(|_| ());
    store.transact::<_, StoreError, _>(work).await.unwrap();
}

async fn purchase(store: &Store, id: &str, status: &str) {
    execute(
        store,
        "DELETE FROM purchases WHERE order_id = ?",
        values![id],
    )
    .await;
    let sql = "INSERT INTO purchases (order_id, customer_id, status, total_centavos, updated_ms) \
               VALUES (?, 'friend', ?, 10000, 0)";
    execute(store, sql, values![id, status]).await;
}

#[derive(FromQueryResult, Debug, PartialEq)]
struct Budget {
    reserved_centavos: i64,
    spent_centavos: i64,
}

async fn budget(store: &Store) -> (i64, i64) {
    let sql = "SELECT reserved_centavos, spent_centavos FROM campaigns";
    let row = store
        .transact::<_, StoreError, _>(async |tx: &Tx| tx.one::<Budget>(sql, values![]).await)
        .await
        .unwrap()
        .unwrap();
    (row.reserved_centavos / 100, row.spent_centavos / 100)
}

#[derive(FromQueryResult)]
struct Count {
    rows: i64,
}

async fn count(store: &Store, from: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) AS rows FROM {from}").replace("AS rows", "AS `rows`");
    store
        .transact::<_, StoreError, _>(async |tx: &Tx| tx.one::<Count>(&sql, values![]).await)
        .await
        .unwrap()
        .unwrap()
        .rows
}

fn coupon(referral: &str) -> NewVoucher {
    NewVoucher {
        kind: Kind::FriendCoupon,
        campaign: CampaignId::parse(CAMPAIGN).unwrap(),
        referral: Some(ReferralId::parse(referral).unwrap()),
        arrival: None,
        owner: Some(customer("friend")),
        worth: Discount::Amount(reais(30)),
        stackable: false,
        held: reais(30),
        expires: at(RESERVATION_MS * 10),
    }
}

fn arrival_coupon(visitor: &str) -> NewVoucher {
    NewVoucher {
        referral: None,
        arrival: Some((ReferralCode::from_random([1; 11]), visitor.to_owned())),
        owner: None,
        held: Centavos::ZERO,
        worth: Discount::Percent {
            points: BasisPoints::new(1_000).unwrap(),
            cap: reais(20),
        },
        ..coupon("unused")
    }
}

async fn issue_all(store: &Store, new: &[NewVoucher]) -> Vec<Issued> {
    let work = async |tx: &Tx| issue(tx, new, at(0)).await;
    store.transact::<_, StoreError, _>(work).await.unwrap()
}

async fn try_reserve(
    store: &Store,
    voucher: &Issued,
    who: &str,
    for_order: &str,
    now: UtcMillis,
) -> Result<String, RedeemVoucherError> {
    let asked = Reserve {
        voucher: VoucherKey::Code(voucher.code.clone()),
        customer: customer(who),
        order: order(for_order),
        total: reais(100),
    };
    let answer = reserve(store, &asked, None, now, |_, reservation| {
        told(format!(
            "{} until {}",
            reservation.discount,
            reservation.until.get() - NOW_MS
        ))
    });
    answer.await.map(|answer| answer.body)
}

fn told(body: String) -> Result<StoredAnswer, StoreError> {
    Ok(StoredAnswer { status: 200, body })
}

fn settle(voucher: &Issued, for_order: &str, actor: Actor) -> Settle {
    Settle {
        voucher: VoucherKey::Id(voucher.id.clone()),
        actor,
        order: order(for_order),
    }
}

async fn try_commit(
    store: &Store,
    voucher: &Issued,
    for_order: &str,
    now: UtcMillis,
) -> Result<String, RedeemVoucherError> {
    let asked = settle(voucher, for_order, Actor::Service);
    let answer = commit(store, &asked, None, now, |_, done| {
        told(format!("{} at {}", done.discount, done.used.get() - NOW_MS))
    });
    answer.await.map(|answer| answer.body)
}

async fn try_release(
    store: &Store,
    voucher: &Issued,
    for_order: &str,
) -> Result<String, RedeemVoucherError> {
    let asked = settle(voucher, for_order, Actor::Customer(customer("friend")));
    let answer = release(store, &asked, None, at(0), |voucher| {
        told(voucher.state.status().as_str().to_owned())
    });
    answer.await.map(|answer| answer.body)
}

fn refused(outcome: Result<String, RedeemVoucherError>) -> &'static str {
    match outcome.unwrap_err() {
        RedeemVoucherError::Unavailable(reason) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn many_vouchers_are_issued_at_once_and_none_twice() {
    for database in databases().await {
        let store = store_with(database.url(), reais(0)).await;
        let new: Vec<NewVoucher> = (0..2_500).map(|i| coupon(&format!("R{i}"))).collect();
        let issued = issue_all(&store, &new).await;
        assert!(issued.iter().all(|one| one.is_new), "{}", database.label());
        assert!(store.take_published());
        let again = issue_all(&store, &new[..10]).await;
        for (first, second) in issued.iter().zip(&again) {
            assert_eq!(
                (&first.id, &first.code, false),
                (&second.id, &second.code, second.is_new)
            );
        }
        let twice = issue_all(&store, &[coupon("X"), coupon("X")]).await;
        assert_eq!((twice[0].is_new, twice[1].is_new), (true, false));
        assert_eq!(twice[0].id, twice[1].id);
        let promoters = NewVoucher {
            kind: Kind::PromoterVoucher,
            ..coupon("X")
        };
        assert!(
            issue_all(&store, &[promoters]).await[0].is_new,
            "another kind is another voucher"
        );
        for table in ["vouchers", "audit_log", "outbox"] {
            assert_eq!(
                count(&store, table).await,
                2_502,
                "{table} on {}",
                database.label()
            );
        }
        let arrival = issue_all(&store, &[arrival_coupon("v1"), arrival_coupon("v2")]).await;
        assert_eq!(
            issue_all(&store, &[arrival_coupon("v1")]).await[0].id,
            arrival[0].id
        );
        assert_eq!(
            count(&store, "outbox").await,
            2_502,
            "an unowned coupon is told to nobody"
        );
    }
}

#[tokio::test]
async fn a_voucher_is_reserved_and_used_once_and_its_budget_is_settled() {
    for database in databases().await {
        let store = store_with(database.url(), reais(60)).await;
        let [first, second] = issue_all(&store, &[coupon("R1"), coupon("R2")])
            .await
            .try_into()
            .unwrap();
        let until = format!("30.00 until {RESERVATION_MS}");
        assert_eq!(
            try_reserve(&store, &first, "friend", "A", at(0))
                .await
                .unwrap(),
            until
        );
        assert_eq!(
            try_reserve(&store, &first, "friend", "A", at(5))
                .await
                .unwrap(),
            until
        );
        let other_order = try_reserve(&store, &first, "friend", "B", at(5)).await;
        assert_eq!(refused(other_order), "not reserved for this order");
        let foreign = try_reserve(&store, &second, "thief", "B", at(5)).await;
        assert_eq!(refused(foreign), "of another owner");
        let crowded = try_reserve(&store, &second, "friend", "A", at(5)).await;
        assert_eq!(
            refused(crowded),
            "the order's other vouchers leave no place"
        );
        assert_eq!(
            try_commit(&store, &first, "A", at(7)).await.unwrap(),
            "30.00 at 7"
        );
        assert_eq!(
            try_commit(&store, &first, "A", at(9)).await.unwrap(),
            "30.00 at 7"
        );
        assert_eq!(
            refused(try_commit(&store, &first, "B", at(9)).await),
            "used"
        );
        assert_eq!(refused(try_release(&store, &first, "A").await), "used");
        assert_eq!(budget(&store).await, (30, 30), "{}", database.label());
        let versions = "audit_log WHERE event IN ('voucher_reservado', 'voucher_usado')";
        assert_eq!(count(&store, versions).await, 2, "repeats write nothing");
        assert_eq!(
            count(&store, "outbox WHERE event_type = 'cupom.usado'").await,
            1
        );
    }
}

#[tokio::test]
async fn a_released_or_lapsed_voucher_serves_another_order() {
    for database in databases().await {
        let store = store_with(database.url(), reais(30)).await;
        let voucher = issue_all(&store, &[coupon("R1")]).await.remove(0);
        try_reserve(&store, &voucher, "friend", "A", at(0))
            .await
            .unwrap();
        assert_eq!(try_release(&store, &voucher, "A").await.unwrap(), "emitido");
        assert_eq!(try_release(&store, &voucher, "A").await.unwrap(), "emitido");
        try_reserve(&store, &voucher, "friend", "B", at(0))
            .await
            .unwrap();
        let late = at(RESERVATION_MS);
        assert_eq!(
            refused(try_commit(&store, &voucher, "B", late).await),
            "not reserved for this order"
        );
        try_reserve(&store, &voucher, "friend", "C", late)
            .await
            .unwrap();
        assert_eq!(count(&store, "order_vouchers WHERE holders = 1").await, 1);
        purchase(&store, "C", "pendente").await;
        let later = at(RESERVATION_MS * 5);
        let held = try_reserve(&store, &voucher, "friend", "D", later).await;
        assert_eq!(refused(held), "not reserved for this order");
        assert!(try_commit(&store, &voucher, "C", later).await.is_ok());
        assert_eq!(budget(&store).await, (0, 30), "{}", database.label());
    }
}

#[tokio::test]
async fn vouchers_that_stack_share_an_order_and_lapsed_ones_leave_it() {
    for database in databases().await {
        let store = store_with(database.url(), reais(90)).await;
        let stackable = |id| NewVoucher {
            stackable: true,
            ..coupon(id)
        };
        let issued = issue_all(&store, &[stackable("R1"), stackable("R2"), coupon("R3")]).await;
        try_reserve(&store, &issued[0], "friend", "A", at(0))
            .await
            .unwrap();
        try_reserve(&store, &issued[1], "friend", "A", at(1))
            .await
            .unwrap();
        let third = try_reserve(&store, &issued[2], "friend", "A", at(1)).await;
        assert_eq!(refused(third), "the order's other vouchers leave no place");
        let late = at(RESERVATION_MS + 1);
        assert!(
            try_reserve(&store, &issued[2], "friend", "A", late)
                .await
                .is_ok()
        );
        let alone = try_reserve(&store, &issued[0], "friend", "A", late).await;
        assert_eq!(refused(alone), "the order's other vouchers leave no place");
        assert_eq!(
            count(&store, "order_vouchers WHERE holders = 1 AND exclusive = 1").await,
            1
        );
    }
}

#[tokio::test]
async fn a_void_order_lets_go_and_a_void_referral_cancels_or_marks() {
    for database in databases().await {
        let store = store_with(database.url(), reais(90)).await;
        let issued = issue_all(&store, &[coupon("R1"), coupon("R2"), coupon("R3")]).await;
        try_reserve(&store, &issued[0], "friend", "A", at(0))
            .await
            .unwrap();
        purchase(&store, "A", "cancelado").await;
        assert_eq!(
            refused(try_commit(&store, &issued[0], "A", at(1)).await),
            "the order is void"
        );
        let work = async |tx: &Tx| release_of_order(tx, &order("A"), at(1)).await;
        assert_eq!(store.transact::<_, StoreError, _>(work).await.unwrap(), 1);
        try_reserve(&store, &issued[0], "friend", "B", at(1))
            .await
            .unwrap();
        try_reserve(&store, &issued[1], "friend", "C", at(1))
            .await
            .unwrap();
        try_commit(&store, &issued[1], "C", at(1)).await.unwrap();
        let void = async |referral: &str| {
            let id = ReferralId::parse(referral).unwrap();
            let work = async |tx: &Tx| cancel_of_referral(tx, &id, at(2)).await;
            store.transact::<_, StoreError, _>(work).await.unwrap()
        };
        let reserved = void("R1").await;
        assert_eq!(
            (reserved.cancelled, reserved.used, reserved.given_back),
            (1, 0, reais(30))
        );
        let used = void("R2").await;
        assert_eq!(
            (used.cancelled, used.used, used.given_back),
            (0, 1, reais(0))
        );
        let again = void("R1").await;
        assert_eq!((again.cancelled, again.given_back), (0, reais(0)));
        assert_eq!(count(&store, "vouchers WHERE used_after_void = 1").await, 1);
        assert_eq!(count(&store, "order_vouchers WHERE holders = 0").await, 2);
        assert_eq!(
            count(&store, "outbox WHERE event_type = 'cupom.cancelado'").await,
            1
        );
        assert_eq!(
            refused(try_commit(&store, &issued[0], "B", at(3)).await),
            "cancelled"
        );
    }
}
