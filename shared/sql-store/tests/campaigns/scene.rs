//! A migrated store on each database that there is, and what tests put into it.

use domain::customers::{News, Place, Profile};
use domain::identity::{CampaignId, CustomerId};
use domain::mgm::campaign::{Amendment, Campaign, Discount, Loopback, Proposal, ShopUrl};
use domain::money::Centavos;
use domain::time::UtcMillis;
use sql_store::idempotency::{RequestKey, StoredAnswer};
use sql_store::mgm::campaigns::open_campaign;
use sql_store::{FromQueryResult, Options, Store, StoreError, Tx, values};
use testkit::{TestDatabase, databases};

/// Most tests happen at this time.
pub const NOW: &str = "2026-11-20T12:00:00Z";

pub struct Scene {
    pub store: Store,
    database: TestDatabase,
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

pub fn time(text: &str) -> UtcMillis {
    UtcMillis::parse(text).unwrap()
}

pub fn centavos(count: i64) -> Option<Centavos> {
    Centavos::new(count).ok()
}

pub fn customer(id: &str) -> CustomerId {
    CustomerId::parse(id).unwrap()
}

/// An answer that is the campaign's id.
pub fn answer_with_id(campaign: &Campaign) -> Result<StoredAnswer, StoreError> {
    let body = campaign.id().to_string();
    Ok(StoredAnswer { status: 201, body })
}

/// Terms that nobody would refuse.
pub fn proposal() -> Proposal {
    Proposal {
        name: Some("Verão".to_owned()),
        starts: Some(time("2026-11-01T00:00:00Z")),
        ends: Some(time("2026-12-01T00:00:00Z")),
        discount: centavos(1_000).map(Discount::Amount),
        reward: centavos(3_000),
        budget: centavos(100_000),
        voucher_valid_days: Some(90),
        shop_url: ShopUrl::parse("https://loja.example.com/", Loopback::Refused).ok(),
        ..Proposal::default()
    }
}

impl Scene {
    pub async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let options = Options {
                connections: 4,
                ..Options::default()
            };
            let store = Store::open_with(database.url(), options).await.unwrap();
            sql_store::migrate::migrate(&store, time("2026-11-20T00:00:00Z"))
                .await
                .unwrap();
            scenes.push(Self { store, database });
        }
        scenes
    }

    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// Takes away whatever tests put into it.
    pub async fn empty(&self) {
        for table in [
            "campaigns",
            "idempotency_keys",
            "promoters",
            "clicks",
            "link_visits",
            "vouchers",
            "audit_log",
            "outbox",
            "customers",
            "job_runs",
        ] {
            self.write(&format!("DELETE FROM {table}"), values![]).await;
        }
    }

    pub fn label(&self) -> &'static str {
        self.database.label()
    }

    pub async fn campaign(&self, asked: Proposal) -> CampaignId {
        self.campaign_at(asked, time("2026-11-20T00:00:00Z")).await
    }

    pub async fn campaign_at(&self, asked: Proposal, now: UtcMillis) -> CampaignId {
        let drawn = self
            .store
            .transact(async |tx: &Tx| tx.new_id(now))
            .await
            .unwrap();
        let key = RequestKey::new("op", "POST /mgm/campaigns", &drawn, b"");
        let asked = Amendment {
            proposal: asked,
            status: None,
        };
        let answer = open_campaign(&self.store, &key, &asked, now, answer_with_id).await;
        CampaignId::parse(answer.unwrap().body).unwrap()
    }

    pub async fn customers(&self, consents: &[(&str, bool)]) {
        self.customers_at(1, consents, time("2026-11-20T09:00:00Z"))
            .await;
    }

    pub async fn customers_at(&self, version: i64, consents: &[(&str, bool)], now: UtcMillis) {
        let news = consents
            .iter()
            .enumerate()
            .map(|(offset, (id, consent))| News {
                customer: customer(id),
                version: Some(version),
                place: Place {
                    partition: 0,
                    offset: offset as i64,
                    recorded: now,
                },
                profile: Some(Profile {
                    referral_consent: *consent,
                    ..Profile::default()
                }),
            });
        let news: Vec<News> = news.collect();
        sql_store::customers::sync(&self.store, &news, now)
            .await
            .unwrap();
    }

    pub async fn many_customers(&self, count: usize) {
        let ids: Vec<String> = (0..count).map(|number| format!("c{number:05}")).collect();
        let consents: Vec<(&str, bool)> = ids.iter().map(|id| (id.as_str(), true)).collect();
        self.customers(&consents).await;
    }

    pub async fn write(&self, sql: &str, all: Vec<sql_store::Value>) {
        self.store
            .transact(async |tx: &Tx| tx.execute(sql, all.clone()).await)
            .await
            .unwrap();
    }

    pub async fn commit_budget(&self, campaign: &CampaignId, reserved: i64, spent: i64) {
        let sql = "UPDATE campaigns SET reserved_centavos = ?, spent_centavos = ? WHERE id = ?";
        self.write(sql, values![reserved, spent, campaign.as_str()])
            .await;
    }

    pub async fn coupon_of(&self, campaign: &CampaignId) {
        let sql = "INSERT INTO vouchers (id, code, kind, campaign_id, status, stackable, \
            budget_reserved_centavos, issued_ms, expires_ms, used_after_void, version, audit_hash) \
            VALUES ('V1', 'CODE', 'cupom_amigo', ?, 'emitido', 0, 0, 0, 1, 0, 1, '')";
        self.write(sql, values![campaign.as_str()]).await;
    }

    pub async fn refusal(&self, campaign: &CampaignId, order: &str, reason: &str) {
        let sql = "INSERT INTO refusals (order_id, campaign_id, promoter_id, friend_id, link_code, \
            cohort, reason, refused_ms) VALUES (?, ?, 'p', 'f', 'L', '2026-11', ?, 0)";
        self.write(sql, values![order, campaign.as_str(), reason])
            .await;
    }

    pub async fn purchase(
        &self,
        order: &str,
        who: &str,
        status: &str,
        completed: Option<UtcMillis>,
    ) {
        let sql = "INSERT INTO purchases (order_id, customer_id, status, total_centavos, \
            completed_ms, updated_ms) VALUES (?, ?, ?, 100, ?, 0)";
        self.write(
            sql,
            values![order, who, status, completed.map(UtcMillis::get)],
        )
        .await;
    }

    pub async fn promoters(&self, campaign: &CampaignId) -> i64 {
        let sql = "SELECT COUNT(*) AS count FROM promoters WHERE campaign_id = ?";
        let row: Option<Count> = self
            .store
            .transact(async |tx: &Tx| tx.one(sql, values![campaign.as_str()]).await)
            .await
            .unwrap();
        row.unwrap().count
    }
}
