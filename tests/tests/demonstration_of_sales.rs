//! `demo-vendas` through the real program: right totals, the same ones the second time; those of the
//! real orders were computed apart from the product.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::time::UtcMillis;
use files::{Files, FolderFiles};
use lambda_kit::{Invocation, http};
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx};
use tempfile::TempDir;
use testkit::HttpCall;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/src/demo/sample");
/// Real orders beside the project; their licence keeps them out of it.
const REAL_ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/olist");

fn feira(state: &Path) -> Command {
    let mut command = Command::new(testkit::function_binaries().join("feira-local"));
    command
        .args(["--no-build", "--template", TEMPLATE, "--state-dir"])
        .arg(state)
        .env_remove("DATABASE_URL_LOCAL")
        .stdin(Stdio::null())
        .current_dir(state.parent().expect("a folder"));
    command
}

fn demonstration(state: &Path, data: &str) -> Value {
    let output = feira(state)
        .args(["demo-vendas", "--json", "--data", data])
        .output()
        .expect("runs");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{told}");
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&line).expect("one line of JSON")
}

/// What the sample's groups come to as the test adds them up: every line but the last two, which are
/// bad.
fn plain_sums(key: impl Fn(&[&str]) -> String) -> BTreeMap<String, [i64; 3]> {
    let text = fs::read_to_string(Path::new(SAMPLE).join("vendas.csv")).unwrap();
    let mut sums: BTreeMap<String, [i64; 3]> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (Ok(quantity), false) = (fields[2].parse::<i64>(), fields[1].is_empty()) else {
            continue;
        };
        let centavos: i64 = fields[3].replace('.', "").parse().unwrap();
        let group = sums.entry(key(&fields)).or_default();
        group[0] += quantity;
        group[1] += quantity * centavos;
        group[2] += i64::from(seen.insert((key(&fields), fields[0].to_owned())));
    }
    sums
}

/// What `GET /vendas/resumo` answers, all of it, over what a demonstration loaded.
async fn answered(state: &Path, grouping: &str) -> BTreeMap<String, [i64; 3]> {
    let url = format!("sqlite://{}", state.join("banco1.sqlite").display());
    let store = Store::open(&url).await.unwrap();
    let folder = Files::Folder(FolderFiles::open(&state.join("arquivos")).unwrap());
    let function = SalesSummary::new(LakeSource::new(store, folder, "sales-bucket"));
    let call = HttpCall::of("GET /vendas/resumo")
        .query("agrupar_por", grouping)
        .query("formato", "ndjson")
        .token_of("analista", "vendas:read");
    let now = UtcMillis::parse("2026-11-21T12:00:00Z").unwrap();
    let answer = http::answer(&function, call.event(), &Invocation::at(now)).await;
    assert_eq!(answer["statusCode"], 200, "{grouping}");
    assert!(
        answer["headers"]["x-proximo-cursor"].is_null(),
        "{grouping}"
    );
    let lines = answer["body"].as_str().unwrap().lines().map(|line| {
        let group: Value = serde_json::from_str(line).unwrap();
        let field = if grouping == "produto" {
            "id_produto"
        } else {
            grouping
        };
        let key = group[field].as_str().unwrap_or_default().to_owned();
        let centavos = group["receita"].as_str().unwrap().replace('.', "");
        let sums = [
            group["total_vendido"].as_i64().unwrap(),
            centavos.parse().unwrap(),
            group["pedidos"].as_i64().unwrap(),
        ];
        (key, sums)
    });
    lines.collect()
}

#[tokio::test]
async fn the_sample_is_loaded_twice_and_counted_once() {
    let here = TempDir::new().unwrap();
    let state = here.path().join("state");
    let regions = plain_sums(|fields| fields[5].to_owned());
    let sum = |place: usize| regions.values().map(|sums| sums[place]).sum::<i64>();
    for _ in 0..2 {
        let line = demonstration(&state, SAMPLE);
        let text = fs::read_to_string(Path::new(SAMPLE).join("vendas.csv")).unwrap();
        assert_eq!(line["linhas"], text.lines().count() - 3);
        assert_eq!(line["quantidade"], sum(0));
        assert_eq!(line["receita_centavos"], sum(1));
        assert_eq!(line["quarentena"], 2);
        assert_eq!(line["por_regiao"], json!(regions));
    }
    assert_eq!(answered(&state, "regiao").await, regions);
    let products = plain_sums(|fields| fields[1].to_owned());
    assert_eq!(answered(&state, "produto").await, products);
    let categories = plain_sums(|fields| fields[6].to_owned());
    assert_eq!(answered(&state, "categoria").await, categories);
    let months = plain_sums(|fields| fields[4][..7].to_owned());
    assert_eq!(answered(&state, "mes").await, months);
    let days = plain_sums(|fields| fields[4][..10].to_owned());
    assert_eq!(answered(&state, "dia").await, days);
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
        eprintln!("no real orders beside the project: the sample's test stands alone");
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

    for grouping in ["produto", "regiao", "categoria", "mes"] {
        let found = answered(&state, grouping).await;
        assert_eq!(found, expected(grouping), "{grouping}");
    }
}

#[tokio::test]
async fn the_daily_graph_runs_from_a_companys_orders_to_the_checks() {
    const QUERY: &str = "SalesQuery=SELECT pedido AS id_pedido, produto AS id_produto, quantidade, \
        preco, dia AS data FROM erp WHERE dia = ? AND pedido > ? ORDER BY pedido LIMIT ?";
    let here = TempDir::new().unwrap();
    let state = here.path().join("state");
    let erp = format!("sqlite://{}", here.path().join("erp.sqlite").display());
    let company = Store::open(&erp).await.unwrap();
    for sql in [
        "CREATE TABLE erp (pedido TEXT, produto TEXT, quantidade INTEGER, preco TEXT, dia TEXT)",
        "INSERT INTO erp VALUES ('p1', 'a', 2, '10.50', '2026-03-05'), \
         ('p2', 'b', 1, '5.00', '2026-03-05'), ('p3', 'b', 1, '5.00', '2026-03-06')",
    ] {
        let sent = async |tx: &Tx| tx.execute(sql, Vec::new()).await;
        company.transact::<_, StoreError, _>(sent).await.unwrap();
    }
    fs::create_dir(&state).unwrap();
    // As SQLAlchemy reads it, which counts the slash of the path once more.
    let told = erp.replacen("sqlite://", "sqlite:///", 1);
    fs::write(state.join(".env"), format!("SALES_SOURCE_URL={told}\n")).unwrap();
    let output = feira(&state)
        .args(["--parameter", QUERY])
        .args(["run", "pipeline_ecommerce", "--date", "2026-03-05"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let reports: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let jobs: Vec<&Value> = reports.iter().map(|report| &report["job"]).collect();
    assert_eq!(jobs, ["vendas_exportar", "vendas_verificar_qualidade"]);
    assert_eq!(reports[0]["contagens"]["linhas"], 2);
    assert_eq!(reports[1]["situacao"], "feito", "{told}");
    let days = BTreeMap::from([("2026-03-05".to_owned(), [3, 2_600, 2])]);
    assert_eq!(answered(&state, "dia").await, days);
}
