//! A shop with a campaign, a promoter and a coupon, asked by the events that API Gateway hands over.

use std::cell::Cell;
use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use create_referral_link::CreateReferralLink;
use domain::code::VoucherCode;
use domain::identity::{CampaignId, CustomerId, ReferralId};
use domain::mgm::attribution::SigningKey;
use domain::mgm::campaign::{Discount, Loopback, ShopUrl};
use domain::mgm::voucher::Kind;
use domain::money::Centavos;
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use manage_campaigns::ManageCampaigns;
use open_referral_link::OpenReferralLink;
use redeem_voucher::RedeemVoucher;
use serde_json::{Value, json};
use sql_store::mgm::vouchers::{NewVoucher, issue};
use sql_store::throttle::Rate;
use sql_store::{Backend, Store, StoreError, Tx, values};
use testkit::HttpCall;

/// Few enough clicks of one address to be tried out.
pub const CLICKS_OF_AN_ADDRESS: Rate = Rate {
    burst: 100,
    period_ms: 60_000,
};

/// In every wrong text: no answer, letter or table may show it.
pub const SECRET: &str = "SEGREDO";
/// What only the inside knows.
const INTERNAL: [&str; 8] = [
    "sqlx", "SQLite", "SELECT", "serde", "at line", ".rs:", "panicked", "mysql",
];
/// How often somebody asked is noted whatever he asked.
const NOT_OF_INTEREST: [&str; 1] = ["throttles"];

/// Fits the table of throttles: a minute goes by between two requests.
const STEP_MS: i64 = 61_000;

/// 2026-11-20T12:00:00Z.
pub const BEGIN_MS: i64 = 1_795_176_000_000;

/// A request in the making.
#[derive(Clone)]
pub struct Call {
    pub route: String,
    pub event: Value,
}

impl Call {
    pub fn of(route: &str) -> Self {
        Self::from(route, HttpCall::of(route))
    }

    /// As an operator.
    pub fn admin(route: &str) -> Self {
        Self::from(
            route,
            HttpCall::of(route).token_of("operador-1", "mgm:admin"),
        )
    }

    /// As the customer `ana`.
    pub fn customer(route: &str) -> Self {
        Self::from(route, HttpCall::of(route).token_of("ana", "customer"))
    }

    /// As the shop's own servers.
    pub fn service(route: &str) -> Self {
        Self::from(
            route,
            HttpCall::of(route).token_of("loja", "vouchers:service"),
        )
    }

    /// As an agent of telesales.
    pub fn agent(route: &str) -> Self {
        Self::from(
            route,
            HttpCall::of(route).token_of("agente-7", "televendas"),
        )
    }

    fn from(route: &str, call: HttpCall) -> Self {
        Self {
            route: route.to_owned(),
            event: call.event(),
        }
    }

    pub fn subject(mut self, subject: &str) -> Self {
        self.event["requestContext"]["authorizer"]["lambda"]["sub"] = json!(subject);
        self
    }

