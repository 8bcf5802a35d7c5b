//! A shop with campaigns, promoters and friends, and questions about what became of them.

use domain::{
    code::{ReferralCode, VoucherCode},
    identity::{CampaignId, CustomerId, OrderId},
    mgm::{
        attribution::Attribution,
        audit::{self, Head, StoredLink},
        campaign::Discount,
        referral::{Claim, Order},
        trip::{CompletedLeg, Leg},
        voucher::Kind,
    },
    money::Centavos,
    orders::OrderStatus,
    time::UtcMillis,
};
use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx, Value,
    idempotency::StoredAnswer,
    mgm::{
        purchases::{RecordOrderError, Recorded, record_order},
        trips::{Handled, TripMessage, complete_trips},
        vouchers::{
            Actor, NewVoucher, RedeemVoucherError, Reserve, Settle, VoucherKey, commit, issue,
            reserve,
        },
    },
    values,
};

/// 2026-11-20T15:00:00Z.
const NOW_MS: i64 = 1_795_186_800_000;
pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;
pub const CAMPAIGN: &str = "01CAMPAIGN";

pub fn at(later_ms: i64) -> UtcMillis {
    UtcMillis::new(NOW_MS + later_ms).unwrap()
}

pub fn reais(amount: i64) -> Centavos {
    Centavos::new(amount * 100).unwrap()
}

pub struct Scene {
    pub store: Store,
    messages: std::cell::Cell<u32>,
}

#[derive(FromQueryResult)]
struct Count {
    found: i64,
}

#[derive(FromQueryResult)]
struct Word {
    word: Option<String>,
}

#[derive(FromQueryResult)]
struct Link {
    entity: String,
    entity_id: String,
    version: i64,
    changed_ms: i64,
    event: String,
    details: String,
    previous_hash: String,
    hash: String,
    head_version: i64,
    head_hash: String,
}

impl Scene {
    /// A migrated store with a campaign: R$ 20 off for the friend, R$ 30 for the promoter, a budget
    /// of R$ 1,000, no limits, no window, no pending period. `changes` are assignments to its row.
    pub async fn open(url: &str, changes: &str) -> Self {
        Self::open_with(url, Options::default(), changes).await
    }

    pub async fn open_with(url: &str, options: Options, changes: &str) -> Self {
        let store = Store::open_with(url, options).await.unwrap();
        sql_store::migrate::migrate(&store, at(0)).await.unwrap();
        let scene = Self {
            store,
            messages: std::cell::Cell::new(0),
        };
        scene
            .execute(
                "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, discount_centavos, \
                 reward_centavos, minimum_purchase_centavos, budget_centavos, reserved_centavos, \
                 spent_centavos, voucher_valid_days, pending_days, coupon_on_arrival, stackable, \
                 accepts_existing_buyers, minimum_completed_orders, shop_url, version, created_ms, \
                 updated_ms) VALUES (?, 'Verão', 'ativa', 0, 9000000000000, 2000, 3000, 0, 100000, \
                 0, 0, 30, 0, 0, 0, 1, 0, 'https://loja.example/', 1, 0, 0)",
                values![CAMPAIGN],
            )
            .await;
        if !changes.is_empty() {
            scene
                .execute(&format!("UPDATE campaigns SET {changes}"), values![])
                .await;
        }
        scene
    }

