//! Sales loaded and asked: ours beside DuckDB, Polars and PySpark, and beside the summary as a first
//! version is written in Python, on files of make_sales.py in the folder given.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]
#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks is null")]

mod naive;
mod ours;

use std::{
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
/// A file for each day is tried with this many rows.
const DAILY_ROWS: u64 = 1_000_000;
/// Others are asked to do the same work by a script each.
const OTHERS: [(&str, &str); 3] = [
    ("DuckDB", "load_duckdb.py"),
    ("Polars", "load_polars.py"),
    ("PySpark local[2]", "load_spark.py"),
];

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["load", state, file] => ours::load(Path::new(state), Path::new(file)).await,
        ["load-days", state, file] => ours::load_days(Path::new(state), Path::new(file)).await,
        ["merge", state] => ours::merge(Path::new(state)).await,
        ["ask", state] => ours::ask(Path::new(state)).await,
        [folder] => compare(Path::new(folder)),
        _ => Err("give the folder of make_sales.py's files".into()),
    }
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
        let expected = row("Feira", &own("load", state.path(), Some(&csv))?);
        let again = own("load", state.path(), Some(&csv))?;
        if row("Feira, a newer version of the file", &again) != expected {
            return Err("the second load came to other sums".into());
        }
        for (name, script) in OTHERS {
            let Some(python) = &python else { continue };
            let target = TempDir::new()?;
            let mut other = Command::new(python);
            other.arg(scripts.join(script)).arg(&csv).arg(target.path());
            if row(name, &output(other)?) != expected {
                return Err(format!("{name} came to other sums").into());
            }
        }
        let asked = own("ask", state.path(), None)?;
        tell_questions(&asked);
        tell_pages(&asked);
        if let Some(python) = &python {
            let parquet = csv.with_extension("zstd.parquet");
            let naive = naive::measure(python, &scripts, &parquet)?;
            let rate = asked["rate"].as_f64().unwrap_or_default();
            naive.tell(rate);
        }
        if rows == DAILY_ROWS {
            daily(&csv)?;
        }
    }
    Ok(())
}

/// A file for each day, before and after they are merged.
fn daily(csv: &Path) -> Outcome<()> {
    let state = TempDir::new()?;
    let loaded = own("load-days", state.path(), Some(csv))?;
    println!(
        "\nA file for each day: {} files, {:.1} CPU s, {} live files of the lake.",
        loaded["loads"],
        loaded["cpu"].as_f64().unwrap_or_default(),
        loaded["live"]
    );
    tell_questions(&own("ask", state.path(), None)?);
    let merged = own("merge", state.path(), None)?;
    println!(
        "\nMerged by compact-lake: {} files, {:.1} CPU s, peak RSS {:.0} MiB.",
        merged["live"],
        merged["cpu"].as_f64().unwrap_or_default(),
        mib(&merged)
    );
    tell_questions(&own("ask", state.path(), None)?);
    Ok(())
}

/// This program in a process of its own.
fn own(work: &str, state: &Path, file: Option<&Path>) -> Outcome<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(work).arg(state).args(file);
    output(command)
}

fn mib(told: &Value) -> f64 {
    told["peak_rss_kib"].as_f64().unwrap_or_default() / 1024.0
}

/// Prints a load; answers what it came to.
fn row(name: &str, told: &Value) -> (Value, Value) {
    println!(
        "| {name} | {} | {:.2} | {:.2} | {:.0} |",
        told["rows"],
        told["cpu"].as_f64().unwrap_or_default(),
        told["wall"].as_f64().unwrap_or_default(),
        mib(told)
    );
    (told["quantity"].clone(), told["revenue"].clone())
}

fn tell_questions(told: &Value) {
    println!("\n| question | cold ms | warm ms |");
    println!("| --- | ---: | ---: |");
    for answer in told["questions"].as_array().into_iter().flatten() {
        let ms = |field: &str| answer[field].as_f64().unwrap_or_default();
        let name = answer["name"].as_str().unwrap_or_default();
        println!("| {name} | {:.1} | {:.2} |", ms("cold_ms"), ms("warm_ms"));
    }
    println!(
        "\nOf {} combinations of grouping, filters and period, each asked cold, the slowest took \
         {:.0} ms ({}), the median {:.0} ms.",
        told["combinations"],
        told["slowest_ms"].as_f64().unwrap_or_default(),
        told["slowest"].as_str().unwrap_or_default(),
        told["median_ms"].as_f64().unwrap_or_default(),
    );
}

fn tell_pages(told: &Value) {
    println!(
        "\nA warm page: {:.0} requests/s, {:.1} CPU µs each, p50 {} µs, p99 {} µs; peak RSS {:.0} MiB.",
        told["rate"].as_f64().unwrap_or_default(),
        told["cpu_micros"].as_f64().unwrap_or_default(),
        told["p50_us"],
        told["p99_us"],
        mib(told)
    );
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
