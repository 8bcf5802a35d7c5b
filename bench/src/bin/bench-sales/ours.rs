//! Our loads and answers, each in a process of its own, told as a line of JSON.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use bench::process_cost::{self, ProcessCost};
use compact_lake::CompactLake;
use documents::Documents;
use domain::lake::Table;
use files::{Files, FolderFiles};
use lake::Lake;
use lambda_kit::{
    Invocation, clock, http,
    schedule::{Handler, ScheduledRun},
};
use load_sales::{Parts, Settings};
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use serde_json::{Value, json};
use sql_store::{Store, lake::newest_files};

use crate::Outcome;

const BUCKET: &str = "sales-bucket";
const KEY: &str = "vendas/bench.csv";
const LOAD_LIMIT_MS: i64 = 900_000;
/// The place of `data` in a line of make_sales.py.
const DATE_COLUMN: usize = 4;
/// Questions, from one that totals answer to those that read lines.
const QUESTIONS: [(&str, &str); 8] = [
    ("first page, all products", "limite=50"),
    ("by region", "agrupar_por=regiao"),
    ("by month", "agrupar_por=mes"),
    (
        "a quarter, all products",
        "de=2023-04-01&ate=2023-06-30&limite=50",
    ),
    (
        "one day, all products",
        "de=2023-05-11&ate=2023-05-11&limite=50",
    ),
    ("one product by day", "agrupar_por=dia&id_produto=777"),
    ("one region, all products", "regiao=SP&limite=50"),
    (
        "region and category, by day",
        "agrupar_por=dia&regiao=SP&categoria=categoria_07&de=2023-02-01&ate=2024-10-31",
    ),
];
const GROUPINGS: [&str; 5] = ["produto", "regiao", "categoria", "dia", "mes"];
const FILTERS: [&str; 3] = ["&id_produto=777", "&regiao=SP", "&categoria=categoria_07"];
const PERIODS: [&str; 2] = ["", "&de=2023-04-01&ate=2023-06-30"];
/// Warm pages asked for.
const WARM_REQUESTS: usize = 20_000;

async fn open(state: &Path) -> Outcome<(Store, FolderFiles)> {
    let store = Store::open(&format!("sqlite://{}/banco1.sqlite", state.display())).await?;
    sql_store::migrate::migrate(&store, clock::now()).await?;
    let folder = state.join("arquivos");
    fs::create_dir_all(&folder)?;
    Ok((store, FolderFiles::open(&folder)?))
}

fn parts(store: Store, folder: FolderFiles) -> Parts {
    Parts {
        store,
        files: Files::Folder(folder),
        settings: Settings::default(),
        clock: clock::now,
        deadline: clock::now().plus_millis(LOAD_LIMIT_MS),
    }
}

fn own_cost() -> std::io::Result<ProcessCost> {
    process_cost::of(std::process::id())
}

fn target(state: &Path, key: &str) -> Outcome<PathBuf> {
    let target = state.join("arquivos").join(BUCKET).join(key);
    fs::create_dir_all(target.parent().ok_or("a folder")?)?;
    Ok(target)
}

/// One load, and what it cost. Done again it loads a newer version of the file.
pub async fn load(state: &Path, file: &Path) -> Outcome<()> {
    let (store, folder) = open(state).await?;
    fs::copy(file, target(state, KEY)?)?;
    let (before, started) = (own_cost()?, Instant::now());
    let load = load_sales::load(&parts(store, folder), BUCKET, KEY).await?;
    let load = load.ok_or("there is no file")?;
    let report: Value = serde_json::from_str(load.report.as_deref().unwrap_or("{}"))?;
    let cost = own_cost()?;
    let told = json!({
        "rows": report["linhas_no_lago"], "quantity": report["quantidade"],
        "revenue": report["receita"], "wall": started.elapsed().as_secs_f64(),
        "cpu": cost.cpu_micros.saturating_sub(before.cpu_micros) as f64 / 1e6,
        "peak_rss_kib": cost.peak_rss_kib,
    });
    println!("{told}");
    Ok(())
}

/// The same lines as a file for each day, one load after the other.
pub async fn load_days(state: &Path, file: &Path) -> Outcome<()> {
    let keys = split(state, file)?;
    let (store, folder) = open(state).await?;
    let parts = parts(store, folder);
    let before = own_cost()?;
    for key in &keys {
        load_sales::load(&parts, BUCKET, key).await?;
    }
    let cost = own_cost()?;
    let told = json!({
        "loads": keys.len(), "live": live_files(&parts.store).await?,
        "cpu": cost.cpu_micros.saturating_sub(before.cpu_micros) as f64 / 1e6,
    });
    println!("{told}");
    Ok(())
}

/// Writes the lines into a file for each day; answers the keys.
fn split(state: &Path, file: &Path) -> Outcome<Vec<String>> {
    let mut lines = BufReader::new(fs::File::open(file)?).lines();
    let header = lines.next().ok_or("an empty file")??;
    let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let line = line?;
        let day = line
            .split(',')
            .nth(DATE_COLUMN)
            .ok_or("a line has no day")?;
        days.entry(day.to_owned()).or_default().push(line);
    }
    let mut keys = Vec::new();
    for (day, lines) in days {
        let key = format!("vendas/{day}.csv");
        let mut to = BufWriter::new(fs::File::create(target(state, &key)?)?);
        writeln!(to, "{header}")?;
        for line in lines {
            writeln!(to, "{line}")?;
        }
        to.flush()?;
        keys.push(key);
    }
    Ok(keys)
}

