//! The shop: one database, one file of queues, and processes that come and go.

use std::{cell::Cell, collections::BTreeSet, path::Path, sync::Arc};

use anchor_audit::AnchorAudit;
use create_promoter_vouchers::{Confirmation, CreatePromoterVouchers};
use create_referral_link::CreateReferralLink;
use documents::Documents;
use domain::{
    code::ReferralCode,
    mgm::{attribution::SigningKey, campaign::ShopUrl, shop_url::Loopback},
    time::UtcMillis,
};
use issue_trip_voucher::IssueTripVoucher;
use lambda_kit::{
    DeadLetters, Invocation, InvocationFailed, SealKey, dead_letter::SendFailed,
    direct::Handler as _, http, kafka, schedule, sqs,
};
use open_referral_link::OpenReferralLink;
use publish_outbox::{EventRoutes, PublishOutbox};
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Queues, embedded_queue_url};
use redeem_voucher::RedeemVoucher;
use reward_purchase::RewardPurchase;
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand, ShopSettings};
use serde_json::{Value, json};
use set_promoters::SetPromoters;
use sql_store::mgm::audit;
use sql_store::{Options, Store, StoreError, Tx, Value as SqlValue, values};
use sync_customers::SyncCustomers;

use super::{
    company::Company,
    cutter::Cutter,
    messages::{Message, sqs_event},
};

/// The campaign whose coupon comes with the purchase.
pub const CAMPAIGN: &str = "01CAMPANHACOMPRA0000000000";
/// The campaign whose coupon comes on arrival by the link.
pub const ARRIVAL: &str = "01CAMPANHACHEGADA000000000";
/// Where sealed dead letters go.
const DEAD_LETTERS: &str = "Mortas";
/// Where what can't be handled of `pedidos` lies for an operator, and where it is replayed to.
const ORDER_LETTERS: &str = "PedidosMortas.fifo";
const ORDERS: &str = "Pedidos.fifo";
/// The same of `clientes`, whose records an operator takes over.
const CUSTOMER_LETTERS: &str = "ClientesMortas.fifo";
/// Where domain events go.
const EVENTS: &str = "Eventos";
/// Tries of a batch before the test gives up.
const MOST_TRIES: usize = 20;

thread_local! {
    static NOW_MS: Cell<i64> = const { Cell::new(1_795_186_800_000) };
}

/// The time in the shop: each test has a thread, and so a clock, of its own.
///
/// # Panics
/// When it was set before 1970.
#[must_use]
pub fn now() -> UtcMillis {
    UtcMillis::new(NOW_MS.get()).unwrap()
}

/// Sets the shop's clock to so many milliseconds after 2026-11-20T15:00:00Z.
pub fn set_clock(later_ms: i64) {
    NOW_MS.set(1_795_186_800_000 + later_ms);
}

/// What AWS hands a function.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// `clientes`, to sync-customers.
    Customers(Value),
    /// `pedidos`, to reward-purchase.
    Orders(Vec<Message>),
    /// `viagens`, to issue-trip-voucher.
    Trips(Vec<Message>),
    /// A request to create-referral-link.
    Link(Value),
    /// A click, to open-referral-link.
    Click(Value),
    /// A request to redeem-voucher.
    Redeem(Value),
    /// The schedule of set-promoters.
    SetPromoters(Value),
    /// The schedule of create-promoter-vouchers.
    Sweep(Value),
    /// The same where the company's system tells which trips are completed.
    AskingSweep(Value),
    /// An invocation of publish-outbox: by its schedule, which sweeps what a lost invocation after a
    /// commit would have sent. So that invocation needs no points of its own.
    Publish,
    /// The schedule of anchor-audit.
    Anchor(Value),
    /// An operator has run-command replay the dead letters of this name.
    Replay(&'static str),
}

/// A process with its connection and its queues; gone when it is dropped.
pub struct Process {
    store: Store,
    queues: EmbeddedQueues,
    seal_key: SealKey,
    cutter: Arc<Cutter>,
}

/// The key that signs `ref`.
///
/// # Panics
/// Never: the key is long enough.
#[must_use]
pub fn signing_key() -> SigningKey {
    SigningKey::new([7_u8; 32]).unwrap()
}

