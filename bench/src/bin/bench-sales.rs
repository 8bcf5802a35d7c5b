//! Sales loaded and asked: ours beside DuckDB, Polars and PySpark, and beside the summary as a first
//! version is written in Python, on files of make_sales.py in the folder given.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bench::process_cost;
use files::{Files, FolderFiles};
use lambda_kit::{Invocation, clock, http};
use load_sales::{Parts, Settings};
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use serde_json::{Value, json};
use sql_store::Store;
use tempfile::TempDir;

const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
const BUCKET: &str = "sales-bucket";
const KEY: &str = "vendas/bench.csv";
const LOAD_LIMIT_MS: i64 = 900_000;
/// Others are asked to do the same work by a script each.
const OTHERS: [(&str, &str); 3] = [
    ("DuckDB", "load_duckdb.py"),
    ("Polars", "load_polars.py"),
    ("PySpark local[2]", "load_spark.py"),
];
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
/// Warm pages asked for, and the most time for it.
const WARM_REQUESTS: usize = 5_000;
/// The first version is slow: so many requests, after one to warm it.
const NAIVE_REQUESTS: usize = 5;
const START_LIMIT: Duration = Duration::from_secs(120);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["load", state, file] => load(Path::new(state), Path::new(file)).await,
        ["ask", state] => ask(Path::new(state)).await,
        [folder] => compare(Path::new(folder)),
        _ => Err("give the folder of make_sales.py's files".into()),
    }
}

async fn open(state: &Path) -> Outcome<(Store, FolderFiles)> {
    let store = Store::open(&format!("sqlite://{}/banco1.sqlite", state.display())).await?;
    sql_store::migrate::migrate(&store, clock::now()).await?;
    let folder = state.join("arquivos");
    fs::create_dir_all(&folder)?;
    Ok((store, FolderFiles::open(&folder)?))
}

/// One load in this process, and what it cost.
async fn load(state: &Path, file: &Path) -> Outcome<()> {
    let started = Instant::now();
    let (store, folder) = open(state).await?;
    let target = state.join("arquivos").join(BUCKET).join(KEY);
    fs::create_dir_all(target.parent().ok_or("a folder")?)?;
    std::os::unix::fs::symlink(file, &target)?;
    let parts = Parts {
        store,
        files: Files::Folder(folder),
        settings: Settings::default(),
        clock: clock::now,
        deadline: clock::now().plus_millis(LOAD_LIMIT_MS),
    };
    let load = load_sales::load(&parts, BUCKET, KEY).await?;
    let load = load.ok_or("there is no file")?;
    let report: Value = serde_json::from_str(load.report.as_deref().unwrap_or("{}"))?;
    tell_cost(started, &report)
}

fn tell_cost(started: Instant, report: &Value) -> Outcome<()> {
    let cost = process_cost::of(std::process::id())?;
    let told = json!({
        "rows": report["linhas_aceitas"], "quantity": report["quantidade"],
        "revenue": report["receita"], "wall": started.elapsed().as_secs_f64(),
        "cpu": cost.cpu_micros as f64 / 1e6, "peak_rss_kib": cost.peak_rss_kib,
    });
    println!("{told}");
    Ok(())
}

/// Each question once cold and then warm, and many pages.
async fn ask(state: &Path) -> Outcome<()> {
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
    let handler = fresh();
    one(&handler, "limite=50").await?;
    let begun = Instant::now();
    let mut each = Vec::with_capacity(WARM_REQUESTS);
    for _ in 0..WARM_REQUESTS {
        each.push((one(&handler, "limite=50").await? * 1_000.0) as u64);
    }
    let rate = WARM_REQUESTS as f64 / begun.elapsed().as_secs_f64();
    each.sort_unstable();
    let p99 = each.get(each.len() * 99 / 100).copied().unwrap_or_default();
    let cost = process_cost::of(std::process::id())?;
    println!(
        "{}",
        json!({"questions": answers, "rate": rate, "p50_us": process_cost::median(each),
            "p99_us": p99, "peak_rss_kib": cost.peak_rss_kib})
    );
    Ok(())
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
            "stage": "$default", "time": "20/Nov/2026:15:04:05 +0000", "timeEpoch": 1_795_187_045_000_i64,
            "authorizer": {"lambda": {"sub": "bench", "scope": "vendas:read"}},
            "http": {"method": "GET", "path": "/vendas/resumo", "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "bench"},
        },
    })
}