    pub async fn execute(&self, sql: &str, all: Vec<Value>) {
        let work = async |tx: &Tx| tx.execute(sql, all.clone()).await.map(|_| ());
        self.store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    /// Makes a promoter; the code of the link follows from the number.
    pub async fn promoter(&self, number: u8) -> String {
        let id = format!("promoter-{number}");
        self.execute(
            "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, accepted) \
             VALUES (?, ?, ?, 0, '2026-11', 0)",
            values![CAMPAIGN, id.as_str(), code(number).as_str()],
        )
        .await;
        id
    }

    pub async fn customer(
        &self,
        id: &str,
        cpf: Option<&str>,
        phone: Option<&str>,
        email: Option<&str>,
    ) {
        self.execute(
            "INSERT INTO customers (customer_id, version, deleted, cpf, phone, email, \
             consented_ms, registered_ms, updated_ms) VALUES (?, 1, 0, ?, ?, ?, 1, 0, 0)",
            values![id, cpf, phone, email],
        )
        .await;
    }

    fn next_message(&self) -> String {
        self.messages.set(self.messages.get() + 1);
        format!("q/{}", self.messages.get())
    }

    pub async fn record(&self, news: &Order, now: UtcMillis) -> Recorded {
        self.try_record(&self.next_message(), news, now)
            .await
            .unwrap()
    }

    pub async fn try_record(
        &self,
        message: &str,
        news: &Order,
        now: UtcMillis,
    ) -> Result<Recorded, RecordOrderError> {
        record_order(&self.store, message, news, now).await
    }

    pub async fn complete(&self, order: &str, leg: Leg, now: UtcMillis) -> Handled {
        let sql = format!("SELECT customer_id AS word FROM purchases WHERE order_id = '{order}'");
        let friend = self.word(&sql).await.unwrap_or("friend".to_owned());
        let message = TripMessage {
            id: self.next_message(),
            leg: completed(order, &friend, leg),
        };
        let done = complete_trips(&self.store, &[message], now).await;
        assert!(done.results.iter().all(Result::is_ok), "{:?}", done.results);
        done
    }

    /// Reserves a coupon or voucher for an order of R$ 100.
    pub async fn hold(&self, code: &str, owner: &str, order: &str, now: UtcMillis) {
        self.try_hold(code, owner, order, now).await.unwrap();
    }

    pub async fn try_hold(
        &self,
        code: &str,
        owner: &str,
        order: &str,
        now: UtcMillis,
    ) -> Result<(), RedeemVoucherError> {
        let asked = Reserve {
            voucher: VoucherKey::Code(VoucherCode::parse(code).unwrap()),
            customer: CustomerId::parse(owner).unwrap(),
            order: OrderId::parse(order).unwrap(),
            total: reais(100),
        };
        reserve(&self.store, &asked, None, now, |_, _| answer())
            .await
            .map(|_| ())
    }

    /// Reserves and spends it.
    pub async fn spend(&self, code: &str, owner: &str, order: &str, now: UtcMillis) {
        self.hold(code, owner, order, now).await;
        let asked = Settle {
            voucher: VoucherKey::Code(VoucherCode::parse(code).unwrap()),
            actor: Actor::Customer(CustomerId::parse(owner).unwrap()),
            order: OrderId::parse(order).unwrap(),
        };
        commit(&self.store, &asked, None, now, |_, _| answer())
            .await
            .unwrap();
    }

    /// Gives a visitor of a promoter's link a coupon; answers its code.
    pub async fn arrival_coupon(&self, promoter: u8, now: UtcMillis) -> String {
        let new = NewVoucher {
            kind: Kind::FriendCoupon,
            campaign: CampaignId::parse(CAMPAIGN).unwrap(),
            referral: None,
            arrival: Some((code(promoter), "visitor".to_owned())),
            owner: None,
            worth: Discount::Amount(reais(20)),
            stackable: false,
            held: Centavos::ZERO,
            expires: now.plus_days(30),
        };
        let work = async |tx: &Tx| issue(tx, std::slice::from_ref(&new), now).await;
        let issued = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        issued[0].code.as_str().to_owned()
    }

    pub async fn count(&self, from: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS found FROM {from}");
        let work = async |tx: &Tx| tx.one::<Count>(&sql, values![]).await;
        self.store
            .transact::<_, StoreError, _>(work)
            .await
            .unwrap()
            .unwrap()
            .found
    }

    /// The sum of an expression over a table, in centavos.
    pub async fn sum(&self, expression: &str, from: &str) -> i64 {
        let sql =
            format!("SELECT CAST(COALESCE(SUM({expression}), 0) AS CHAR(20)) AS word FROM {from}");
        self.word(&sql).await.unwrap().parse().unwrap()
    }

    /// The first column, named `word`, of the first row.
    pub async fn word(&self, sql: &str) -> Option<String> {
        let work = async |tx: &Tx| tx.one::<Word>(sql, values![]).await;
        let row = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        row.and_then(|row| row.word)
    }

    pub async fn referral_of(&self, order: &str) -> Option<String> {
        self.word(&format!(
            "SELECT status AS word FROM referrals WHERE order_id = '{order}'"
        ))
        .await
    }

    pub async fn refusal_of(&self, order: &str) -> Option<String> {
        self.word(&format!(
            "SELECT reason AS word FROM refusals WHERE order_id = '{order}'"
        ))
        .await
    }

    /// What holds whatever happened: the budget is what the rows hold, limits are what lives, and
    /// every chain is whole and ends at its row.
    pub async fn assert_sound(&self) {
        let held = self.sum("reward_reserved_centavos", "referrals").await
            + self.sum("budget_reserved_centavos", "vouchers").await;
        assert_eq!(
            self.sum("reserved_centavos", "campaigns").await,
            held,
            "budget"
        );
        let living = self.count("referrals WHERE slot = 'active'").await;
        assert_eq!(
            living,
            self.count("referrals WHERE status <> 'anulada'").await
        );
        assert_eq!(self.sum("accepted", "promoters").await, living, "limits");
        assert_eq!(
            self.sum("accepted", "promoter_months").await,
            living,
            "monthly limits"
        );
        let rewarded = self.count("referrals WHERE rewarded_ms IS NOT NULL").await;
        assert_eq!(
            self.count("vouchers WHERE kind = 'voucher_promotor'").await,
            rewarded
        );
        self.assert_chained("indicacao", "referrals").await;
        self.assert_chained("voucher", "vouchers").await;
    }

    async fn assert_chained(&self, entity: &str, table: &str) {
        let sql = format!(
            "SELECT a.entity, a.entity_id, a.version, a.changed_ms, a.event, a.details, \
             a.previous_hash, a.hash, t.version AS head_version, t.audit_hash AS head_hash \
             FROM audit_log a JOIN {table} t ON t.id = a.entity_id \
             WHERE a.entity = ? ORDER BY a.entity_id, a.version"
        );
        let work = async |tx: &Tx| tx.all::<Link>(&sql, values![entity]).await;
        let links = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        let mut head = Head::none();
        for link in &links {
            if link.version == 1 {
                head = Head::none();
            }
            let stored = StoredLink {
                previous_hash: &link.previous_hash,
                entity: &link.entity,
                id: &link.entity_id,
                version: link.version,
                changed_ms: link.changed_ms,
                event: &link.event,
                details: &link.details,
            };
            head = audit::follow(&head, &stored, &link.hash).unwrap();
            if link.version == link.head_version {
                assert_eq!(link.hash, link.head_hash, "{entity} {}", link.entity_id);
            }
        }
        let ends = links
            .iter()
            .filter(|link| link.version == link.head_version)
            .count();
        assert_eq!(i64::try_from(ends), Ok(self.count(table).await), "{entity}");
    }
}

fn answer() -> Result<StoredAnswer, StoreError> {
    StoredAnswer::json(200, &())
}

pub fn code(number: u8) -> ReferralCode {
    ReferralCode::from_random([number; 11])
}

/// A paid purchase of R$ 100, made an hour ago through the link of a promoter.
pub fn purchase(order: &str, friend: &str, promoter: u8) -> Order {
    let clicked = at(-DAY_MS);
    Order {
        id: OrderId::parse(order).unwrap(),
        customer: CustomerId::parse(friend).unwrap(),
        status: OrderStatus::Paid,
        claim: Some(Claim::Signed(Attribution {
            code: code(promoter),
            clicked,
        })),
        total: Some(reais(100)),
        approved: Some(at(-HOUR_MS)),
        ends: None,
        items: Vec::new(),
    }
}

/// The same order with another status and nothing else that the shop need tell.
pub fn news(order: &Order, status: OrderStatus) -> Order {
    Order {
        status,
        claim: None,
        total: None,
        approved: None,
        ends: None,
        items: Vec::new(),
        ..order.clone()
    }
}

pub fn completed(order: &str, friend: &str, leg: Leg) -> CompletedLeg {
    CompletedLeg {
        order: OrderId::parse(order).unwrap(),
        customer: CustomerId::parse(friend).unwrap(),
        leg,
        completed: at(-HOUR_MS / 2),
    }
}

pub fn leg(number: i64, of: i64) -> Leg {
    Leg::new(number, of).unwrap()
}
