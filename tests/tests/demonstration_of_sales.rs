//! `demo-vendas` through the real program: right totals, the same ones the second time; those of the
//! real orders were computed apart from the product.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use domain::lake::Table;
use domain::sales::{Grouping, Question};
use files::{Files, FolderFiles};
use lake::{Lake, SalesReader};
use serde_json::{Value, json};
use sql_store::Store;
use sql_store::lake::{files_at, latest};
use tempfile::TempDir;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/src/demo/sample");
/// Real orders beside the project; their licence keeps them out of it.
const REAL_ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/olist");

fn demonstration(state: &Path, data: &str) -> Value {
    let output = Command::new(testkit::function_binaries().join("feira-local"))
        .args(["--no-build", "--template", TEMPLATE, "--state-dir"])
        .arg(state)
        .args(["demo-vendas", "--json", "--data", data])
        .env_remove("DATABASE_URL_LOCAL")
        .stdin(Stdio::null())
        .current_dir(state.parent().expect("a folder"))
        .output()
        .expect("runs");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{told}");
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&line).expect("one line of JSON")
}

/// Sums of the sample as the test adds them up: every line but the last two, which are bad.
fn plain_sums() -> (i64, i64, BTreeMap<String, [i64; 2]>) {
    let text = fs::read_to_string(Path::new(SAMPLE).join("vendas.csv")).unwrap();
    let mut by_region: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    let mut lines = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (Ok(quantity), false) = (fields[2].parse::<i64>(), fields[1].is_empty()) else {
            continue;
        };
        let centavos: i64 = fields[3].replace('.', "").parse().unwrap();
        let sums = by_region.entry(fields[5].to_owned()).or_default();
        sums[0] += quantity;
        sums[1] += quantity * centavos;
        lines += 1;
    }
    let quantity = by_region.values().map(|sums| sums[0]).sum();
    (lines, quantity, by_region)
}

#[test]
fn the_sample_is_loaded_twice_and_counted_once() {
    let here = TempDir::new().unwrap();
    let state = here.path().join("state");
    let (lines, quantity, by_region) = plain_sums();
    for _ in 0..2 {
        let line = demonstration(&state, SAMPLE);
        assert_eq!(line["linhas"], lines);
        assert_eq!(line["quantidade"], quantity);
        assert_eq!(line["quarentena"], 2);
        for (region, sums) in &by_region {
            let told = &line["por_regiao"][region];
            assert_eq!((&told[0], &told[1]), (&json!(sums[0]), &json!(sums[1])));
        }
    }
}

/// `key,quantidade,receita_centavos,pedidos` of a file of right totals.
fn expected(name: &str) -> BTreeMap<String, [i64; 3]> {
    let path = Path::new(REAL_ORDERS).join(format!("esperado_por_{name}.csv"));
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let mut fields = line.rsplitn(4, ',');
            let mut number = || fields.next().unwrap().parse().unwrap();
            let (orders, centavos, quantity) = (number(), number(), number());
            let key = line.rsplitn(4, ',').last().unwrap();
            (key.to_owned(), [quantity, centavos, orders])
        })
        .collect()
}

#[tokio::test]
async fn the_real_orders_come_to_the_right_totals_by_every_grouping() {
    if !Path::new(REAL_ORDERS).exists() {
        return;
    }
    let here = TempDir::new().unwrap();
    let state = here.path().join("state");
    let line = demonstration(&state, REAL_ORDERS);
    let regions = expected("regiao");
    assert_eq!(line["por_regiao"], json!(regions));
    let sum = |place: usize| regions.values().map(|sums| sums[place]).sum::<i64>();
    assert_eq!(line["quantidade"], sum(0));
    assert_eq!(line["receita_centavos"], sum(1));
    assert_eq!(line["pedidos"], sum(2));
    assert_eq!(line["quarentena"], 0);

    let url = format!("sqlite://{}", state.join("banco1.sqlite").display());
    let store = Store::open(&url).await.unwrap();
    let snapshot = latest(&store, &[Table::Sales]).await.unwrap().unwrap();
    let files = files_at(&store, Table::Sales, snapshot.id).await.unwrap();
    let folder = Files::Folder(FolderFiles::open(&state.join("arquivos")).unwrap());
    let reader = Arc::new(SalesReader::new(Lake::new(folder, "sales-bucket")));
    for (name, grouping) in [
        ("produto", Grouping::Product),
        ("regiao", Grouping::Region),
        ("categoria", Grouping::Category),
        ("mes", Grouping::Month),
    ] {
        let question = Question {
            grouping,
            from: None,
            to: None,
            region: None,
            category: None,
            product: None,
        };
        let groups = reader.answer(&files, &question).await.unwrap();
        let found: BTreeMap<String, [i64; 3]> = groups
            .into_iter()
            .map(|group| {
                let sums = [
                    group.sums.quantity,
                    group.sums.revenue_centavos,
                    group.sums.orders,
                ];
                (group.key.unwrap_or_default(), sums)
            })
            .collect();
        assert_eq!(found, expected(name), "{name}");
    }
}
