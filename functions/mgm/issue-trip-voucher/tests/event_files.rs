//! The event files of this function, on every database that there is.
#![cfg(test)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::{
    code::ReferralCode,
    identity::{CustomerId, OrderId},
    mgm::{
        attribution::Attribution,
        referral::{Claim, Order},
    },
    money::Centavos,
    orders::OrderStatus,
    time::UtcMillis,
};
use issue_trip_voucher::IssueTripVoucher;
use lambda_kit::{
    DeadLetters, SealKey,
    dead_letter::{DeadLetter, SendFailed},
    sqs::answer,
};
use serde_json::{Value, json};
use sql_store::{FromQueryResult, Store, StoreError, Tx, mgm::purchases::record_order, values};
use testkit::databases;

/// 2026-11-20T15:00:00Z, half an hour after the trips of the event files.
const NOW_MS: i64 = 1_795_186_800_000;

struct Letters {
    key: SealKey,
    sent: RefCell<Vec<DeadLetter>>,
}

impl DeadLetters for Letters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let letter = serde_json::from_str(&body).map_err(|_| SendFailed)?;
        self.sent.borrow_mut().push(letter);
        Ok(())
    }
}

struct Shop {
    handler: IssueTripVoucher,
    store: Store,
    letters: Letters,
}

#[derive(FromQueryResult)]
struct Count {
    found: i64,
}

impl Shop {
    /// A shop with a campaign and a promoter.
    async fn open(url: &str) -> Self {
        let store = Store::open(url).await.unwrap();
        sql_store::migrate::migrate(&store, at(0)).await.unwrap();
        let letters = Letters {
            key: SealKey::new(&[9; 32]).unwrap(),
            sent: RefCell::default(),
        };
        let shop = Self {
            handler: IssueTripVoucher::new(store.clone()),
            store,
            letters,
        };
        for sql in [
            "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
             reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
             spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
             accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
             updated_ms) VALUES ('C', 'Verão', 'ativa', 0, 9000000000000, 2000, 3000, 0, 100000, \
             0, 0, 30, 0, 0, 0, 1, 0, 'https://loja.example/', 1, 0, 0)",
            "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
             accepted) VALUES ('C', 'promotor-1', '11111111111', 0, '2026-11', 0)",
        ] {
            let work = async |tx: &Tx| tx.execute(sql, values![]).await;
            shop.store.transact::<_, StoreError, _>(work).await.unwrap();
        }
        shop
    }

    /// The friend buys the order of the event files through the promoter's link.
    async fn buy(&self) {
        let click = Attribution {
            code: ReferralCode::from_random([1; 11]),
            clicked: at(-1),
        };
        let order = Order {
            id: OrderId::parse("pedido-1").unwrap(),
            customer: CustomerId::parse("amiga-1").unwrap(),
            status: OrderStatus::Paid,
            claim: Some(Claim::Signed(click)),
            total: Centavos::new(79_980).ok(),
            approved: Some(at(-1)),
            ends: None,
            items: Vec::new(),
        };
        record_order(&self.store, "compra", &order, at(0))
            .await
            .unwrap();
    }

    async fn receive(&self, name: &str) -> Value {
        let (handler, letters) = (&self.handler, &self.letters);
        answer("issue-trip-voucher", letters, handler, event(name), at(0))
            .await
            .unwrap()
    }

    async fn count(&self, from: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS found FROM {from}");
        let work = async |tx: &Tx| tx.one::<Count>(&sql, values![]).await;
        self.store
            .transact::<_, StoreError, _>(work)
            .await
            .unwrap()
            .unwrap()
            .found
    }
}

fn at(later_ms: i64) -> UtcMillis {
    UtcMillis::new(NOW_MS + later_ms).unwrap()
}

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../events/issue-trip-voucher")
}

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(events().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What each event file leaves: vouchers, stored legs, dead letters.
const EXPECTED: [(&str, i64, i64, usize); 7] = [
    ("trip", 1, 1, 0),
    ("trip-from-kafka", 1, 1, 0),
    ("trip-delivered-twice", 1, 1, 0),
    ("round-trip", 1, 2, 0),
    ("first-leg-only", 0, 1, 0),
    ("unknown-order", 0, 1, 0),
    ("poison-among-good", 1, 1, 8),
];

#[tokio::test]
async fn each_event_file_leaves_what_it_says_before_or_after_the_purchase() {
    let none_failed = json!({"batchItemFailures": []});
    for (name, vouchers, legs, letters) in EXPECTED {
        for bought_first in [true, false] {
            for database in databases().await {
                let label = format!(
                    "{name} on {}, bought first: {bought_first}",
                    database.label()
                );
                let shop = Shop::open(database.url()).await;
                if bought_first {
                    shop.buy().await;
                }
                assert_eq!(shop.receive(name).await, none_failed, "{label}");
                if !bought_first {
                    shop.buy().await;
                }
                assert_eq!(shop.letters.sent.borrow().len(), letters, "{label}");
                assert_eq!(shop.receive(name).await, none_failed, "{label}");
                let issued = "vouchers WHERE kind = 'voucher_promotor'";
                assert_eq!(shop.count(issued).await, vouchers, "{label}");
                assert_eq!(shop.count("trip_legs").await, legs, "{label}");
            }
        }
    }
}

#[tokio::test]
async fn dead_letters_name_the_field() {
    let database = databases().await.swap_remove(0);
    let shop = Shop::open(database.url()).await;
    shop.receive("poison-among-good").await;
    let sent = shop.letters.sent.borrow();
    let why: Vec<(&str, Option<&str>)> = sent
        .iter()
        .map(|letter| (letter.motivo.as_str(), letter.campo.as_deref()))
        .collect();
    let expected = [
        ("json_invalido", None),
        ("campo_ausente", Some("concluido_em")),
        ("campo_invalido", Some("trecho")),
        ("campo_invalido", Some("trecho")),
        ("sem_valor", Some("valor")),
        ("campo_invalido", Some("valor")),
        ("campo_invalido", Some("id_pedido")),
        ("campo_invalido", Some("concluido_em")),
    ];
    assert_eq!(why, expected);
}

#[test]
fn every_event_file_is_tested() {
    let files = std::fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    let tested = EXPECTED.map(|(name, ..)| format!("{name}.json"));
    assert_eq!(files, BTreeSet::from(tested));
}
