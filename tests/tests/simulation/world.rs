//! The shop of one seed: its queues, its processes and their deaths.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bundle_tests::faults::{
    cutter::{Cut, Cutter},
    messages::{Message, customer, http_event, kafka_event, reference},
    shop::{
        ARRIVAL, CAMPAIGN, Delivery, Process, found_shop, now, open_queues, set_clock, signing_key,
    },
    state::assert_sound,
    world::quick_folder,
};
use domain::code::ReferralCode;
use queues::EmbeddedQueues;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Random;

use crate::{
    model::{Model, Use},
    plan::{Act, FRIENDS, Fact, Order, PROMOTERS, Plan, friend, owner, promoter},
};

const DATABASE: &str = "banco1.sqlite";
const QUEUES: &str = "filas.sqlite";
const MINUTE_MS: i64 = 60_000;
/// A dead job's lease ends after a quarter of an hour.
const AFTER_LEASES_MS: i64 = 16 * MINUTE_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Most points of one event; a cut beyond its last one is none.
const MOST_POINTS: usize = 70;

/// A shop with customers and promoters, copied for each seed.
pub struct Template {
    folder: TempDir,
    links: BTreeMap<(usize, bool), ReferralCode>,
}

impl Template {
    pub async fn make() -> Self {
        set_clock(0);
        let folder = quick_folder();
        let url = format!("sqlite://{}", folder.path().join(DATABASE).display());
        let queues = open_queues(folder.path()).await;
        found_shop(&url).await;
        let process = Process::start(&url, &queues, &Cutter::new(Cut::Never)).await;
        let names = (0..PROMOTERS).map(promoter).chain((0..FRIENDS).map(friend));
        let names: Vec<String> = names.collect();
        let records: Vec<(&str, Option<Value>)> = names
            .iter()
            .map(|name| (name.as_str(), Some(customer(name, 1))))
            .collect();
        let coming = Delivery::Customers(kafka_event(0, &records));
        process.take(&coming).await.unwrap();
        let schedule = json!({"horario": now().to_string()});
        process
            .take(&Delivery::SetPromoters(schedule))
            .await
            .unwrap();
        let mut links = BTreeMap::new();
        for number in 0..PROMOTERS {
            for (arrival, campaign) in [(false, CAMPAIGN), (true, ARRIVAL)] {
                let link = process.link_of(campaign, &promoter(number)).await;
                links.insert((number, arrival), link);
            }
        }
        drop((process, queues));
        // The last connection takes its log with it.
        for _ in 0..200 {
            let logs = [DATABASE, QUEUES].map(|name| folder.path().join(format!("{name}-wal")));
            if logs.iter().all(|log| !log.exists()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { folder, links }
    }
}

struct World<'t> {
    template: &'t Template,
    random: Random,
    url: String,
    queues: EmbeddedQueues,
    process: Process,
    orders: Vec<Order>,
    /// Purchases, and trips.
    waiting: [VecDeque<Message>; 2],
    /// Every message that was sent, to be repeated.
    sent: [Vec<Message>; 2],
    model: Model,
    /// What an owner has reserved: its code, its referral's order and the order it is for.
    held: BTreeMap<usize, (String, String, String)>,
    is_tight: bool,
    ends_late: bool,
    clock_ms: i64,
    _folder: TempDir,
}

/// Runs one seed from the first act to the last check.
pub async fn simulate(template: &Template, seed: u64) {
    let mut random = Random::new(seed);
    let plan = Plan::draw(&mut random);
    let folder = quick_folder();
    for name in [DATABASE, QUEUES] {
        std::fs::copy(template.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    let url = format!("sqlite://{}", folder.path().join(DATABASE).display());
    let queues = open_queues(folder.path()).await;
    set_clock(MINUTE_MS);
    let mut world = World {
        process: Process::start(&url, &queues, &Cutter::new(Cut::Never)).await,
        template,
        random,
        url,
        queues,
        orders: plan.orders,
        waiting: Default::default(),
        sent: Default::default(),
        model: Model::default(),
        held: BTreeMap::new(),
        is_tight: plan.is_tight,
        ends_late: plan.ends_late,
        clock_ms: MINUTE_MS,
        _folder: folder,
    };
    if plan.is_tight {
        let budget = "UPDATE campaigns SET budget_centavos = 12000";
        world.process.execute(budget, Vec::new()).await;
    }
    for act in &plan.acts {
        world.pass(1_000);
        world.act(act).await;
    }
    world.drain().await;
    world.check().await;
}

/// The place of a queue.
fn place(purchases: bool) -> usize {
    usize::from(!purchases)
}

impl World<'_> {
    fn pass(&mut self, millis: i64) {
        self.clock_ms += millis;
        set_clock(self.clock_ms);
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Tell(order, fact) => self.tell(*order, *fact),
            Act::TellAgain(purchases) => {
                let queue = place(*purchases);
                if let Some(last) = self.sent[queue].last().cloned() {
                    self.waiting[queue].push_back(last);
                }
            }
            Act::Poison(purchases) => {
                self.model.poison += 1;
                let id = format!("poison{}", self.model.poison);
                let group = friend(self.random.below(FRIENDS));
                self.waiting[place(*purchases)].push_back(Message::poison(&id, &group));
            }
            Act::Work(purchases) => self.work(*purchases).await,
            Act::Click {
                promoter,
                arrival,
                visitor,
            } => {
                let link = &self.template.links[&(*promoter, *arrival)];
                let mut event =
                    http_event("GET /r/{code}", Some(link.as_str()), None, &Value::Null);
                event["requestContext"]["http"]["sourceIp"] = json!(format!("203.0.113.{visitor}"));
                self.hand_over(&Delivery::Click(event)).await;
                self.model
                    .click((*promoter, *arrival, *visitor), self.clock_ms);
            }
            Act::Reserve(whose) => self.reserve(*whose).await,
            Act::Commit(whose) => self.settle(*whose, "commit", Use::Used).await,
            Act::Release(whose) => self.settle(*whose, "release", Use::Released).await,
            Act::Sweep => self.sweep().await,
            Act::Publish => {
                self.hand_over(&Delivery::Publish).await;
            }
        }
    }

    fn tell(&mut self, place: usize, fact: Fact) {
        let order = self.orders[place].clone();
        let ids = |status: &str| {
            json!({"id_pedido": order.id, "id_cliente": order.friend, "status": status,
                "total": "100.00", "aprovado_em": now().plus_millis(-MINUTE_MS).to_string()})
        };
        let (queue, topic, body) = match fact {
            Fact::Purchase => (0, "pedidos", self.purchase(&order, ids("aprovado"))),
            Fact::Cancellation => (0, "pedidos", ids("cancelado")),
            Fact::Refund => (0, "pedidos", ids("reembolsado")),
            Fact::Leg(leg) => {
                let body = json!({"id_pedido": order.id, "id_cliente": order.friend,
                    "concluido_em": now().to_string(), "trecho": leg, "trechos": order.legs});
                (1, "viagens", body)
            }
        };
        let number = self.sent[queue].len();
        let id = format!("{topic}{number}");
        let message = if self.random.percent(50) {
            Message::bridged(&id, topic, number, &order.friend, &body)
        } else {
            Message::bare(&id, &order.friend, &body)
        };
        self.waiting[queue].push_back(message.clone());
        self.sent[queue].push(message);
        self.model.tell(place, &order, fact);
    }

    fn purchase(&self, order: &Order, mut body: Value) -> Value {
        if let Some(by) = &order.promoter {
            let number = (0..PROMOTERS)
                .find(|number| promoter(*number) == *by)
                .unwrap();
            let link = &self.template.links[&(number, order.arrival)];
            body["ref"] = json!(reference(
                link,
                now().plus_millis(-MINUTE_MS),
                &signing_key()
            ));
        }
        if let Some(ended) = order.ended {
            let ends = if ended {
                now().plus_millis(-MINUTE_MS)
            } else {
                now().plus_days(90)
            };
            body["termina_em"] = json!(ends.to_string());
        }
        body
    }

    /// Hands a batch over: each customer's messages in order, the customers in any.
    async fn work(&mut self, purchases: bool) {
        let queue = place(purchases);
        let most = 1 + self.random.below(4);
        let mut left_out = BTreeSet::new();
        let mut batch = Vec::new();
        for message in &self.waiting[queue] {
            if self.random.percent(30) {
                left_out.insert(message.group.clone());
            }
            let again = batch.iter().any(|one: &Message| one.id == message.id);
            if batch.len() < most && !again && !left_out.contains(&message.group) {
                batch.push(message.clone());
            } else {
                left_out.insert(message.group.clone());
            }
        }
        if batch.is_empty() {
            return;
        }
        for message in &batch {
            let at = self.waiting[queue]
                .iter()
                .position(|one| one == message)
                .unwrap();
            self.waiting[queue].remove(at);
        }
        let delivery = if purchases {
            Delivery::Orders(batch)
        } else {
            Delivery::Trips(batch)
        };
        self.hand_over(&delivery).await;
        if self.random.percent(20) {
            // The queue did not learn that it was handled.
            self.hand_over(&delivery).await;
        }
    }

    /// Hands an event to processes, some of which die over it, until one has lived.
    async fn hand_over(&mut self, delivery: &Delivery) -> Value {
        let leases = matches!(delivery, Delivery::Sweep(_) | Delivery::Publish);
        while self.random.percent(35) {
            let point = self.random.below(MOST_POINTS);
            let cutter = Cutter::new(Cut::Drop(point));
            let process = Process::start(&self.url, &self.queues, &cutter).await;
            match cutter.around(process.take(delivery)).await {
                Some(answer) => return answer.unwrap(),
                None if leases => self.pass(AFTER_LEASES_MS),
                None => {}
            }
        }
        self.process.take(delivery).await.unwrap()
    }

    async fn reserve(&mut self, whose: usize) {
        let kind = if whose < FRIENDS {
            "cupom_amigo"
        } else {
            "voucher_promotor"
        };
        let sql = format!(
            "SELECT v.code, r.order_id FROM vouchers v JOIN referrals r ON r.id = v.referral_id \
             WHERE v.kind = '{kind}' AND v.owner_id = '{}' AND r.campaign_id = '{CAMPAIGN}' \
             ORDER BY v.id DESC LIMIT 1",
            owner(whose)
        );
        let Some(row) = self.process.rows(&sql).await.pop() else {
            return;
        };
        let text = |column: &str| row[column].as_str().unwrap().to_owned();
        let wanted = format!("u{}", self.clock_ms);
        let (code, of) = (text("code"), text("order_id"));
        let body = json!({"id_pedido": wanted, "total": "80.00"});
        if self.redeem(whose, "reservations", &code, body).await {
            self.model
                .uses
                .insert((of.clone(), whose >= FRIENDS), Use::Reserved);
            self.held.insert(whose, (code, of, wanted));
        }
    }

    async fn settle(&mut self, whose: usize, verb: &str, becomes: Use) {
        let Some((code, of, order)) = self.held.remove(&whose) else {
            return;
        };
        let body = json!({"id_pedido": order});
        if self.redeem(whose, verb, &code, body).await {
            self.model.uses.insert((of, whose >= FRIENDS), becomes);
        }
    }

    /// True when it was done; false when the coupon is not available (404).
    async fn redeem(&mut self, whose: usize, verb: &str, code: &str, body: Value) -> bool {
        let route = format!("POST /vouchers/{{code}}/{verb}");
        let event = http_event(&route, Some(code), Some(&owner(whose)), &body);
        let answer = self.hand_over(&Delivery::Redeem(event)).await;
        match answer["statusCode"].as_u64() {
            Some(200 | 201) => true,
            Some(404) => false,
            other => panic!("{verb}: {other:?} {answer}"),
        }
    }

    async fn sweep(&mut self) {
        let payload = json!({"horario": now().to_string(), "refazer": true});
        self.hand_over(&Delivery::Sweep(payload)).await;
    }

    /// Everything that waits is handled, the trips that ended are found, all events leave.
    async fn drain(&mut self) {
        while self.waiting.iter().any(|queue| !queue.is_empty()) {
            self.work(true).await;
            self.work(false).await;
        }
        self.pass(DAY_MS);
        self.sweep().await;
        if self.ends_late {
            self.model.is_late = true;
            self.pass(40 * DAY_MS);
            self.sweep().await;
        }
        self.hand_over(&Delivery::Publish).await;
        // A process that died after its commit announced nothing: the schedule sweeps.
        self.process.take(&Delivery::Publish).await.unwrap();
    }

    async fn check(&self) {
        assert_sound(&self.process).await;
        // With a tight budget it counts who came first, which the model does not know.
        let told = self.orders.iter().enumerate().filter(|_| !self.is_tight);
        for (place, order) in told {
            self.check_order(place, order).await;
        }
        let clicks = self.process.rows("SELECT id FROM clicks").await.len();
        assert_eq!(clicks, self.model.clicks, "clicks");
        let letters = self.process.dead_letters().await;
        assert_eq!(letters.len(), self.model.poison, "{letters:?}");
        self.check_events().await;
    }

    async fn check_order(&self, place: usize, order: &Order) {
        let expected = self.model.expects(place, order);
        let told = format!("{order:?}, {:?}", self.model);
        let referral = format!(
            "SELECT status AS found FROM referrals WHERE order_id = '{}' AND slot = 'active'",
            order.id
        );
        let found = self.process.found(&referral).await;
        assert_eq!(
            found,
            expected.referral.map(Value::from),
            "referral of {told}"
        );
        let of_kind = |kind: &str| {
            format!(
                "SELECT v.status AS found FROM vouchers v JOIN referrals r ON r.id = v.referral_id \
                 WHERE r.order_id = '{}' AND v.kind = '{kind}' AND v.status <> 'cancelado'",
                order.id
            )
        };
        for (kind, may) in [
            ("voucher_promotor", expected.voucher),
            ("cupom_amigo", expected.coupon),
        ] {
            let found = self.process.found(&of_kind(kind)).await;
            match (found, may) {
                (None, None) => {}
                (Some(status), Some(may)) if may.iter().any(|one| status == *one) => {}
                // On arrival there is a coupon only if the friend came by and reserved it.
                _ if order.arrival && kind == "cupom_amigo" => {}
                (found, may) => panic!("{kind} {found:?}, not {may:?}, of {told}"),
            }
        }
    }

    /// Each change was told once, under one id, and an aggregate's changes in their order.
    async fn check_events(&self) {
        let left = self
            .process
            .rows("SELECT event_type, aggregate_key FROM outbox")
            .await;
        assert!(left.is_empty(), "{left:?}");
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for body in self.process.arrived().await {
            let id = body["id_evento"].as_str().unwrap().to_owned();
            let about = ["id_voucher", "id_indicacao"]
                .iter()
                .find_map(|name| body[*name].as_str());
            let (about, version) = (about.unwrap().to_owned(), body["versao"].as_i64().unwrap());
            let change = format!("{about} {version}");
            if let Some(before) = ids.get(&change) {
                assert_eq!(*before, id, "two events of one change");
                continue;
            }
            ids.insert(change, id);
            let last = versions.entry(about).or_default();
            assert!(*last < version, "version {version} came after {last}");
            *last = version;
            *counts
                .entry(body["tipo"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        for (event, from) in [
            ("indicacao.aceita", "referrals"),
            ("indicacao.anulada", "referrals WHERE status = 'anulada'"),
            // Whose a coupon of an arrival will be is not known yet, so nothing tells of it.
            (
                "cupom.emitido",
                "vouchers WHERE kind = 'cupom_amigo' AND link_code IS NULL",
            ),
            (
                "cupom.usado",
                "vouchers WHERE kind = 'cupom_amigo' AND status = 'usado'",
            ),
            (
                "voucher.emitido",
                "vouchers WHERE kind = 'voucher_promotor'",
            ),
            (
                "voucher.cancelado",
                "vouchers WHERE kind = 'voucher_promotor' AND status = 'cancelado'",
            ),
        ] {
            let rows = self
                .process
                .rows(&format!("SELECT id FROM {from}"))
                .await
                .len();
            assert_eq!(
                counts.get(event).copied().unwrap_or_default(),
                rows,
                "{event}"
            );
        }
    }
}