    pub fn path(mut self, name: &str, value: &str) -> Self {
        self.event["pathParameters"][name] = json!(value);
        self
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.event["queryStringParameters"][name] = json!(value);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.event["headers"][name] = json!(value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub fn text(mut self, body: &str) -> Self {
        self.event["body"] = json!(body);
        self
    }

    pub fn bytes(mut self, body: &[u8]) -> Self {
        self.event["body"] = json!(STANDARD.encode(body));
        self.event["isBase64Encoded"] = json!(true);
        self
    }
}

/// What came back.
pub struct Answer {
    pub status: i64,
    pub body: String,
    pub headers: Value,
    pub cookies: Vec<String>,
}

impl Answer {
    /// What a function handed to API Gateway.
    pub fn of(answer: &Value) -> Self {
        let cookies = answer["cookies"].as_array().cloned().unwrap_or_default();
        Self {
            status: answer["statusCode"].as_i64().unwrap(),
            body: answer["body"].as_str().unwrap_or_default().to_owned(),
            headers: answer["headers"].clone(),
            cookies: cookies
                .iter()
                .map(|c| c.as_str().unwrap().to_owned())
                .collect(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    /// The fields that the problem names.
    pub fn named(&self) -> Vec<String> {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let field = |error: &Value| error["field"].as_str().expect("a field").to_owned();
        errors.iter().map(field).collect()
    }

    /// A 4xx problem of RFC 9457 that shows neither a value nor the inside.
    pub fn assert_problem(&self, status: i64, what: &str) {
        let wrong = self.complaints(status);
        assert!(
            wrong.is_empty(),
            "{what}: {wrong:?} in {}: {}",
            self.status,
            self.body
        );
    }

    /// What keeps this answer from being such a problem.
    pub fn complaints(&self, status: i64) -> Vec<&'static str> {
        let body = &self.body;
        let problem: Value = serde_json::from_str(body).unwrap_or_default();
        let kind = problem["type"].as_str().unwrap_or_default();
        let of_the_inside = INTERNAL.iter().any(|word| body.contains(word));
        let is_problem = self.header("content-type") == "application/problem+json";
        [
            (self.status == status, "its status"),
            (problem["status"] == status, "the status in its body"),
            (is_problem, "its content type"),
            (kind.starts_with("urn:feira:problem:"), "its type"),
            (!body.contains(SECRET), "a value is shown"),
            (!of_the_inside, "the inside is shown"),
        ]
        .into_iter()
        .filter_map(|(right, what)| (!right).then_some(what))
        .collect()
    }
}

pub struct Shop {
    pub store: Store,
    pub campaign: String,
    pub voucher: String,
    campaigns: ManageCampaigns,
    links: CreateReferralLink,
    opener: OpenReferralLink,
    vouchers: RedeemVoucher,
    clock: Cell<i64>,
}

impl Shop {
    /// A campaign of the operator, a customer `ana` who may be a promoter, and her coupon.
    pub async fn open(url: &str) -> Self {
        let store = Store::open(url).await.expect("opens");
        let begin = UtcMillis::new(BEGIN_MS).unwrap();
        sql_store::migrate::migrate(&store, begin).await.unwrap();
        let key = || SigningKey::new([7; 32]).unwrap();
        let mut shop = Self {
            campaigns: ManageCampaigns::new(store.clone(), Loopback::Refused),
            links: CreateReferralLink::new(store.clone(), None),
            opener: OpenReferralLink {
                address_rate: CLICKS_OF_AN_ADDRESS,
                store: store.clone(),
                signing_key: key(),
                pseudonym_key: key(),
                default_shop: ShopUrl::parse("https://loja.example/", Loopback::Refused).unwrap(),
            },
            vouchers: RedeemVoucher::new(store.clone()),
            store,
            campaign: String::new(),
            voucher: String::new(),
            clock: Cell::new(BEGIN_MS),
        };
        for id in ["ana", "bia", "caio"] {
            shop.register(id).await;
        }
        let opened = Call::admin("POST /mgm/campaigns").header("idempotency-key", "primeira");
        let opened = shop.send(&opened.json(&campaign())).await;
        assert_eq!(opened.status, 201, "{}", opened.body);
        shop.campaign = opened.json()["id_campanha"].as_str().unwrap().to_owned();
        shop.voucher = shop.issue("ana").await;
        shop
    }

    pub async fn register(&self, id: &str) {
        let sql = "INSERT INTO customers (customer_id, version, deleted, name, email, phone, \
             consented_ms, registered_ms, updated_ms) VALUES (?, 1, 0, ?, ?, NULL, 1, 0, 0)";
        let (name, email) = (format!("Nome de {id}"), format!("{id}@example.com"));
        self.execute(sql, values![id, name.as_str(), email.as_str()])
            .await;
    }

    /// A coupon of the customer; its code.
    pub async fn issue(&self, owner: &str) -> String {
        let coupon = NewVoucher {
            kind: Kind::FriendCoupon,
            campaign: CampaignId::parse(self.campaign.as_str()).unwrap(),
            referral: Some(ReferralId::parse(format!("R-{owner}")).unwrap()),
            arrival: None,
            owner: Some(CustomerId::parse(owner).unwrap()),
            worth: Discount::Amount(Centavos::new(3_000).unwrap()),
            stackable: false,
            held: Centavos::ZERO,
            expires: self.now().plus_days(300),
        };
        let work = async |tx: &Tx| issue(tx, std::slice::from_ref(&coupon), self.now()).await;
        let issued = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        let code: &VoucherCode = &issued[0].code;
        code.as_str().to_owned()
    }

    pub async fn execute(&self, sql: &str, values: Vec<sql_store::Value>) {
        let work = async |tx: &Tx| tx.execute(sql, values.clone()).await.map(|_| ());
        self.store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    pub fn now(&self) -> UtcMillis {
        UtcMillis::new(self.clock.get()).unwrap()
    }

    /// Asks a minute after the last request.
    pub async fn send(&self, call: &Call) -> Answer {
        self.clock.set(self.clock.get() + STEP_MS);
        self.send_at_once(call).await
    }

    /// Asks at the same moment as the last request.
    pub async fn send_at_once(&self, call: &Call) -> Answer {
        let invocation = Invocation::at(self.now());
        let event = call.event.clone();
        let (_, path) = call.route.split_once(' ').unwrap();
        let answer = match path.split('/').nth(1) {
            Some("mgm") if path.starts_with("/mgm/links") => {
                http::answer(&self.links, event, &invocation).await
            }
            Some("mgm") => http::answer(&self.campaigns, event, &invocation).await,
            Some("r") => http::answer(&self.opener, event, &invocation).await,
            Some("vouchers") => http::answer(&self.vouchers, event, &invocation).await,
            _ => panic!("no function for {path}"),
        };
        Answer::of(&answer)
    }

    /// Every row of every table.
    pub async fn tables(&self) -> BTreeMap<String, Vec<String>> {
        dump(&self.store).await
    }
}

/// Every row of every table but the throttles.
pub async fn dump(store: &Store) -> BTreeMap<String, Vec<String>> {
    let names = match store.backend() {
        Backend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        Backend::MySql => {
            "SELECT CAST(table_name AS CHAR) AS name FROM information_schema.tables \
             WHERE table_schema = DATABASE()"
        }
    };
    let work = async |tx: &Tx| {
        let mut dump = BTreeMap::new();
        for row in tx.all::<Value>(names, values![]).await? {
            let name = row["name"].as_str().unwrap().to_owned();
            if NOT_OF_INTEREST.contains(&name.as_str()) {
                continue;
            }
            let sql = format!("SELECT * FROM {name}");
            let rows = tx.all::<Value>(&sql, values![]).await?;
            let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
            rows.sort();
            dump.insert(name, rows);
        }
        Ok(dump)
    };
    store.transact::<_, StoreError, _>(work).await.unwrap()
}

/// A campaign that is right in every field.
pub fn campaign() -> Value {
    json!({
        "nome": "Verão", "inicio": "2026-01-01T00:00:00Z", "fim": "2036-01-01T00:00:00Z",
        "desconto": {"tipo": "percentual", "percentual": "10.00", "teto": "50.00"},
        "recompensa": "30.00", "compra_minima": "1.00", "limite_mensal_promotor": 5,
        "limite_total_promotor": 50, "limite_por_hora": 10, "orcamento": "100000.00",
        "validade_voucher_dias": 30, "janela_atribuicao_dias": 30, "carencia_dias": 0,
        "cupom_em": "compra", "cumulativo": false, "aceita_comprador_existente": true,
        "minimo_pedidos_concluidos": 0, "endereco_loja": "https://loja.example/promo",
        "status": "ativa",
    })
}
