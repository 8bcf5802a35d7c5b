//! Files as they are written, rewritten and looked through.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type};
use domain::lake::Table;
use lake::{OrderFate, OrderSet, Rewritten};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::shop::{OwnedLine, Shop, lines, some_lines};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn orders(lines: &[OwnedLine], load: i64) -> BTreeSet<(String, i64)> {
    let orders = lines.iter().map(|line| (line.order.clone(), load));
    orders.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn orders_are_found_and_dropped_as_a_whole(
        lines in lines(200),
        dropped in prop::collection::btree_set(0..60_u32, 0..60),
    ) {
        runtime().block_on(async {
            let mut shop = Shop::new();
            shop.load(&lines, &[], 7).await;
            assert_eq!(shop.orders(Table::Sales).await, orders(&lines, 7));
            let dropped: BTreeSet<String> =
                dropped.iter().map(|order| format!("pedido-{order:03}")).collect();
            let stays: Vec<OwnedLine> =
                lines.iter().filter(|line| !dropped.contains(&line.order)).cloned().collect();
            let mut kept = Vec::new();
            for file in shop.sales.clone() {
                let drops = |order: &str, load: i64| load == 7 && dropped.contains(order);
                let folder = shop.folder.path();
                let rewritten = lake::rewrite(&shop.lake, Table::Sales, &file, &drops, folder);
                match rewritten.await.unwrap() {
                    Rewritten::Unchanged => assert_eq!(stays.len(), lines.len()),
                    Rewritten::Emptied => assert!(stays.is_empty()),
                    Rewritten::Replaced(file) => {
                        assert_eq!(file.rows, stays.len() as u64);
                        kept.push(*file);
                    }
                }
            }
            if stays.len() != lines.len() {
                shop.sales.clear();
                kept.iter().for_each(|file| shop.add(file));
                assert_eq!(shop.orders(Table::Sales).await, orders(&stays, 7));
            }
        });
    }
}

#[tokio::test]
async fn wanted_orders_are_found_with_and_without_bloom_filters() {
    let lines = some_lines(300);
    let mut shop = Shop::new();
    shop.load(&lines, &[], 1).await;
    let mut wanted = OrderSet::new();
    wanted.insert("pedido-001");
    wanted.insert("outro");
    for round in 0..2 {
        let mut found = BTreeSet::new();
        for file in &shop.sales {
            let table = Table::Sales;
            lake::orders_of(
                &shop.lake,
                table,
                file,
                Some(&wanted),
                &mut |order, load| {
                    found.insert((order.to_owned(), load));
                    Ok(())
                },
            )
            .await
            .unwrap();
        }
        let expected = BTreeSet::from([("pedido-001".to_owned(), 1)]);
        assert_eq!(found, expected, "{round}");
        // So many that their names are not kept.
        for at in 0..25_000 {
            wanted.insert(&format!("x{at}"));
        }
    }
}

