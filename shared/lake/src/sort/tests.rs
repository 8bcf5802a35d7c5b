use domain::money::Centavos;
use proptest::prelude::*;

use super::*;

fn line<'a>(order: &'a str, product: &'a str, sold_ms: i64) -> SaleLine<'a> {
    SaleLine {
        order,
        product,
        quantity: -3,
        unit_price: Centavos::new(1_999).unwrap(),
        sold: UtcMillis::new(sold_ms).unwrap(),
        region: "SP",
        category: "",
    }
}

fn sorted(lines: &[(String, String, i64)], budget_bytes: usize) -> Sorted {
    let folder = tempfile::tempdir().unwrap();
    let mut sales = SortedSales::with_budget(folder.path(), budget_bytes);
    for (order, product, sold_ms) in lines {
        sales.push(&line(order, product, *sold_ms), 7).unwrap();
    }
    sales.finish().unwrap()
}

fn content(sorted: &Sorted) -> Vec<(i32, String, String, i64)> {
    let mut found = Vec::new();
    let each = sorted.each_line(|day, order, line| {
        let fields = line.fields;
        assert_eq!(line.fingerprint, 7);
        let product = sorted.texts().products.get(fields.product).to_owned();
        assert_eq!((fields.quantity, fields.price_centavos), (-3, 1_999));
        found.push((day, order.to_owned(), product, fields.sold_ms));
        Ok::<_, SortError>(())
    });
    each.unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lines_come_out_by_day_order_and_sequence(
        lines in prop::collection::vec(
            ("(PED-0000)?[a-cé]{1,12}", "[xy]", 0_i64..400_000_000), 0..300),
        budget_bytes in prop::sample::select(vec![1, 2_000, 1 << 20]),
    ) {
        let out = sorted(&lines, budget_bytes);
        let mut expected: Vec<_> = lines
            .iter()
            .map(|(order, product, sold)| {
                let day = UtcMillis::new(*sold).unwrap().day();
                // The first hours of 1970 are a day of 1969 in São Paulo.
                let day = if *sold < Day::from_epoch_days(0).unwrap().start().get() {
                    -1
                } else {
                    day.epoch_days()
                };
                (day, order.clone(), product.clone(), *sold)
            })
            .collect();
        expected.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        prop_assert_eq!(content(&out), expected.clone());
        // A second pass gives the same.
        prop_assert_eq!(content(&out), expected);
        match budget_bytes {
            1 => prop_assert_eq!(out.runs() == 0, lines.is_empty()),
            2_000 => {}
            _ => prop_assert_eq!(out.runs(), 0),
        }
        let orders: std::collections::BTreeSet<_> = lines.iter().map(|line| &line.0).collect();
        prop_assert_eq!(out.distinct_orders(), orders.len() as u64);
    }
}

#[test]
fn cancelled_orders_come_once_and_by_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut sales = SortedSales::with_budget(folder.path(), 1);
    for order in ["b", "a", "b", "c", "a"] {
        sales.cancel(order).unwrap();
    }
    let sorted = sales.finish().unwrap();
    let mut found = Vec::new();
    sorted
        .each_cancelled(|order| {
            found.push(order.to_owned());
            Ok::<_, SortError>(())
        })
        .unwrap();
    assert_eq!(found, ["a", "b", "c"]);
    assert_eq!(sorted.facts().cancelled.len(), 3);
}

#[test]
fn what_is_beyond_a_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut sales = SortedSales::new(folder.path());
    let long = "a".repeat(LONGEST_ORDER_BYTES + 1);
    let pushed = sales.push(&line(&long, "x", 0), 0);
    assert!(matches!(pushed, Err(SortError::OrderTooLong)));
    let mut dear = line("a", "x", 0);
    dear.unit_price = domain::money::LARGEST;
    dear.quantity = i32::MAX;
    assert!(matches!(sales.push(&dear, 0), Err(SortError::TooLarge)));
}

#[test]
fn days_are_those_of_the_domain() {
    let mut days = SaoPauloDays::default();
    for hour in 0..24 * 800 {
        for start in ["2017-09-30T00:00:00Z", "2026-11-20T00:00:00Z"] {
            let time = UtcMillis::parse(start)
                .unwrap()
                .plus_millis(hour * 3_600_000 - 1);
            assert_eq!(days.day_of(time), time.day().epoch_days(), "{time}");
        }
    }
}
