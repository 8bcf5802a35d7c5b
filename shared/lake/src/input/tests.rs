//! Files as exports write them, and as they break.

use std::{convert::Infallible, io::Read, io::Write, sync::Arc};

use ::parquet::arrow::ArrowWriter;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use domain::{
    sales::{SaleLine, fault::Column},
    time::UtcMillis,
};

use super::*;

/// Lines as `order product quantity centavos time region category`, and their fingerprints.
#[derive(Default)]
struct Taken {
    lines: Vec<String>,
    fingerprints: Vec<u64>,
}

impl Lines for Taken {
    type Error = Infallible;

    fn sale(&mut self, line: &SaleLine<'_>, fingerprint: u64) -> Result<(), Infallible> {
        let SaleLine {
            order,
            product,
            quantity,
            unit_price,
            sold,
            region,
            category,
        } = line;
        let centavos = unit_price.get();
        self.lines.push(format!(
            "{order} {product} {quantity} {centavos} {sold} {region} {category}"
        ));
        self.fingerprints.push(fingerprint);
        Ok(())
    }

    fn no_sale(&mut self, order: &str) -> Result<(), Infallible> {
        self.lines.push(format!("{order} -"));
        Ok(())
    }
}

/// Gives a few bytes at a time, so that every line is cut somewhere.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(self.1).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

