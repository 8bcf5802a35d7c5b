//! What the lake holds, and what it answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    sync::Arc,
};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use arrow_cast::cast;
use arrow_schema::DataType;
use domain::{
    lake::{DataFile, Table},
    sales::{Grouping, Question, Sums},
    time::{Day, UtcMillis},
};
use files::{FileAddress, FolderFiles};
use lake::{Lake, SalesReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sql_store::{
    Store,
    lake::{files_at, newest_snapshot},
};

use testkit::Random;

use crate::{
    files::{CATEGORIES, REGIONS},
    model::{Expected, Line},
};

/// The live files of both tables.
pub async fn live_files(store: &Store) -> [Vec<DataFile>; 2] {
    let Some(snapshot) = newest_snapshot(store).await.unwrap() else {
        return [Vec::new(), Vec::new()];
    };
    let sales = files_at(store, Table::Sales, snapshot.id).await.unwrap();
    let without = files_at(store, Table::OrdersWithoutSale, snapshot.id)
        .await
        .unwrap();
    [sales, without]
}

fn batches(folder: &FolderFiles, bucket: &str, table: &str, file: &DataFile) -> Vec<RecordBatch> {
    let key = format!("lago/main/{table}/{}", file.name);
    let path = folder.path_of(&FileAddress::new(bucket, &key).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// Everything in the files; each file's own rules are checked on the way.
pub async fn contents(store: &Store, folder: &FolderFiles, bucket: &str) -> Expected {
    let [sales, without] = live_files(store).await;
    let mut lines = Vec::new();
    for file in &sales {
        let rows: Vec<_> = batches(folder, bucket, "vendas", file)
            .iter()
            .flat_map(sales_rows)
            .collect();
        assert_eq!(u64::try_from(rows.len()).unwrap(), file.rows);
        let mut counters: BTreeMap<(i32, String), i32> = BTreeMap::new();
        for (line, day, number, load) in rows {
            let sold = UtcMillis::new(line.sold_ms).unwrap();
            assert_eq!(day, sold.day().epoch_days());
            let counter = counters.entry((day, line.order.clone())).or_default();
            *counter += 1;
            assert_eq!(number, *counter);
            lines.push((line, load));
        }
    }
    let mut without_sale = BTreeSet::new();
    for file in &without {
        for batch in batches(folder, bucket, "pedidos_sem_venda", file) {
            let orders = batch.column(0).as_string::<i32>().iter().flatten();
            let loads = batch.column(1).as_primitive::<Int64Type>().values();
            for (order, load) in orders.zip(loads) {
                assert!(
                    without_sale.insert((order.to_owned(), *load)),
                    "{order} twice"
                );
            }
        }
    }
    lines.sort();
    Expected {
        lines,
        without_sale,
    }
}

fn sales_rows(batch: &RecordBatch) -> Vec<(Line, i32, i32, i64)> {
    let text = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        let column = cast(column, &DataType::Utf8).unwrap();
        let column = column.as_string::<i32>().clone();
        (0..column.len())
            .map(|row| {
                let value = if column.is_null(row) {
                    ""
                } else {
                    column.value(row)
                };
                value.to_owned()
            })
            .collect::<Vec<String>>()
    };
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let (orders, products) = (text("id_pedido"), text("id_produto"));
    let (regions, categories) = (text("regiao"), text("categoria"));
    let quantities = column("quantidade").as_primitive::<Int32Type>();
    let prices = cast(column("preco"), &DataType::Decimal128(18, 2)).unwrap();
    let prices = prices.as_primitive::<Decimal128Type>();
    let sold = column("data").as_primitive::<TimestampMicrosecondType>();
    let days = column("dia").as_primitive::<Date32Type>();
    let numbers = column("linha").as_primitive::<Int32Type>();
    let loads = column("carga").as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| {
            let line = Line {
                order: orders[row].clone(),
                product: products[row].clone(),
                quantity: quantities.value(row),
                centavos: i64::try_from(prices.value(row)).unwrap(),
                sold_ms: sold.value(row) / 1000,
                region: regions[row].clone(),
                category: categories[row].clone(),
            };
            (line, days.value(row), numbers.value(row), loads.value(row))
        })
        .collect()
}

const GROUPINGS: [Grouping; 5] = [
    Grouping::Product,
    Grouping::Region,
    Grouping::Category,
    Grouping::Day,
    Grouping::Month,
];

/// So many questions, with any filters.
pub fn questions(random: &mut Random, expected: &Expected, count: usize) -> Vec<Question> {
    let days: BTreeSet<Day> = expected
        .lines
        .iter()
        .map(|(line, _)| day_of(line))
        .collect();
    let days: Vec<Day> = days.into_iter().collect();
    let question = |_| {
        let mut day = || {
            let is_bound = random.percent(35) && !days.is_empty();
            is_bound.then(|| *random.one_of(&days))
        };
        let (from, to) = (day(), day());
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (Some(from.min(to)), Some(from.max(to))),
            other => other,
        };
        let mut text = |text: String| random.percent(25).then_some(text);
        let (region, category) = (text("SP".to_owned()), text("casa".to_owned()));
        let product = text("item 1".to_owned());
        Question {
            grouping: *random.one_of(&GROUPINGS),
            from,
            to,
            region: region.map(|_| (*random.one_of(&REGIONS)).to_owned()),
            category: category.map(|_| (*random.one_of(&CATEGORIES)).to_owned()),
            product: product.map(|_| format!("item {}", random.below(6))),
        }
    };
    (0..count).map(question).collect()
}

