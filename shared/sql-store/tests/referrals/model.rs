//! Any interleaving of purchases, cancellations, legs and sweeps, with repeats, leaves what a
//! simple model of it leaves.

use std::collections::{BTreeMap, BTreeSet};

use domain::orders::OrderStatus;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use sql_store::mgm::{
    purchases::record_order,
    trips::{TripMessage, complete_trips},
};
use tempfile::TempDir;

use crate::scene::{HOUR_MS, Scene, at, completed, leg, news, purchase};

const ORDERS: u8 = 6;
const FRIENDS: u8 = 3;

/// What a shop may tell of one of six orders of three friends through two promoters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Purchase(u8),
    Cancellation(u8),
    Refund(u8),
    Leg(u8, i64),
    Sweep,
}

/// The friend of an order; two orders each.
fn friend(order: u8) -> u8 {
    order % FRIENDS
}

/// Odd orders end before the first sweep, even ones are never said to end.
fn ends(order: u8) -> bool {
    order % 2 == 1
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Modelled {
    bought: bool,
    void: bool,
    legs: (bool, bool),
    swept: bool,
    /// `None`: not judged yet; false: refused.
    referral: Option<bool>,
    rewarded: bool,
}

#[derive(Debug, Default)]
struct Model {
    orders: BTreeMap<u8, Modelled>,
}

impl Model {
    fn living(&self, by: u8) -> bool {
        let alive = |order: &Modelled| order.referral == Some(true) && !order.void;
        self.orders
            .iter()
            .any(|(id, order)| friend(*id) == by && alive(order))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Purchase(id) => {
                let taken = self.living(friend(id));
                let order = self.orders.entry(id).or_default();
                order.bought = true;
                order.referral.get_or_insert(!taken);
            }
            Happening::Cancellation(id) | Happening::Refund(id) => {
                self.orders.entry(id).or_default().void = true;
            }
            Happening::Leg(id, number) => {
                let order = self.orders.entry(id).or_default();
                order.legs = (order.legs.0 || number == 1, order.legs.1 || number == 2);
            }
            Happening::Sweep => {
                for (id, order) in &mut self.orders {
                    order.swept |= ends(*id) && order.referral == Some(true) && !order.void;
                }
            }
        }
        for order in self.orders.values_mut() {
            let over = order.swept || order.legs == (true, true);
            order.rewarded |= over && order.referral == Some(true) && !order.void;
        }
    }
}

async fn replay(scene: &Scene, happenings: &[(Happening, bool)]) -> Model {
    let mut model = Model::default();
    for (place, (happening, twice)) in happenings.iter().enumerate() {
        let id = format!("q/{place}");
        for _ in 0..=usize::from(*twice) {
            tell(scene, &id, *happening).await;
        }
        model.happen(*happening);
    }
    model
}

async fn tell(scene: &Scene, message: &str, happening: Happening) {
    let paid = |order: u8| {
        let mut paid = purchase(
            &format!("p{order}"),
            &format!("f{}", friend(order)),
            order % 2,
        );
        paid.ends = ends(order).then(|| at(-HOUR_MS));
        paid
    };
    match happening {
        Happening::Purchase(order) => {
            record_order(&scene.store, message, &paid(order), at(0))
                .await
                .unwrap();
        }
        Happening::Cancellation(order) => {
            let cancelled = news(&paid(order), OrderStatus::Cancelled);
            record_order(&scene.store, message, &cancelled, at(0))
                .await
                .unwrap();
        }
        Happening::Refund(order) => {
            let refunded = news(&paid(order), OrderStatus::Refunded);
            record_order(&scene.store, message, &refunded, at(0))
                .await
                .unwrap();
        }
        Happening::Leg(order, number) => {
            let friend = format!("f{}", friend(order));
            let message = TripMessage {
                id: message.to_owned(),
                leg: completed(&format!("p{order}"), &friend, leg(number, 2)),
            };
            let done = complete_trips(&scene.store, &[message], at(0)).await;
            assert!(done.results.iter().all(Result::is_ok));
        }
        Happening::Sweep => crate::sweep::run_all(scene, at(0)).await,
    }
}