#[tokio::test]
async fn cancelled_and_foreign_orders_leave_no_line() {
    let lines = some_lines(300);
    let mut shop = Shop::new();
    let fate = |order: &str| match order {
        "pedido-001" | "nunca-2" => OrderFate::Others,
        "pedido-002" => OrderFate::WithoutSale,
        _ => OrderFate::Ours,
    };
    let cancelled = ["pedido-003", "nunca-1", "nunca-2", "nunca-1"];
    let written = shop.load_with(&lines, &cancelled, 9, &fate).await;
    let gone = ["pedido-001", "pedido-002", "pedido-003"];
    let stays: Vec<OwnedLine> = lines
        .iter()
        .filter(|line| !gone.contains(&line.order.as_str()))
        .cloned()
        .collect();
    assert_eq!(written.lines, stays.len() as u64);
    assert_eq!(shop.orders(Table::Sales).await, orders(&stays, 9));
    let without: Vec<(String, i64)> = shop
        .orders(Table::OrdersWithoutSale)
        .await
        .into_iter()
        .collect();
    let expected = ["nunca-1", "pedido-002", "pedido-003"].map(|order| (order.to_owned(), 9));
    assert_eq!(without, expected);
    let folder = shop.folder.path();
    let file = &shop.without_sale[0];
    let table = Table::OrdersWithoutSale;
    let drops = |order: &str, _: i64| order == "nunca-1";
    match lake::rewrite(&shop.lake, table, file, &drops, folder)
        .await
        .unwrap()
    {
        Rewritten::Replaced(file) => assert_eq!(file.rows, 2),
        other => panic!("{other:?}"),
    }
    let all = |_: &str, _: i64| true;
    let emptied = lake::rewrite(&shop.lake, table, file, &all, folder).await;
    assert_eq!(emptied.unwrap(), Rewritten::Emptied);
    let none = |_: &str, _: i64| false;
    let unchanged = lake::rewrite(&shop.lake, table, file, &none, folder).await;
    assert_eq!(unchanged.unwrap(), Rewritten::Unchanged);
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one file, and all that is told of it"
)]
async fn a_file_is_sorted_numbered_and_told_to_the_catalogue() {
    let lines = some_lines(300);
    let mut shop = Shop::new();
    let written = shop.load(&lines, &[], 5).await;
    let [file] = written.files.as_slice() else {
        panic!("one file is expected");
    };
    let path = shop
        .folder
        .path()
        .join("arquivos/vendas-feira/lago/main/vendas");
    let path = path.join(&file.name);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, file.size_bytes);
    let totals = shop
        .folder
        .path()
        .join("arquivos/vendas-feira/lago/main/vendas_totais");
    assert!(totals.join(&file.name).exists());
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap());
    let builder = builder.unwrap();
    let root = builder.parquet_schema().root_schema().get_fields().to_vec();
    let described: Vec<String> = root
        .iter()
        .map(|field| {
            let info = field.get_basic_info();
            let logical = info.logical_type_ref();
            format!(
                "{} {} {:?} {logical:?}",
                info.id(),
                info.name(),
                field.get_physical_type()
            )
        })
        .collect();
    assert_eq!(described[0], "1 id_pedido BYTE_ARRAY Some(String)");
    assert!(
        described[3].starts_with("4 preco INT64 Some(Decimal"),
        "{}",
        described[3]
    );
    assert!(
        described[4].contains("is_adjusted_to_u_t_c: false"),
        "{}",
        described[4]
    );
    assert!(described[4].contains("MICROS"), "{}", described[4]);
    let mut last: Option<(i32, String, i32)> = None;
    for batch in builder.build().unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let order = batch.column(0).as_string::<i32>().value(row).to_owned();
            let day = batch.column(7).as_primitive::<Date32Type>().value(row);
            let number = batch.column(8).as_primitive::<Int32Type>().value(row);
            let follows = match &last {
                Some((last_day, last_order, last_number))
                    if (*last_day, last_order) == (day, &order) =>
                {
                    number == last_number + 1
                }
                Some((last_day, last_order, _)) => {
                    (*last_day, last_order) < (day, &order) && number == 1
                }
                None => number == 1,
            };
            assert!(follows, "{row}");
            last = Some((day, order, number));
        }
    }
    let column = |name: &str| {
        file.columns
            .iter()
            .find(|column| column.column == name)
            .unwrap()
    };
    assert_eq!(column("carga").least.as_deref(), Some("5"));
    let unknown = lines.iter().filter(|line| line.region.is_empty()).count();
    assert_eq!(column("regiao").nulls, unknown as u64);
    assert_eq!(column("regiao").least.as_deref(), Some("RJ"));
    let dearest = lines.iter().map(|line| line.centavos).max().unwrap();
    let dearest = format!("{}.{:02}", dearest / 100, dearest % 100);
    assert_eq!(column("preco").greatest, Some(dearest));
    assert!(file.columns.iter().all(|column| column.size_bytes > 0));
}
