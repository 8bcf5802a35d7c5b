//! The laws of merging: neither order, grouping nor a stop at the bytes changes a figure.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::identity::{ProductId, UserId};

fn event(user: u32, kind: u8, product: u32, occurred_ms: i64) -> CustomerEvent {
    CustomerEvent {
        user: UserId::parse(format!("u{user}")).unwrap(),
        kind: match kind {
            0 => EventKind::Click,
            1 => EventKind::Cart,
            2 => EventKind::Purchase,
            _ => EventKind::Other("busca".into()),
        },
        product: Some(ProductId::parse(format!("p{product}")).unwrap()),
        occurred: UtcMillis::new(occurred_ms).unwrap(),
        event_id: None,
        session: None,
        quantity: None,
        price: None,
        reference: None,
    }
}

fn figures(events: &[CustomerEvent]) -> Figures {
    let mut figures = Figures::default();
    events.iter().for_each(|event| figures.count(event));
    figures
}

/// All that can be asked of figures.
fn answers(figures: &Figures) -> (Counts, [Estimate; 4], Vec<Ranked>, u64, Option<UtcMillis>) {
    let Figures {
        active,
        clicked,
        carted,
        bought,
        ..
    } = figures;
    (
        figures.counts,
        [active, clicked, carted, bought].map(Users::estimate),
        figures.views.top(10),
        figures.views.error(),
        figures.newest,
    )
}

fn users(numbers: std::ops::Range<u32>) -> Users {
    let numbers: Vec<u32> = numbers.collect();
    let mut users = Users::default();
    for part in numbers.chunks(MOST_EXACT_USERS) {
        let mut few = Users::default();
        part.iter()
            .for_each(|number| few.insert(&UserId::parse(format!("u{number}")).unwrap()));
        users.merge(&few);
    }
    users
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn few_events_are_counted_exactly_however_they_are_split_and_ordered(
        parts in prop::collection::vec(
            prop::collection::vec((0_u32..40, 0_u8..4, 0_u32..30, 1_i64..1_000), 0..30), 1..8),
        rotation in 0_usize..8,
    ) {
        let parts: Vec<Vec<CustomerEvent>> = parts
            .into_iter()
            .map(|part| part.into_iter().map(|(user, kind, product, at)| event(user, kind, product, at)).collect())
            .collect();
        let all: Vec<CustomerEvent> = parts.concat();
        let whole = figures(&all);
        let mut merged = Figures::default();
        let mut turned: Vec<Figures> = parts.iter().map(|part| figures(part)).collect();
        let turn = rotation % turned.len();
        turned.rotate_left(turn);
        for part in &turned {
            merged.merge(&decode(&part.encode()).unwrap());
        }
        prop_assert_eq!(answers(&merged), answers(&whole));
        let active: BTreeSet<&str> = all.iter().map(|event| event.user.as_str()).collect();
        prop_assert_eq!(merged.active.estimate().users, active.len() as u64);
        let mut views: BTreeMap<&str, u64> = BTreeMap::new();
        for event in all.iter().filter(|event| event.kind == EventKind::Click) {
            *views.entry(event.product.as_ref().unwrap().as_str()).or_default() += 1;
        }
        let most = views.values().copied().max();
        prop_assert_eq!(merged.views.top(1).first().map(|first| (first.least, first.most)), most.map(|most| (most, most)));
    }

    #[test]
    fn bytes_that_nobody_wrote_are_refused_and_harm_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let mut wrong = bytes;
        wrong.insert(0, 1);
        let _ = decode(&wrong);
    }

    #[test]
    fn a_cut_is_noticed(cut in 0_usize..60) {
        let bytes = figures(&[event(1, 0, 1, 1), event(2, 1, 2, 2)]).encode();
        let cut = cut.min(bytes.len() - 1);
        prop_assert!(decode(&bytes[..cut]).is_err());
    }
}

#[test]
fn users_are_exact_up_to_the_limit_and_within_the_bounds_beyond() {
    let limit = u32::try_from(MOST_EXACT_USERS).unwrap();
    let exact = users(0..limit).estimate();
    assert_eq!(
        (exact.users, exact.least, exact.most),
        (4_096, 4_096, 4_096)
    );
    for number in [limit + 1, 20_000, 60_000] {
        let found = users(0..number).estimate();
        let number = u64::from(number);
        assert!(
            found.least < found.most && found.least <= found.users && found.users <= found.most
        );
        assert!(
            found.users.abs_diff(number) * 20 < number,
            "{found:?} for {number}: within 5 %"
        );
    }
}

#[test]
fn many_users_are_as_many_whatever_the_order_of_merging() {
    let parts: Vec<Users> = (0..6)
        .map(|part| users(part * 2_000..part * 2_000 + 5_000))
        .collect();
    let mut forward = Users::default();
    parts.iter().for_each(|part| forward.merge(part));
    let mut backward = Users::default();
    parts.iter().rev().for_each(|part| backward.merge(part));
    let mut paired = Users::default();
    for pair in parts.chunks(2) {
        let mut both = Users::default();
        pair.iter().for_each(|part| both.merge(part));
        paired.merge(&both);
    }
    assert_eq!(forward.estimate(), backward.estimate());
    assert_eq!(forward.estimate(), paired.estimate());
    assert!(forward.estimate().users.abs_diff(15_000) < 750);
}

#[test]
fn counts_of_many_products_stay_within_their_error_however_they_are_merged() {
    let products = 5_000_u64;
    // A few are looked at very often, most of them once.
    let looks = |product: u64| 2_000 / (product + 1) + 1;
    let part = |from: u64| {
        let mut views = Views::default();
        for product in (0..products).filter(|product| product % 3 == from) {
            (0..looks(product)).for_each(|_| views.count(&format!("p{product}")));
        }
        views
    };
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut merged = Views::default();
        order.into_iter().for_each(|from| merged.merge(&part(from)));
        let all: u64 = (0..products).map(looks).sum();
        assert!(
            merged.error() <= all / MOST_PRODUCTS as u64,
            "error {}",
            merged.error()
        );
        let top = merged.top(5);
        let names: Vec<&str> = top.iter().map(|ranked| ranked.product.as_str()).collect();
        assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"]);
        for (ranked, product) in top.iter().zip(0..) {
            let truth = looks(product);
            assert!(
                ranked.least <= truth && truth <= ranked.most,
                "{ranked:?}: {truth}"
            );
        }
    }
}