async fn assert_like(scene: &Scene, model: &Model) {
    for (id, order) in &model.orders {
        let name = format!("p{id}");
        let expected = match (order.referral, order.void, order.rewarded) {
            (Some(true), true, _) => Some("anulada"),
            (Some(true), false, true) => Some("premiada"),
            (Some(true), false, false) => Some("aceita"),
            (Some(false) | None, _, _) => None,
        };
        assert_eq!(
            scene.referral_of(&name).await.as_deref(),
            expected,
            "{name}: {order:?}"
        );
        let refused = (order.referral == Some(false)).then_some("amigo_ja_indicado");
        assert_eq!(
            scene.refusal_of(&name).await.as_deref(),
            refused,
            "{name}: {order:?}"
        );
        let vouchers = format!(
            "vouchers v JOIN referrals r ON r.id = v.referral_id WHERE r.order_id = '{name}' \
             AND v.kind = 'voucher_promotor' AND v.status = '{}'",
            if order.void { "cancelado" } else { "emitido" }
        );
        assert_eq!(
            scene.count(&vouchers).await,
            i64::from(order.rewarded),
            "{name}: {order:?}"
        );
    }
    scene.assert_sound().await;
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..ORDERS).prop_map(Happening::Purchase),
        2 => (0..ORDERS).prop_map(Happening::Cancellation),
        1 => (0..ORDERS).prop_map(Happening::Refund),
        4 => (0..ORDERS, 1_i64..=2).prop_map(|(order, leg)| Happening::Leg(order, leg)),
        1 => Just(Happening::Sweep),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<(Happening, bool)>> {
    prop::collection::vec((happening(), any::<bool>()), 1..30)
}

async fn scene_at(url: &str) -> Scene {
    let scene = Scene::open(url, "").await;
    scene.promoter(0).await;
    scene.promoter(1).await;
    scene
}

async fn embedded_scene(folder: &TempDir) -> Scene {
    scene_at(&format!(
        "sqlite://{}",
        folder.path().join("modelo.sqlite").display()
    ))
    .await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 200, ..Config::default() })]

    #[test]
    fn any_interleaving_with_repeats_leaves_what_the_model_leaves(happenings in happenings()) {
        runtime().block_on(async {
            let folder = TempDir::new().unwrap();
            let scene = embedded_scene(&folder).await;
            let model = replay(&scene, &happenings).await;
            assert_like(&scene, &model).await;
        });
    }

    /// One order a friend: then the order of messages does not matter at all.
    #[test]
    fn the_order_of_messages_does_not_matter(
        happenings in prop::collection::btree_set(happening(), 1..12),
        shuffled in any::<prop::sample::Index>(),
    ) {
        let happenings: BTreeSet<Happening> = happenings
            .into_iter()
            .filter(|one| !matches!(one, Happening::Sweep))
            .map(|one| match one {
                Happening::Purchase(order) => Happening::Purchase(order % FRIENDS),
                Happening::Cancellation(order) => Happening::Cancellation(order % FRIENDS),
                Happening::Refund(order) => Happening::Refund(order % FRIENDS),
                Happening::Leg(order, number) => Happening::Leg(order % FRIENDS, number),
                Happening::Sweep => Happening::Sweep,
            })
            .collect();
        prop_assume!(!happenings.is_empty());
        let mut order: Vec<(Happening, bool)> = happenings.iter().map(|one| (*one, false)).collect();
        let places = order.len();
        order.rotate_left(shuffled.index(places));
        if shuffled.index(2) == 1 {
            order.reverse();
        }
        let mut in_order = Model::default();
        happenings.iter().for_each(|one| in_order.happen(*one));
        runtime().block_on(async {
            let folder = TempDir::new().unwrap();
            let scene = embedded_scene(&folder).await;
            replay(&scene, &order).await;
            for (id, modelled) in &in_order.orders {
                let living = modelled.referral == Some(true) && !modelled.void;
                let over = modelled.legs == (true, true);
                let expected = match (modelled.referral, modelled.void, over) {
                    (Some(true), true, _) => Some("anulada"),
                    (Some(true), false, true) => Some("premiada"),
                    (Some(true), false, false) => Some("aceita"),
                    _ => None,
                };
                let name = format!("p{id}");
                assert_eq!(scene.referral_of(&name).await.as_deref(), expected, "{name}");
                let vouchers = format!(
                    "vouchers v JOIN referrals r ON r.id = v.referral_id \
                     WHERE r.order_id = '{name}' AND v.status = 'emitido' \
                     AND v.kind = 'voucher_promotor'"
                );
                assert_eq!(scene.count(&vouchers).await, i64::from(living && over), "{name}");
            }
            scene.assert_sound().await;
        });
    }
}

/// A real server is slow to give new databases, so a few interleavings must do there.
#[tokio::test]
async fn a_few_interleavings_leave_what_the_model_leaves_on_every_database() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..3 {
        let happenings = happenings().new_tree(&mut runner).unwrap().current();
        for database in testkit::databases().await {
            let scene = scene_at(database.url()).await;
            let model = replay(&scene, &happenings).await;
            assert_like(&scene, &model).await;
        }
    }
}