struct Outcome {
    taken: Taken,
    counts: Counts,
    quarantine: String,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

fn csv_in_steps(bytes: &[u8], step: usize) -> Result<Outcome, BadFile> {
    let mut taken = Taken::default();
    let mut quarantine = Quarantine::new(Vec::new());
    let source = Dribble(bytes, step);
    let format = Format::of(bytes);
    match read_csv(format, source, 1 << 30, now(), &mut taken, &mut quarantine) {
        Ok(counts) => {
            let quarantine = quarantine.finish().unwrap();
            let quarantine = String::from_utf8_lossy(&quarantine).into_owned();
            Ok(Outcome {
                taken,
                counts,
                quarantine,
            })
        }
        Err(InputError::File(bad)) => Err(bad),
        Err(other) => panic!("{other:?}"),
    }
}

fn csv(bytes: &[u8]) -> Result<Outcome, BadFile> {
    let whole = csv_in_steps(bytes, usize::MAX);
    if bytes.len() < 4_000 {
        let cut = csv_in_steps(bytes, 1);
        let shown = |read: &Result<Outcome, BadFile>| match read {
            Ok(read) => (read.taken.lines.clone(), read.quarantine.clone()),
            Err(bad) => (vec![bad.code().to_owned()], String::new()),
        };
        assert_eq!(shown(&whole), shown(&cut));
    }
    whole
}

const PLAIN: &str = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n\
    1,a,2,39.90,2026-11-20,SP,casa\n\
    2,b,-1,5,2026-11-20 10:00:00,,\n\
    3,c,0,1.00,2026-11-20,RJ,casa\n";

const PLAIN_LINES: [&str; 3] = [
    "1 a 2 3990 2026-11-20T03:00:00.000Z SP casa",
    "2 b -1 500 2026-11-20T13:00:00.000Z  ",
    "3 -",
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_way_to_write_a_file_gives_the_same_lines() {
    let semicolons = PLAIN.replace(',', ";").replace("39.90", "39,9");
    let mut marked = vec![0xef, 0xbb, 0xbf];
    marked.extend_from_slice(semicolons.as_bytes());
    let quoted = PLAIN
        .replace("id_produto", "\"ID_Produto\"")
        .replace(",a,", ",\"a\",")
        .replace(",39.90,", ",\"39,90\",");
    let two_members = {
        let (head, tail) = PLAIN.split_at(90);
        [gzip(head.as_bytes()), gzip(tail.as_bytes())].concat()
    };
    for bytes in [
        PLAIN.as_bytes().to_vec(),
        PLAIN.trim_end().as_bytes().to_vec(),
        PLAIN.replace('\n', "\r\n").into_bytes(),
        PLAIN.replace('\n', "\n\r\n\n").into_bytes(),
        marked,
        quoted.into_bytes(),
        gzip(PLAIN.as_bytes()),
        two_members,
        zstd::encode_all(PLAIN.as_bytes(), 1).unwrap(),
    ] {
        let read = csv(&bytes).unwrap();
        assert_eq!(read.taken.lines, PLAIN_LINES);
        assert_eq!((read.counts.lines, read.counts.accepted), (3, 3));
        assert_eq!(read.quarantine, "");
    }
}

#[test]
fn columns_are_found_by_name_in_any_order_and_others_are_not_read() {
    let text =
        "obs,data, preco ,quantidade,id_produto,id_pedido\nx,20/11/2026,\"1.234,56\",1,a,1\n";
    let read = csv(text.as_bytes()).unwrap();
    assert_eq!(
        read.taken.lines,
        ["1 a 1 123456 2026-11-20T03:00:00.000Z  "]
    );
}

#[test]
fn fields_in_quotes_may_hold_commas_quotes_and_line_breaks() {
    let text = "id_pedido,id_produto,quantidade,preco,data,obs\n\
        \"1\",\"a,\"\"b\"\"\",1,1,2026-11-20,\"dois\r\nversos, \"\"três\"\"\"\n\
        2,x\"y,1,1,2026-11-20,\"\"\n\
        3,z,1,x,2026-11-20,\n";
    let read = csv(text.as_bytes()).unwrap();
    let expected = [
        "1 a,\"b\" 1 100 2026-11-20T03:00:00.000Z  ",
        "2 x\"y 1 100 2026-11-20T03:00:00.000Z  ",
    ];
    assert_eq!(read.taken.lines, expected);
    // The line's number counts the breaks in quotes.
    assert!(
        read.quarantine
            .contains("\n5,preco_invalido,preco,3,z,1,x,2026-11-20,")
    );
}

#[test]
fn the_last_line_may_end_in_a_quote_without_a_line_break() {
    let text = format!("{PLAIN}4,a,1,1,2026-11-20,SP,\"ca\nsa\"");
    let read = csv(text.replace("ca\nsa", "casa").as_bytes()).unwrap();
    assert_eq!(read.taken.lines.len(), 4);
    let read = csv(text.as_bytes()).unwrap();
    assert_eq!(read.counts.refused.get(&Fault::TextInvalid), Some(&1));
}

#[test]
fn a_line_that_is_broken_is_quarantined_alone() {
    let mut bytes = PLAIN.as_bytes().to_vec();
    bytes.extend_from_slice(b"4,a,1,1,2026-11-20,SP\n");
    bytes.extend_from_slice(b"5,a,1,1,2026-11-20,\"SP,casa\n");
    bytes.extend_from_slice(b"6,a,1,1,2026-11-20,SP,casa\n");
    bytes.extend_from_slice(b"7,a,1,1,2026-11-20,\"S\"P,casa\n");
    bytes.extend_from_slice(b"8,\xff\xfe,1,1,2026-11-20,SP,casa\n");
    bytes.extend_from_slice(b"9,a,1,1,2026-11-20,SP,casa,mais\n");
    bytes.extend_from_slice(b"10,a,1,1,2026-11-20,SP,\"casa\"\n");
    bytes.extend_from_slice(b"11,a,1,1,2026-11-20,SP,\"casa\n");
    bytes.extend_from_slice(b"12,a,1,1,2026-11-20,SP,casa");
    let read = csv(&bytes).unwrap();
    let orders: Vec<&str> = read.taken.lines[3..]
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(orders, ["6", "10", "12"]);
    let reasons: Vec<String> = read
        .quarantine
        .lines()
        .skip(1)
        .map(|line| line.split(',').take(4).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "5 numero_de_campos  4",
        "6 aspas_quebradas  \"5",
        "8 aspas_quebradas  \"7",
        "9 texto_invalido id_produto 8",
        "10 numero_de_campos  9",
        "12 aspas_quebradas  \"11",
    ];
    assert_eq!(reasons, expected);
    assert_eq!(read.counts.lines, 12);
    assert_eq!(read.counts.refused_lines(), 6);
    assert!(
        read.quarantine
            .starts_with("linha,motivo,campo,id_pedido,id_produto,")
    );
}

#[test]
fn a_line_longer_than_any_is_skipped() {
    let long = "9".repeat(3 * LONGEST_LINE_BYTES);
    let text = format!("{PLAIN}{long}\n\"{long}\n4,a,1,1,2026-11-20,SP,casa\n{long}");
    let read = csv(text.as_bytes()).unwrap();
    assert_eq!(read.taken.lines.len(), 4);
    assert_eq!(read.counts.refused.get(&Fault::LineTooLong), Some(&3));
    assert!(read.quarantine.len() < 4 * LONGEST_LINE_BYTES);
}

#[test]
fn lines_that_are_the_same_to_the_letter_have_the_same_fingerprint() {
    let line = "1,a,1,1,2026-11-20,SP,casa\n";
    let other = "1,a,1.0,1,2026-11-20,SP,casa\r\n";
    let read = csv(format!("{PLAIN}{line}{line}{other}").as_bytes()).unwrap();
    let [.., first, second, third] = read.taken.fingerprints[..] else {
        panic!("too few lines");
    };
    assert_eq!(first, second);
    assert_ne!(first, third);
}

#[test]
fn a_file_that_can_not_be_taken_says_why() {
    let refused = |bytes: &[u8]| csv(bytes).err();
    assert_eq!(refused(b""), Some(BadFile::Empty));
    assert_eq!(refused(b"\n\r\n"), Some(BadFile::Empty));
    let missing = vec![Column::Quantity, Column::Sold];
    assert_eq!(
        refused(b"id_pedido;id_produto;preco\n1;2;3\n"),
        Some(BadFile::ColumnsMissing(missing))
    );
    let twice = PLAIN.replace("regiao", "preco");
    assert_eq!(
        refused(twice.as_bytes()),
        Some(BadFile::ColumnTwice(Column::Price))
    );
    let packed = gzip(PLAIN.repeat(50).as_bytes());
    assert_eq!(refused(&packed[..packed.len() - 10]), Some(BadFile::Broken));
    assert_eq!(refused(&packed[..packed.len() / 2]), Some(BadFile::Broken));
    let packed = zstd::encode_all(PLAIN.as_bytes(), 1).unwrap();
    assert_eq!(refused(&packed[..packed.len() - 5]), Some(BadFile::Broken));
    let mut taken = Taken::default();
    let mut quarantine = Quarantine::new(Vec::new());
    let bytes = gzip(&vec![b'x'; 1_000_000]);
    let read = read_csv(
        Format::Gzip,
        &bytes[..],
        100_000,
        now(),
        &mut taken,
        &mut quarantine,
    );
    assert!(read.is_err());
    let text = format!("{PLAIN}{}", "1,a,1,1,2026-11-20,SP,casa\n".repeat(10_000));
    let read = read_csv(
        Format::Csv,
        text.as_bytes(),
        9_999,
        now(),
        &mut taken,
        &mut quarantine,
    );
    assert!(matches!(read, Err(InputError::File(BadFile::TooLarge))));
}

#[test]
fn a_source_that_breaks_off_is_no_fault_of_the_file() {
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for format in [Format::Csv, Format::Gzip, Format::Zstd] {
        let mut quarantine = Quarantine::new(Vec::new());
        let read = read_csv(
            format,
            Breaks,
            9_999,
            now(),
            &mut Taken::default(),
            &mut quarantine,
        );
        assert!(matches!(read, Err(InputError::Source(_))), "{format:?}");
    }
}

fn parquet_of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn parquet(bytes: Vec<u8>) -> Result<Outcome, BadFile> {
    let mut taken = Taken::default();
    let mut quarantine = Quarantine::new(Vec::new());
    match read_parquet(
        bytes::Bytes::from(bytes),
        1_000,
        now(),
        &mut taken,
        &mut quarantine,
    ) {
        Ok(counts) => {
            let quarantine = String::from_utf8(quarantine.finish().unwrap()).unwrap();
            Ok(Outcome {
                taken,
                counts,
                quarantine,
            })
        }
        Err(InputError::File(bad)) => Err(bad),
        Err(other) => panic!("{other:?}"),
    }
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn parquet_columns_are_read_whatever_their_type() {
    let day = 20_777; // 2026-11-20
    let noon_utc = (i64::from(day) * 86_400 + 43_200) * 1_000_000;
    let quantities: [ArrayRef; 4] = [
        Arc::new(Int32Array::from(vec![2, 1])),
        Arc::new(Float64Array::from(vec![2.0, 1.0])),
        Arc::new(
            Decimal128Array::from(vec![2000, 1000])
                .with_precision_and_scale(10, 3)
                .unwrap(),
        ),
        texts(&["2", "1,0"]),
    ];
    let prices: [ArrayRef; 4] = [
        Arc::new(Float64Array::from(vec![39.9, 0.1 + 0.2])),
        Arc::new(
            Decimal128Array::from(vec![3990, 30])
                .with_precision_and_scale(18, 2)
                .unwrap(),
        ),
        texts(&["39,90", "0.3"]),
        Arc::new(arrow_array::Float32Array::from(vec![39.9, 0.3])),
    ];
    let dates: [(ArrayRef, &str); 4] = [
        (
            Arc::new(Date32Array::from(vec![day, day])),
            "2026-11-20T03:00:00.000Z",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![noon_utc; 2])),
            "2026-11-20T15:00:00.000Z",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![noon_utc; 2]).with_timezone("UTC")),
            "2026-11-20T12:00:00.000Z",
        ),
        (
            texts(&["20/11/2026", "2026-11-20"]),
            "2026-11-20T03:00:00.000Z",
        ),
    ];
    for at in 0..4 {
        let ids: ArrayRef = match at {
            0 => Arc::new(Int64Array::from(vec![7, 8])),
            1 => Arc::new(Float64Array::from(vec![7.0, 8.0])),
            2 => Arc::new(arrow_array::UInt64Array::from(vec![7, 8])),
            _ => texts(&["7", "8"]),
        };
        let (sold, expected) = &dates[at];
        let read = parquet(parquet_of(vec![
            ("regiao", texts(&["SP", ""])),
            ("preco", prices[at].clone()),
            ("data", sold.clone()),
            ("obs", texts(&["x", "y"])),
            ("quantidade", quantities[at].clone()),
            ("id_produto", texts(&["a", "b"])),
            ("id_pedido", ids),
        ]))
        .unwrap();
        let lines = [
            format!("7 a 2 3990 {expected} SP "),
            format!("8 b 1 30 {expected}  "),
        ];
        assert_eq!(read.taken.lines, lines, "{at}");
    }
}

