//! The event files of this function, on every database that there is.
#![cfg(test)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::{mgm::attribution::SigningKey, time::UtcMillis};
use lambda_kit::{
    DeadLetters, SealKey,
    dead_letter::{DeadLetter, SendFailed},
    sqs::answer,
};
use reward_purchase::RewardPurchase;
use serde_json::{Value, json};
use sql_store::{FromQueryResult, Store, StoreError, Tx, values};
use testkit::databases;

/// 2026-11-20T15:00:00Z, an hour after the purchases of the event files.
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
    handler: RewardPurchase,
    store: Store,
    letters: Letters,
}

#[derive(FromQueryResult)]
struct Count {
    found: i64,
}

impl Shop {
    /// An empty shop with a campaign and the promoter whose link the event files use.
    async fn open(url: &str) -> Self {
        let store = Store::open(url).await.unwrap();
        sql_store::migrate::migrate(&store, at(0)).await.unwrap();
        let key = SigningKey::new([7; 32]).unwrap();
        let handler = RewardPurchase::new(store.clone(), key);
        let letters = Letters {
            key: SealKey::new(&[9; 32]).unwrap(),
            sent: RefCell::default(),
        };
        let shop = Self {
            handler,
            store,
            letters,
        };
        for sql in [
            "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
             reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
             spent_centavos, voucher_valid_days, attribution_window_days, pending_days, \
             coupon_on_arrival, stackable, accepts_existing_buyers, minimum_completed_orders, \
             shop_url, version, created_ms, updated_ms) VALUES ('C', 'Verão', 'ativa', 0, \
             9000000000000, 2000, 3000, 0, 100000, 0, 0, 30, 7, 0, 0, 0, 1, 0, \
             'https://loja.example/', 1, 0, 0)",
            "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, \
             accepted) VALUES ('C', 'promotor-1', '11111111111', 0, '2026-11', 0)",
        ] {
            let work = async |tx: &Tx| tx.execute(sql, values![]).await;
            shop.store.transact::<_, StoreError, _>(work).await.unwrap();
        }
        shop
    }

    /// Hands the handler an event file as Lambda would.
    async fn receive(&self, name: &str, later_ms: i64) -> Value {
        let (handler, letters) = (&self.handler, &self.letters);
        answer(
            "reward-purchase",
            letters,
            handler,
            event(name),
            at(later_ms),
        )
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../events/reward-purchase")
}

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(events().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What each event file leaves: referrals accepted, void, refusals by reason, dead letters.
const EXPECTED: [(&str, i64, i64, Option<&str>, usize); 11] = [
    ("purchase", 1, 0, None, 0),
    ("purchase-from-kafka", 1, 0, None, 0),
    ("purchase-delivered-twice", 1, 0, None, 0),
    ("purchase-then-cancellation", 0, 1, None, 0),
    ("cancellation-then-purchase", 0, 1, None, 0),
    ("purchase-then-delivery", 1, 0, None, 0),
    ("purchase-without-link", 0, 0, None, 0),
    ("refused-forged-ref", 0, 0, Some("ref_invalido"), 0),
    ("refused-own-link", 0, 0, Some("link_proprio"), 0),
    ("other-customer", 1, 0, None, 1),
    ("poison-among-good", 1, 0, None, 9),
];

#[tokio::test]
async fn each_event_file_leaves_what_it_says_however_often_it_comes() {
    let none_failed = json!({"batchItemFailures": []});
    for (name, living, void, refusal, letters) in EXPECTED {
        for database in databases().await {
            let shop = Shop::open(database.url()).await;
            for round in 1..=2 {
                let label = format!("{name} on {}, round {round}", database.label());
                assert_eq!(
                    shop.receive(name, i64::from(round)).await,
                    none_failed,
                    "{label}"
                );
                assert_eq!(
                    shop.count("referrals WHERE slot = 'active'").await,
                    living,
                    "{label}"
                );
                assert_eq!(
                    shop.count("referrals WHERE status = 'anulada'").await,
                    void,
                    "{label}"
                );
                let coupons = "vouchers WHERE kind = 'cupom_amigo' AND status = 'emitido'";
                assert_eq!(shop.count(coupons).await, living, "{label}");
                let refused = shop.count("refusals").await;
                assert_eq!(refused, i64::from(refusal.is_some()), "{label}");
                let sent = shop.letters.sent.borrow().len();
                let rounds = usize::try_from(round).unwrap();
                assert_eq!(
                    sent,
                    letters * rounds,
                    "{label}: a letter each time it comes"
                );
            }
            if let Some(reason) = refusal {
                let kept = format!("refusals WHERE reason = '{reason}'");
                assert_eq!(shop.count(&kept).await, 1, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_delivery_rewards_the_promoter_too() {
    for database in databases().await {
        let shop = Shop::open(database.url()).await;
        shop.receive("purchase-then-delivery", 0).await;
        assert_eq!(
            shop.count("vouchers WHERE kind = 'voucher_promotor'").await,
            1
        );
    }
}

#[tokio::test]
async fn dead_letters_name_the_field_and_hold_no_value() {
    let database = databases().await.swap_remove(0);
    let shop = Shop::open(database.url()).await;
    shop.receive("poison-among-good", 0).await;
    let sent = shop.letters.sent.borrow();
    let why: Vec<(&str, Option<&str>)> = sent
        .iter()
        .map(|letter| (letter.motivo.as_str(), letter.campo.as_deref()))
        .collect();
    let expected = [
        ("json_invalido", None),
        ("campo_invalido", Some("status")),
        ("campo_invalido", Some("total")),
        ("campo_invalido", Some("itens.quantidade")),
        ("sem_valor", Some("valor")),
        ("versao_desconhecida", Some("v")),
        ("campo_invalido", Some("id_pedido")),
        ("campo_invalido", Some("aprovado_em")),
        ("campo_invalido", Some("total")),
    ];
    assert_eq!(why, expected);
    let bodies = event("poison-among-good");
    for (letter, record) in sent.iter().zip(bodies["Records"].as_array().unwrap()) {
        let text = serde_json::to_string(letter).unwrap();
        assert!(!text.contains("pedido-") && !text.contains("talvez") && !text.contains("ontem"));
        let original = letter.open(&shop.letters.key).unwrap();
        assert_eq!(
            Some(std::str::from_utf8(&original).unwrap()),
            record["body"].as_str()
        );
    }
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