fn compare(folder: &Path) -> Outcome<()> {
    let python = std::env::var("BENCH_PYTHON").ok();
    let scripts = std::env::current_dir()?.join("bench/sales");
    for rows in SIZES {
        let csv = fs::canonicalize(folder)?.join(format!("vendas_{rows}.csv"));
        if !csv.exists() {
            println!("no {}", csv.display());
            continue;
        }
        println!("\n### {rows} rows\n");
        println!("| load | rows | CPU s | wall s | peak RSS MiB |");
        println!("| --- | ---: | ---: | ---: | ---: |");
        let state = TempDir::new()?;
        let mut ours = Command::new(std::env::current_exe()?);
        ours.arg("load").arg(state.path()).arg(&csv);
        let expected = row("Feira", &output(ours)?);
        for (name, script) in OTHERS {
            let Some(python) = &python else { continue };
            let target = TempDir::new()?;
            let mut other = Command::new(python);
            other.arg(scripts.join(script)).arg(&csv).arg(target.path());
            if row(name, &output(other)?) != expected {
                return Err(format!("{name} came to other sums").into());
            }
        }
        let mut asking = Command::new(std::env::current_exe()?);
        asking.arg("ask").arg(state.path());
        let parquet = csv.with_extension("zstd.parquet");
        let naive = match &python {
            Some(python) => Some(naive(python, &scripts, &parquet)?),
            None => None,
        };
        tell_answers(&output(asking)?, naive);
    }
    Ok(())
}

/// Prints a load; answers what it came to.
fn row(name: &str, told: &Value) -> (Value, Value) {
    println!(
        "| {name} | {} | {:.2} | {:.2} | {:.0} |",
        told["rows"],
        told["cpu"].as_f64().unwrap_or_default(),
        told["wall"].as_f64().unwrap_or_default(),
        told["peak_rss_kib"].as_f64().unwrap_or_default() / 1024.0
    );
    (told["quantity"].clone(), told["revenue"].clone())
}

fn tell_answers(told: &Value, naive: Option<f64>) {
    println!("\n| question | cold ms | warm ms |");
    println!("| --- | ---: | ---: |");
    for answer in told["questions"].as_array().into_iter().flatten() {
        let ms = |field: &str| answer[field].as_f64().unwrap_or_default();
        let name = answer["name"].as_str().unwrap_or_default();
        println!("| {name} | {:.1} | {:.2} |", ms("cold_ms"), ms("warm_ms"));
    }
    let rate = told["rate"].as_f64().unwrap_or_default();
    println!(
        "\nA warm page: {rate:.0} requests/s, p50 {} µs, p99 {} µs; peak RSS {:.0} MiB.",
        told["p50_us"],
        told["p99_us"],
        told["peak_rss_kib"].as_f64().unwrap_or_default() / 1024.0
    );
    if let Some(naive) = naive {
        println!(
            "FastAPI and pandas: {naive:.3} requests/s; ours are {:.0} ×.",
            rate / naive
        );
    }
}

/// The last line that a program prints, as JSON.
fn output(mut command: Command) -> Outcome<Value> {
    let name = format!("{:?}", command.get_program());
    let done = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(done.stdout)?;
    let last = text
        .lines()
        .last()
        .ok_or_else(|| format!("{name} said nothing"))?;
    Ok(serde_json::from_str(last)?)
}

/// Requests a second of the first version, one after the other.
fn naive(python: &str, scripts: &Path, parquet: &PathBuf) -> Outcome<f64> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(python);
    command.arg(scripts.join("naive_api.py")).arg(parquet);
    let mut server = command.arg(port.to_string()).spawn()?;
    let asked = ask_naive(port);
    server.kill()?;
    server.wait()?;
    asked
}

fn ask_naive(port: u16) -> Outcome<f64> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if begun.elapsed() > START_LIMIT {
            return Err("FastAPI does not start".into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    get(port)?;
    let begun = Instant::now();
    for _ in 0..NAIVE_REQUESTS {
        get(port)?;
    }
    Ok(NAIVE_REQUESTS as f64 / begun.elapsed().as_secs_f64())
}

fn get(port: u16) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /vendas/resumo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status)?;
    if !status.contains(" 200 ") {
        return Err(format!("FastAPI answered {status}").into());
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(())
}
