//! Answers against a plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::sales::{Grouping, Question, Sums};
use domain::time::Day;
use lake::SalesReader;
use proptest::prelude::*;

use crate::shop::{OwnedLine, Shop, crowded_lines, lines};

type Answer = BTreeMap<Option<String>, Sums>;

fn matches(line: &OwnedLine, question: &Question) -> bool {
    let day = line.sold.day();
    let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|one| one == text);
    question.from.is_none_or(|from| day >= from)
        && question.to.is_none_or(|to| day <= to)
        && is(&question.product, &line.product)
        && is(&question.region, &line.region)
        && is(&question.category, &line.category)
}

fn model(lines: &[OwnedLine], question: &Question) -> Answer {
    let mut answer = Answer::new();
    let mut orders: BTreeMap<Option<String>, BTreeSet<&str>> = BTreeMap::new();
    for line in lines.iter().filter(|line| matches(line, question)) {
        let text = match question.grouping {
            Grouping::Product => line.product.clone(),
            Grouping::Region => line.region.clone(),
            Grouping::Category => line.category.clone(),
            Grouping::Day => line.sold.day().to_string(),
            Grouping::Month => line.sold.day().month(),
        };
        let key = (!text.is_empty()).then_some(text);
        orders.entry(key.clone()).or_default().insert(&line.order);
        let sums = answer.entry(key).or_default();
        sums.quantity += i64::from(line.quantity);
        sums.revenue_centavos += i64::from(line.quantity) * line.centavos;
    }
    for (key, sums) in &mut answer {
        sums.orders = orders[key].len() as i64;
    }
    answer
}

fn questions() -> impl Strategy<Value = Question> {
    let days = prop::option::of(0..42_i32);
    let grouping = prop::sample::select(vec![
        Grouping::Product,
        Grouping::Region,
        Grouping::Category,
        Grouping::Day,
        Grouping::Month,
    ]);
    let text = |texts: Vec<&'static str>| {
        prop_oneof![
            3 => Just(None),
            1 => prop::sample::select(texts).prop_map(|text| Some(text.to_owned())),
        ]
    };
    let products = text(vec!["p1", "p7", "outro"]);
    let regions = text(vec!["SP", "", "MG"]);
    let categories = text(vec!["casa", ""]);
    (
        grouping,
        days,
        prop::option::of(0..30_i32),
        products,
        regions,
        categories,
    )
        .prop_map(|(grouping, from, length, product, region, category)| {
            let start = Day::parse("2026-01-29").unwrap().epoch_days();
            let day = |at: i32| Day::from_epoch_days(start + at).unwrap();
            Question {
                grouping,
                from: from.map(day),
                to: length.map(|length| day(from.unwrap_or(0) + length)),
                region,
                category,
                product,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_question_is_answered_as_the_model_does(
        lines in prop_oneof![lines(400), crowded_lines(1_500)],
        files in 1..5_usize,
        dropped in prop::collection::btree_set(0..60_u32, 0..20),
        questions in prop::collection::vec(questions(), 12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut shop = Shop::new();
            // An order belongs to one load: its lines come in one file.
            for file in 0..files {
                let part: Vec<OwnedLine> = lines
                    .iter()
                    .filter(|line| line.order.bytes().map(usize::from).sum::<usize>() % files == file)
                    .cloned()
                    .collect();
                shop.load(&part, &[], file as i64).await;
            }
            let reader = Arc::new(SalesReader::new(shop.lake.clone()));
            let dropped: BTreeSet<String> =
                dropped.iter().map(|order| format!("pedido-{order:03}")).collect();
            let lines: Vec<OwnedLine> =
                lines.into_iter().filter(|line| !dropped.contains(&line.order)).collect();
            shop.drop_orders(&dropped).await;
            for question in &questions {
                let answer = reader.answer(&shop.sales, question).await.unwrap();
                let answer: Answer =
                    answer.into_iter().map(|group| (group.key, group.sums)).collect();
                assert_eq!(answer, model(&lines, question), "{question:?}");
            }
        });
    }
}