impl Process {
    /// A new process of the shop at `url`.
    ///
    /// # Panics
    /// When the database can't be opened.
    pub async fn start(url: &str, queues: &EmbeddedQueues, cutter: &Arc<Cutter>) -> Self {
        let options = Options {
            observer: Some(cutter.clone()),
            ..Options::default()
        };
        Self {
            store: Store::open_with(url, options).await.unwrap(),
            queues: queues.watched_by(cutter.clone()),
            seal_key: shop_seal_key(),
            cutter: cutter.clone(),
        }
    }

    /// Hands over one event and, as a queue does, what failed of it again.
    ///
    /// # Errors
    /// When the function failed, or a batch fails for ever.
    pub async fn take(&self, delivery: &Delivery) -> Result<Value, InvocationFailed> {
        let store = self.store.clone();
        let invocation = Invocation::at(now());
        match delivery {
            Delivery::Orders(batch) => {
                let handler = RewardPurchase::new(store, signing_key());
                self.drain("reward-purchase", &handler, batch).await
            }
            Delivery::Trips(batch) => {
                let handler = IssueTripVoucher::new(store);
                self.drain("issue-trip-voucher", &handler, batch).await
            }
            Delivery::Customers(event) => {
                let handler = SyncCustomers::new(Documents::in_sql(store));
                kafka::answer("sync-customers", self, &handler, event, now()).await
            }
            Delivery::Link(event) => {
                let handler = CreateReferralLink::new(store, None);
                Ok(http::answer(&handler, event.clone(), &invocation).await)
            }
            Delivery::Click(event) => {
                let handler = OpenReferralLink {
                    address_rate: open_referral_link::ADDRESS_RATE,
                    store,
                    signing_key: signing_key(),
                    pseudonym_key: signing_key(),
                    default_shop: ShopUrl::parse("https://loja.example/", Loopback::Refused)
                        .unwrap(),
                };
                Ok(http::answer(&handler, event.clone(), &invocation).await)
            }
            Delivery::Redeem(event) => {
                let handler = RedeemVoucher::new(store);
                Ok(http::answer(&handler, event.clone(), &invocation).await)
            }
            Delivery::SetPromoters(payload) => {
                let handler = SetPromoters::new(store, now);
                run_job(&handler, payload).await
            }
            Delivery::Sweep(payload) => {
                let handler = CreatePromoterVouchers::new(store, Confirmation::Trusted, now);
                run_job(&handler, payload).await
            }
            Delivery::AskingSweep(payload) => {
                let company = Company::open(self.cutter.clone()).await;
                let confirmation = Confirmation::Asked(company.client());
                let handler = CreatePromoterVouchers::new(store, confirmation, now);
                run_job(&handler, payload).await
            }
            Delivery::Publish => self.publish().await,
            Delivery::Anchor(payload) => {
                let handler = AnchorAudit::new(store, now);
                run_job(&handler, payload).await
            }
            Delivery::Replay(letters) => self.replay(letters).await,
        }
    }

