//! Rows that stream in are read back as they were, and putting files together changes none of them.
#![cfg(test)]

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use domain::lake::{DataFile, Table, WrittenFile};
use domain::time::UtcMillis;
use files::{Files, FolderFiles};
use lake::Lake;
use lake::rows::{EventRow, Source, compact, write_events};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:00:00Z").unwrap()
}

fn lake(folder: &TempDir) -> Lake {
    Lake::new(
        Files::Folder(FolderFiles::open(folder.path()).unwrap()),
        "vendas-teste",
    )
}

fn row(number: i64) -> EventRow {
    let is_full = number % 2 == 0;
    EventRow {
        user: format!("u{number}"),
        kind: "clique".into(),
        product: is_full.then(|| format!("p{number}")),
        occurred: now().plus_millis(-number * 3_600_000),
        event_id: format!("e{number}"),
        session: None,
        quantity: is_full.then_some(2),
        price_centavos: is_full.then_some(3_990),
        reference: None,
        region: is_full.then(|| "BA".to_owned()),
        source: is_full.then(|| Source {
            topic: "eventos_clientes".into(),
            partition: 3,
            offset: number,
        }),
    }
}

async fn read(lake: &Lake, file: &WrittenFile) -> RecordBatch {
    let address = lake.address(file.table, &file.name).unwrap();
    let content = lake.files().get(&address, 1 << 24).await.unwrap();
    assert_eq!(content.len() as u64, file.size_bytes);
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content))
        .unwrap()
        .build()
        .unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

fn users(batch: &RecordBatch) -> Vec<&str> {
    batch
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect()
}

#[tokio::test]
async fn events_are_read_back_with_what_the_catalogue_is_told() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let rows: Vec<EventRow> = (0..3).map(row).collect();
    let file = write_events(&lake, rows, now()).await.unwrap().unwrap();
    let batch = read(&lake, &file).await;
    assert_eq!(users(&batch), ["u2", "u1", "u0"], "by their time");
    let prices = batch.column(7).as_primitive::<Decimal128Type>();
    assert_eq!(
        (prices.value(0), prices.is_null(1), prices.value(2)),
        (3_990, true, 3_990)
    );
    let times = batch.column(3).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(2), now().get() * 1_000);
    let days = batch.column(10).as_primitive::<Date32Type>();
    assert_eq!(days.value(2), now().day().epoch_days());
    let offsets = batch.column(13).as_primitive::<Int64Type>();
    assert_eq!((offsets.value(0), offsets.is_null(1)), (2, true));
    let of = |name: &str| {
        file.columns
            .iter()
            .find(|column| column.column == name)
            .unwrap()
    };
    let ends = |name: &str| {
        let column = of(name);
        (
            column.least.as_deref().unwrap(),
            column.greatest.as_deref().unwrap(),
            column.nulls,
        )
    };
    assert_eq!(ends("id_usuario"), ("u0", "u2", 0));
    assert_eq!(ends("preco"), ("39.90", "39.90", 1));
    assert_eq!(
        ends("timestamp"),
        ("2026-11-20 13:00:00", "2026-11-20 15:00:00", 0)
    );
    assert_eq!(ends("dia"), ("2026-11-20", "2026-11-20", 0));
    assert_eq!((of("ref").least.as_deref(), of("ref").nulls), (None, 3));
    assert_eq!(write_events(&lake, Vec::new(), now()).await.unwrap(), None);
}

#[tokio::test]
async fn stored_events_are_given_one_by_one() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let rows: Vec<EventRow> = (1..3).map(row).collect();
    let written = write_events(&lake, rows, now()).await.unwrap().unwrap();
    let file = DataFile {
        id: 1,
        name: written.name,
        rows: written.rows,
        size_bytes: written.size_bytes,
        days: None,
        orders: None,
        loads: None,
    };
    let mut found = Vec::new();
    let visit = lake.each_stored_event(&file, |event| {
        assert_eq!(event.kind, Some("clique"));
        let place = event
            .source
            .map(|(_, partition, offset)| (partition, offset));
        found.push((event.user.unwrap().to_owned(), place));
    });
    visit.await.unwrap();
    let expected = [("u2".to_owned(), Some((3, 2))), ("u1".to_owned(), None)];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_same_batch_in_any_order_takes_the_same_place() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let rows: Vec<EventRow> = (0..5).map(row).collect();
    let turned = rows.iter().rev().cloned().collect();
    let first = write_events(&lake, rows.clone(), now()).await.unwrap();
    assert_eq!(write_events(&lake, turned, now()).await.unwrap(), first);
    let tomorrow = write_events(&lake, rows, now().plus_days(1))
        .await
        .unwrap()
        .unwrap();
    assert_ne!(tomorrow.name, first.unwrap().name);
}

#[tokio::test]
async fn files_that_are_put_together_hold_every_row_by_day_and_time() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let mut files = Vec::new();
    for number in 0..6 {
        let rows = vec![row(number), row(number + 40)];
        let file = write_events(&lake, rows, now()).await.unwrap().unwrap();
        files.push(DataFile {
            id: number,
            name: file.name,
            rows: file.rows,
            size_bytes: file.size_bytes,
            days: None,
            orders: None,
            loads: None,
        });
    }
    let written = compact(&lake, Table::CustomerEvents, &files, now())
        .await
        .unwrap();
    assert_eq!(written.len(), 1);
    let batch = read(&lake, &written[0]).await;
    let expected: Vec<String> = (40..46)
        .rev()
        .chain((0..6).rev())
        .map(|number| format!("u{number}"))
        .collect();
    assert_eq!(users(&batch), expected);
    files[0].rows += 1;
    let refusal = compact(&lake, Table::CustomerEvents, &files, now()).await;
    assert!(refusal.is_err(), "a row that is missing is noticed");
}
