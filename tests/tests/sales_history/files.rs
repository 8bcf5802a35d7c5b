//! Random files of sales, written in every way that exports know.

use std::{collections::BTreeSet, io::Write, sync::Arc};

use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use testkit::Random;

use crate::model::Line;

/// 2026-01-01T03:00:00Z, the beginning of a São Paulo day.
const FIRST_MS: i64 = 1_767_236_400_000;
const HOUR_MS: i64 = 3_600_000;
/// An empty one is known to nobody.
pub const REGIONS: [&str; 4] = ["SP", "RJ", "Pará", ""];
pub const CATEGORIES: [&str; 4] = ["casa", "cama, mesa", "diz \"oi\"", ""];

/// What is in a file.
#[derive(Debug, Clone)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub lines: Vec<Line>,
    pub bad_lines: u64,
    /// Lines of sales that are the same to the letter as an earlier one.
    pub repeated: u64,
}

fn line(random: &mut Random, orders: u32) -> Line {
    let day = random.below(5) * random.below(12);
    let hour = random.below(24);
    Line {
        order: format!("P{}", random.below(orders)),
        product: format!("item {}", random.below(6)),
        quantity: match random.below(10) {
            0 => 0,
            1 => -2,
            more => more,
        },
        centavos: random.below(300_000),
        sold_ms: FIRST_MS + (day * 24 + hour) * HOUR_MS,
        region: (*random.one_of(&REGIONS)).to_owned(),
        category: (*random.one_of(&CATEGORIES)).to_owned(),
    }
}

/// A random file.
pub fn content(random: &mut Random) -> Content {
    let (count, orders) = match random.below(200) {
        0 => (30 + random.below(60), 40),
        _ => (random.below(14), 12),
    };
    let mut lines: Vec<Line> = (0..count).map(|_| line(random, orders)).collect();
    if random.percent(25) {
        for line in &mut lines {
            line.region = String::new();
            line.category = String::new();
        }
    }
    if random.percent(20) {
        parquet(random, lines)
    } else {
        csv(random, lines)
    }
}

fn decimal(centavos: i64) -> String {
    format!("{}.{:02}", centavos / 100, centavos % 100)
}

fn price(random: &mut Random, centavos: i64) -> String {
    let plain = decimal(centavos);
    match random.below(4) {
        0 => plain.replace('.', ","),
        1 if centavos >= 100_000 => {
            let (whole, cents) = plain.split_once('.').unwrap();
            let (thousands, rest) = whole.split_at(whole.len() - 3);
            format!("{thousands}.{rest},{cents}")
        }
        2 if centavos % 100 == 0 => format!("{}", centavos / 100),
        3 if centavos % 10 == 0 => plain[..plain.len() - 1].to_owned(),
        _ => plain,
    }
}

/// The clock of São Paulo, three hours behind UTC in 2026.
fn date(random: &mut Random, sold_ms: i64) -> String {
    let clock = UtcText(sold_ms - 3 * HOUR_MS);
    let (year, month, day, hour) = clock.parts();
    let is_midnight = hour == 0;
    match random.below(6) {
        0 if is_midnight => format!("{year:04}-{month:02}-{day:02}"),
        1 if is_midnight => format!("{day:02}/{month:02}/{year:04}"),
        2 => format!("{day:02}/{month:02}/{year:04} {hour:02}:00"),
        3 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:00:00.000-03:00"),
        4 => {
            let (year, month, day, hour) = UtcText(sold_ms).parts();
            format!("{year:04}-{month:02}-{day:02} {hour:02}:00:00Z")
        }
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:00:00"),
    }
}

/// A time in UTC, as the domain writes it.
struct UtcText(i64);

impl UtcText {
    fn parts(&self) -> (u32, u32, u32, u32) {
        let text = domain::time::UtcMillis::new(self.0).unwrap().to_string();
        let number = |range: std::ops::Range<usize>| text[range].parse().unwrap();
        (number(0..4), number(5..7), number(8..10), number(11..13))
    }
}

fn quantity(random: &mut Random, quantity: i32) -> String {
    match random.below(5) {
        0 => format!("{quantity}.0"),
        1 => format!("{quantity},00"),
        2 if quantity > 0 => format!("+{quantity}"),
        _ => quantity.to_string(),
    }
}