    async fn drain<H: sqs::Handler>(
        &self,
        function: &str,
        handler: &H,
        batch: &[Message],
    ) -> Result<Value, InvocationFailed> {
        let mut left = batch.to_vec();
        for _ in 0..MOST_TRIES {
            let event = sqs_event(&left);
            let answer = sqs::answer(function, self, handler, event, now()).await?;
            let failed = answer["batchItemFailures"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            left.retain(|message| {
                failed
                    .iter()
                    .any(|one| one["itemIdentifier"] == json!(message.id))
            });
            if left.is_empty() {
                return Ok(answer);
            }
        }
        Err(InvocationFailed::new("a batch fails for ever"))
    }

    async fn publish(&self) -> Result<Value, InvocationFailed> {
        let routes = contracts::mgm::events::EventType::ALL.map(|event| {
            (
                event.as_str().to_owned(),
                json!([embedded_queue_url(EVENTS)]),
            )
        });
        let routes = Value::Object(routes.into_iter().collect()).to_string();
        let routes = EventRoutes::parse(&routes)
            .map_err(|error| InvocationFailed::new(error.to_string()))?;
        let queues = Queues::Embedded(self.queues.clone());
        let publisher = PublishOutbox::new(self.store.clone(), queues, routes, now);
        // A dead publisher's leases end before the next one comes.
        let holder = NOW_MS.get().to_string();
        let deadline = now().plus_millis(60_000);
        let published = publisher.publish(&holder, deadline).await;
        let published = published.map_err(|error| InvocationFailed::new(error.to_string()))?;
        Ok(json!({"enviados": published.enviados, "adiados": published.adiados}))
    }

    async fn replay(&self, letters: &str) -> Result<Value, InvocationFailed> {
        let routes = json!({
            "PedidosDeadLetters": [embedded_queue_url(ORDER_LETTERS), embedded_queue_url(ORDERS)],
            "ClientesDeadLetters": [embedded_queue_url(CUSTOMER_LETTERS), "clientes"],
        });
        let failed = |sentence: &str| InvocationFailed::new(sentence);
        let handler = RunCommand {
            settings: ShopSettings::default(),
            telesales: None,
            store: self.store.clone(),
            documents: Documents::in_sql(self.store.clone()),
            queues: Queues::Embedded(self.queues.clone()),
            seal_key: shop_seal_key(),
            dead_letter_routes: DeadLetterRoutes::parse([routes.to_string().as_str()])
                .map_err(failed)?,
            invoker: None,
            batches: None,
            job_functions: JobFunctions::parse(["{}"]).map_err(failed)?,
            clock: now,
        };
        let payload = json!({"comando": "reenviar", "fila": letters});
        handler.handle(payload, &with_time_left()).await
    }

    /// Lays a dead letter where an operator finds it; under the same name only once.
    ///
    /// # Panics
    /// When the queue does not take it.
    pub async fn bury(&self, letters: &str, name: &str, body: String) {
        let url = embedded_queue_url(match letters {
            "ClientesDeadLetters" => CUSTOMER_LETTERS,
            _ => ORDER_LETTERS,
        });
        let letter = OutgoingMessage::fifo(body, name, name);
        let sent = self.queues.send(&url, &[letter], now().get()).await;
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }

    /// Whether every chain and anchor of the audit holds.
    ///
    /// # Panics
    /// When the database can't be read.
    pub async fn audit_is_whole(&self) -> bool {
        audit::verify(&self.store).await.unwrap().broken.is_none()
    }

    /// What an operator replayed to the queue of `pedidos`.
    ///
    /// # Panics
    /// When the queue can't be read.
    pub async fn replayed(&self) -> Vec<String> {
        let peeked = self.queues.peek(&embedded_queue_url(ORDERS), 100_000).await;
        let messages = peeked.unwrap().into_iter();
        messages.map(|message| message.body).collect()
    }

    /// Commits one statement: what the shop's own set-up needs.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn execute(&self, sql: &str, all: Vec<SqlValue>) {
        let work = async |tx: &Tx| tx.execute(sql, all.clone()).await.map(|_| ());
        self.store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    /// The rows of a query, as JSON.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let work = async |tx: &Tx| tx.all::<Value>(sql, values![]).await;
        let mut rows = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        // MySQL's driver opens texts that are JSON; ours are texts.
        for value in rows
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .flat_map(|row| row.values_mut())
        {
            if value.is_object() || value.is_array() {
                *value = value.to_string().into();
            }
        }
        rows
    }

    /// The first column, named `found`, of the first row.
    pub async fn found(&self, sql: &str) -> Option<Value> {
        self.rows(sql)
            .await
            .into_iter()
            .next()
            .map(|mut row| row["found"].take())
    }

    /// The code of a promoter's link.
    ///
    /// # Panics
    /// When the customer is no promoter.
    pub async fn link_of(&self, campaign: &str, customer: &str) -> ReferralCode {
        let sql = format!(
            "SELECT link_code AS found FROM promoters \
             WHERE campaign_id = '{campaign}' AND customer_id = '{customer}'"
        );
        let code = self.found(&sql).await;
        let code = code.unwrap_or_else(|| panic!("{customer} is no promoter of {campaign}"));
        ReferralCode::parse(code.as_str().unwrap()).unwrap()
    }