async fn live_files(store: &Store) -> Outcome<usize> {
    let newest = newest_files(store, Table::Sales).await?;
    Ok(newest.map_or(0, |(_, files)| files.len()))
}

/// What compact-lake makes of the files.
pub async fn merge(state: &Path) -> Outcome<()> {
    let (store, folder) = open(state).await?;
    let lake = Lake::new(Files::Folder(folder), BUCKET);
    let function = CompactLake::new(
        store.clone(),
        Documents::in_sql(store.clone()),
        lake,
        clock::now,
    );
    let now = clock::now();
    let mut invocation = Invocation::at(now);
    invocation.deadline = now.plus_millis(LOAD_LIMIT_MS);
    let run = ScheduledRun {
        date: now.day(),
        again: false,
        accepts_empty: false,
    };
    let done = function.handle(run, &invocation).await;
    let done = done.map_err(|failed| failed.code)?;
    let cost = own_cost()?;
    let told = json!({
        "ended": done.arquivos_juntados, "live": live_files(&store).await?,
        "cpu": cost.cpu_micros as f64 / 1e6, "peak_rss_kib": cost.peak_rss_kib,
    });
    println!("{told}");
    Ok(())
}

/// Each question once cold and then warm, every combination cold, and many pages.
pub async fn ask(state: &Path) -> Outcome<()> {
    let (store, folder) = open(state).await?;
    let files = Files::Folder(folder);
    let fresh = || SalesSummary::new(LakeSource::new(store.clone(), files.clone(), BUCKET));
    let mut answers = Vec::new();
    for (name, query) in QUESTIONS {
        let handler = fresh();
        let cold = one(&handler, query).await?;
        let warm = one(&handler, query).await?;
        answers.push(json!({"name": name, "cold_ms": cold, "warm_ms": warm}));
    }
    let mut combined = Vec::new();
    for query in combinations() {
        let micros = (one(&fresh(), &query).await? * 1e3) as u64;
        combined.push((micros, query));
    }
    combined.sort_unstable();
    let (slowest, query) = combined.last().ok_or("no combination")?;
    let median = process_cost::median(combined.iter().map(|(micros, _)| *micros).collect());
    let handler = fresh();
    one(&handler, "limite=50").await?;
    let (before, begun) = (own_cost()?, Instant::now());
    let mut each = Vec::with_capacity(WARM_REQUESTS);
    for _ in 0..WARM_REQUESTS {
        each.push((one(&handler, "limite=50").await? * 1e3) as u64);
    }
    let rate = WARM_REQUESTS as f64 / begun.elapsed().as_secs_f64();
    let cost = own_cost()?;
    let cpu_micros = cost.cpu_micros.saturating_sub(before.cpu_micros);
    each.sort_unstable();
    let p99 = each.get(each.len() * 99 / 100).copied().unwrap_or_default();
    let told = json!({
        "questions": answers, "combinations": combined.len(), "slowest": query,
        "slowest_ms": *slowest as f64 / 1e3, "median_ms": median as f64 / 1e3, "rate": rate,
        "cpu_micros": cpu_micros as f64 / WARM_REQUESTS as f64,
        "p50_us": process_cost::median(each), "p99_us": p99, "peak_rss_kib": cost.peak_rss_kib,
    });
    println!("{told}");
    Ok(())
}

/// Every grouping with every set of filters, of all days and of a quarter.
fn combinations() -> Vec<String> {
    let mut all = Vec::new();
    for grouping in GROUPINGS {
        for chosen in 0..1 << FILTERS.len() {
            let filters: String = (0..)
                .zip(FILTERS)
                .filter(|(place, _)| chosen >> place & 1 == 1)
                .map(|(_, filter)| filter)
                .collect();
            for period in PERIODS {
                all.push(format!("agrupar_por={grouping}&limite=50{filters}{period}"));
            }
        }
    }
    all
}

/// Milliseconds of one request through the handler, event and answer as JSON.
async fn one(handler: &SalesSummary<LakeSource>, query: &str) -> Outcome<f64> {
    let event = event(query);
    let invocation = Invocation::at(clock::now());
    let begun = Instant::now();
    let answer = http::answer(handler, event, &invocation).await;
    let bytes = serde_json::to_vec(&answer)?;
    let elapsed = begun.elapsed().as_secs_f64() * 1e3;
    if answer["statusCode"] == 200 && !bytes.is_empty() {
        Ok(elapsed)
    } else {
        Err(format!("{query}: {answer}").into())
    }
}

/// What API Gateway sends.
fn event(query: &str) -> Value {
    let parameters: serde_json::Map<String, Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "version": "2.0", "routeKey": "GET /vendas/resumo", "rawPath": "/vendas/resumo",
        "rawQueryString": query, "queryStringParameters": parameters,
        "headers": {"accept": "application/json"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example",
            "domainPrefix": "api", "requestId": "r", "routeKey": "GET /vendas/resumo",
            "stage": "$default", "time": "20/Nov/2026:15:04:05 +0000",
            "timeEpoch": 1_795_187_045_000_i64,
            "authorizer": {"lambda": {"sub": "bench", "scope": "vendas:read"}},
            "http": {"method": "GET", "path": "/vendas/resumo", "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "bench"},
        },
    })
}