fn field(random: &mut Random, text: &str, delimiter: char) -> String {
    let must = text.contains([delimiter, '"', '\n', '\r']);
    if must || random.percent(10) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

const BAD: [&str; 7] = [
    "P1,item 1,um,1,2026-01-01,SP,casa,x",
    "P1,item 1,1,-1,2026-01-01,SP,casa,x",
    "P1,item 1,1,1,2026-13-01,SP,casa,x",
    "P1,item 1,1,1,2036-01-01,SP,casa,x",
    ",item 1,1,1,2026-01-01,SP,casa,x",
    "P1,item 1,1.000,1,2026-01-01,SP,casa,x",
    "P1,item 1,1,1.234,1980-01-01,SP,casa,x",
];

fn csv(random: &mut Random, lines: Vec<Line>) -> Content {
    let delimiter = if random.percent(50) { ',' } else { ';' };
    let line_break = if random.percent(30) { "\r\n" } else { "\n" };
    let has_names = lines
        .iter()
        .any(|line| !(line.region.is_empty() && line.category.is_empty()));
    let mut columns = vec!["id_pedido", "id_produto", "quantidade", "preco", "data"];
    if has_names || random.percent(50) {
        columns.extend(["regiao", "categoria"]);
    }
    columns.push("obs");
    for place in (1..columns.len()).rev() {
        columns.swap(place, random.below(place + 1));
    }
    let mut text = String::new();
    if random.percent(20) {
        text.push('\u{feff}');
    }
    text.push_str(&columns.join(&delimiter.to_string()));
    text.push_str(line_break);
    let (mut bad_lines, mut repeated) = (0, 0);
    let mut kept = Vec::new();
    let mut seen = BTreeSet::new();
    for line in lines {
        if random.percent(6) {
            text.push_str(&bad_line(random, &columns, delimiter));
            text.push_str(line_break);
            bad_lines += 1;
        }
        let row = row(random, &line, &columns, delimiter);
        let times = if random.percent(10) { 2 } else { 1 };
        for _ in 0..times {
            if line.quantity != 0 && !seen.insert(row.clone()) {
                repeated += 1;
            }
            text.push_str(&row);
            text.push_str(line_break);
            kept.push(line.clone());
        }
    }
    if random.percent(30) {
        text.truncate(text.trim_end().len());
    }
    let bytes = match random.below(5) {
        0 => {
            let level = flate2::Compression::fast();
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
            packed.write_all(text.as_bytes()).unwrap();
            packed.finish().unwrap()
        }
        1 => zstd::encode_all(text.as_bytes(), 1).unwrap(),
        _ => text.into_bytes(),
    };
    Content {
        bytes,
        lines: kept,
        bad_lines,
        repeated,
    }
}

fn row(random: &mut Random, line: &Line, columns: &[&str], delimiter: char) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|column| {
            let text = match *column {
                "id_pedido" => line.order.clone(),
                "id_produto" => line.product.clone(),
                "quantidade" => quantity(random, line.quantity),
                "preco" => price(random, line.centavos),
                "data" => date(random, line.sold_ms),
                "regiao" => line.region.clone(),
                "categoria" => line.category.clone(),
                _ if random.percent(5) => "duas\nlinhas".to_owned(),
                _ => format!("{}", random.below(3)),
            };
            field(random, &text, delimiter)
        })
        .collect();
    fields.join(&delimiter.to_string())
}

fn bad_line(random: &mut Random, columns: &[&str], delimiter: char) -> String {
    if random.percent(30) {
        // A quote that is never closed costs its own line only: so many closing ones follow.
        return format!("P1{delimiter}item \"1{delimiter}1");
    }
    let names = [
        "id_pedido",
        "id_produto",
        "quantidade",
        "preco",
        "data",
        "regiao",
        "categoria",
        "obs",
    ];
    let bad: Vec<&str> = BAD[random.below(BAD.len())].split(',').collect();
    let fields: Vec<&str> = columns
        .iter()
        .map(|column| bad[names.iter().position(|name| name == column).unwrap()])
        .collect();
    fields.join(&delimiter.to_string())
}

fn parquet(random: &mut Random, lines: Vec<Line>) -> Content {
    let texts = |value: fn(&Line) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(lines.iter().map(value)))
    };
    let prices: ArrayRef = if random.percent(50) {
        let values = lines
            .iter()
            .map(|line| decimal(line.centavos).parse::<f64>().unwrap());
        Arc::new(Float64Array::from_iter_values(values))
    } else {
        let values = lines.iter().map(|line| i128::from(line.centavos));
        let values = Decimal128Array::from_iter_values(values);
        Arc::new(values.with_precision_and_scale(18, 2).unwrap())
    };
    let quantities = lines.iter().map(|line| i64::from(line.quantity));
    let is_zoned = random.percent(50);
    let micros = lines.iter().map(|line| {
        let clock_ms = if is_zoned {
            line.sold_ms
        } else {
            line.sold_ms - 3 * HOUR_MS
        };
        clock_ms * 1000
    });
    let sold = TimestampMicrosecondArray::from_iter_values(micros);
    let sold: ArrayRef = if is_zoned {
        Arc::new(sold.with_timezone("UTC"))
    } else {
        Arc::new(sold)
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("categoria", texts(|line| &line.category)),
        ("preco", prices),
        ("data", sold),
        ("regiao", texts(|line| &line.region)),
        (
            "quantidade",
            Arc::new(Int64Array::from_iter_values(quantities)),
        ),
        ("id_pedido", texts(|line| &line.order)),
        ("id_produto", texts(|line| &line.product)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let mut seen = BTreeSet::new();
    let repeated = lines
        .iter()
        .filter(|line| line.quantity != 0 && !seen.insert((*line).clone()))
        .count();
    Content {
        bytes: writer.into_inner().unwrap(),
        bad_lines: 0,
        repeated: u64::try_from(repeated).unwrap(),
        lines,
    }
}