    /// The bodies of the events that have arrived.
    ///
    /// # Panics
    /// When the queue can't be read.
    pub async fn arrived(&self) -> Vec<Value> {
        let peeked = self.queues.peek(&embedded_queue_url(EVENTS), 100_000).await;
        let bodies = peeked.unwrap().into_iter();
        bodies
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect()
    }

    /// The messages that have dead letters.
    ///
    /// # Panics
    /// When the queue can't be read.
    pub async fn dead_letters(&self) -> BTreeSet<String> {
        let mut letters = Vec::new();
        for queue in [DEAD_LETTERS, ORDER_LETTERS, CUSTOMER_LETTERS] {
            let peeked = self.queues.peek(&embedded_queue_url(queue), 100_000).await;
            letters.extend(peeked.unwrap());
        }
        letters
            .into_iter()
            .map(|message| {
                let letter: Value = serde_json::from_str(&message.body).unwrap();
                format!("{} {}", letter["id_mensagem"], letter["motivo"])
            })
            .collect()
    }
}

/// An invocation with ten minutes to go.
fn with_time_left() -> Invocation {
    Invocation {
        deadline: now().plus_millis(600_000),
        ..Invocation::at(now())
    }
}

/// What seals and opens dead letters.
///
/// # Panics
/// Never: the key is long enough.
#[must_use]
pub fn shop_seal_key() -> SealKey {
    SealKey::new(&[3; 32]).unwrap()
}

async fn run_job<H: schedule::Handler>(
    handler: &H,
    payload: &Value,
) -> Result<Value, InvocationFailed> {
    let run = schedule::read(payload)?;
    let report = handler.handle(run, &with_time_left()).await?;
    serde_json::to_value(report).map_err(|_| InvocationFailed::new("report"))
}

impl DeadLetters for Process {
    fn seal_key(&self) -> &SealKey {
        &self.seal_key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let queues = Queues::Embedded(self.queues.clone());
        let url = embedded_queue_url(DEAD_LETTERS);
        let answers = queues
            .send(&url, &[OutgoingMessage::new(body)], now().get())
            .await;
        match answers.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            _ => Err(SendFailed),
        }
    }
}

/// Opens the shop's queues at `folder`.
///
/// # Panics
/// When the file can't be made.
pub async fn open_queues(folder: &Path) -> EmbeddedQueues {
    let queues = EmbeddedQueues::open(&folder.join("filas.sqlite"))
        .await
        .unwrap();
    let names = [
        DEAD_LETTERS,
        EVENTS,
        ORDER_LETTERS,
        ORDERS,
        CUSTOMER_LETTERS,
    ];
    let all = names.map(QueueDefinition::new);
    queues.define(&all).await.unwrap();
    queues
}

/// Migrates an empty database and opens two campaigns: R$ 20 off for the friend and R$ 30 for the
/// promoter, no window and no pending period; the second gives its coupon on arrival.
///
/// # Panics
/// When the database refuses it.
pub async fn found_shop(url: &str) {
    let store = Store::open(url).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    for (id, on_arrival) in [(CAMPAIGN, 0), (ARRIVAL, 1)] {
        let sql = "INSERT INTO campaigns (id, name, status, starts_ms, ends_ms, \
            discount_centavos, reward_centavos, minimum_purchase_centavos, budget_centavos, \
            reserved_centavos, spent_centavos, voucher_valid_days, pending_days, \
            coupon_on_arrival, stackable, accepts_existing_buyers, minimum_completed_orders, \
            shop_url, version, created_ms, updated_ms) VALUES (?, 'Verão', 'ativa', 0, \
            9000000000000, 2000, 3000, 0, 1000000, 0, 0, 30, 0, ?, 0, 1, 0, \
            'https://loja.example/', 1, 0, 0)";
        let work = async |tx: &Tx| tx.execute(sql, values![id, on_arrival]).await;
        store.transact::<_, StoreError, _>(work).await.unwrap();
    }
}