#[test]
fn parquet_rows_that_are_wrong_are_quarantined_and_a_wrong_type_refuses_the_file() {
    let columns = |prices: ArrayRef| {
        vec![
            (
                "id_pedido",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef,
            ),
            ("id_produto", texts(&["a", "b", "c"])),
            (
                "quantidade",
                Arc::new(Float64Array::from(vec![1.0, 1.0, 1.5])) as ArrayRef,
            ),
            ("preco", prices),
            (
                "data",
                Arc::new(Date32Array::from(vec![20_777; 3])) as ArrayRef,
            ),
        ]
    };
    let prices: ArrayRef = Arc::new(Float64Array::from(vec![-1.0, 2.0, 3.0]));
    let read = parquet(parquet_of(columns(prices))).unwrap();
    assert_eq!(read.taken.lines, [""; 0]);
    let expected = "linha,motivo,campo,id_pedido,id_produto,quantidade,preco,data\n\
        1,preco_negativo,preco,1,a,1,-1,2026-11-20\n\
        2,campo_ausente,id_pedido,,b,1,2,2026-11-20\n\
        3,quantidade_invalida,quantidade,3,c,1.5,3,2026-11-20\n";
    assert_eq!(read.quarantine, expected);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2, 3]));
    let refused = parquet(parquet_of(columns(dates))).err();
    assert_eq!(refused, Some(BadFile::ColumnType(Column::Price)));
    assert_eq!(
        parquet(b"PAR1 and nothing".to_vec()).err(),
        Some(BadFile::NotParquet)
    );
    let missing = parquet(parquet_of(vec![("id_pedido", texts(&["1"]))])).err();
    assert_eq!(missing.map(|bad| bad.columns().len()), Some(4));
}