/// Every grouping of all days.
pub fn plain_questions() -> Vec<Question> {
    let question = |grouping| Question {
        grouping,
        from: None,
        to: None,
        region: None,
        category: None,
        product: None,
    };
    GROUPINGS.map(question).into()
}

/// Asks, and compares with the lines' own sums.
pub async fn check_answers(store: &Store, lake: Lake, expected: &Expected, questions: &[Question]) {
    let [sales, _] = live_files(store).await;
    let reader = Arc::new(SalesReader::new(lake));
    for question in questions {
        let found = reader.answer(&sales, question).await.unwrap();
        let found: BTreeMap<Option<String>, Sums> = found
            .into_iter()
            .map(|group| (group.key, group.sums))
            .collect();
        assert_eq!(found, sums(expected, question), "{question:?}");
    }
}

fn day_of(line: &Line) -> Day {
    UtcMillis::new(line.sold_ms).unwrap().day()
}

fn is_other(asked: Option<&String>, found: &str) -> bool {
    asked.is_some_and(|asked| asked != found)
}

fn sums(expected: &Expected, question: &Question) -> BTreeMap<Option<String>, Sums> {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut groups: BTreeMap<Option<String>, (Sums, BTreeSet<&str>)> = BTreeMap::new();
    for (line, _) in &expected.lines {
        let day = day_of(line);
        let is_out = question.from.is_some_and(|from| day < from)
            || question.to.is_some_and(|to| day > to)
            || is_other(question.region.as_ref(), &line.region)
            || is_other(question.category.as_ref(), &line.category)
            || is_other(question.product.as_ref(), &line.product);
        if is_out {
            continue;
        }
        let key = match question.grouping {
            Grouping::Product => known(&line.product),
            Grouping::Region => known(&line.region),
            Grouping::Category => known(&line.category),
            Grouping::Day => Some(day.to_string()),
            Grouping::Month => Some(day.month()),
        };
        let (sums, orders) = groups.entry(key).or_default();
        sums.quantity += i64::from(line.quantity);
        sums.revenue_centavos += line.centavos * i64::from(line.quantity);
        orders.insert(&line.order);
    }
    let counted = groups.into_iter().map(|(key, (sums, orders))| {
        let orders = i64::try_from(orders.len()).unwrap();
        (key, Sums { orders, ..sums })
    });
    counted.collect()
}
