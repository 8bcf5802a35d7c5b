//! `cargo xtask test`: every test, with the real parts that can be had.
use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::parts::{Kind, Part};
use crate::process::{run_shown, run_watched};
use crate::summary::{Counts, parts_that_took_part};
use crate::terminal::{cargo, seconds, step};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fail where a real part (MariaDB, Kafka, ministack) cannot be had or no test met it
    #[arg(long)]
    require_services: bool,
    /// Install and start nothing: embedded parts only, besides those given by FEIRA_MARIADB_URL,
    /// FEIRA_KAFKA_BROKERS and FEIRA_MINISTACK_URL
    #[arg(long, conflicts_with = "require_services")]
    embedded: bool,
    /// End the tests after this long
    #[arg(long, default_value_t = 60)]
    limit_minutes: u64,
    /// Run only the tests whose names contain one of these; options of the test programs
    /// (--nocapture, --test-threads=1) may follow
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    filter: Vec<String>,
}

pub(crate) async fn run(options: Options) -> Outcome {
    let limit = Duration::from_secs(options.limit_minutes.saturating_mul(60));
    let folder = tempfile::Builder::new().prefix("feira-test-").tempdir()?;
    let parts = obtain_parts(&options, folder.path()).await;
    if options.require_services {
        refuse_missing(&parts)?;
    }

    step("building the workspace");
    let started = Instant::now();
    let mut build = cargo("build");
    build.args(["--workspace", "--all-targets"]);
    run_shown("cargo build", build, limit).await?;
    println!("built in {}", seconds(started.elapsed()));

    step("testing");
    let parts_file = folder.path().join("parts.txt");
    fs::write(&parts_file, "")?;
    let mut test = cargo("test");
    test.args(["--workspace", "--no-fail-fast"]);
    if !options.filter.is_empty() {
        test.arg("--").args(&options.filter);
    }
    test.env("FEIRA_PARTS_FILE", &parts_file)
        .env("FEIRA_BINARIES_BUILT", "1");
    for (kind, part) in &parts {
        test.envs(part.variables(*kind));
    }
    let started = Instant::now();
    let mut counts = Counts::default();
    let left = limit;
    let status = run_watched("cargo test", test, left, |line| counts.read_line(line)).await;
    println!("tested in {}", seconds(started.elapsed()));

    let idle = report_parts(&parts, &fs::read_to_string(&parts_file)?);
    let verdict = match status {
        Err(failure) => Err(failure),
        Ok(status) if !status.success() => Err(Failure::new(format!("cargo test: {status}"))),
        Ok(_) if options.require_services && options.filter.is_empty() && !idle.is_empty() => {
            Err(Failure::new(format!("no test met {}", idle.join(", "))))
        }
        Ok(_) => Ok(()),
    };
    println!("{} passed, {} failed", counts.passed, counts.failed);
    verdict
}

/// `cargo xtask services`: the same parts for as long as a developer wants them.
pub(crate) async fn run_services() -> Outcome {
    let folder = tempfile::Builder::new()
        .prefix("feira-services-")
        .tempdir()?;
    let options = Options {
        require_services: false,
        embedded: false,
        limit_minutes: 0,
        filter: Vec::new(),
    };
    let parts = obtain_parts(&options, folder.path()).await;
    println!("\nin another terminal, for cargo test:");
    for (kind, part) in &parts {
        for (name, value) in part.variables(*kind) {
            println!("  export {name}={value}");
        }
    }
    println!("Ctrl-C ends them and deletes what they held");
    std::future::pending().await
}

async fn obtain_parts(options: &Options, folder: &Path) -> Vec<(Kind, Part)> {
    let mut parts = Vec::new();
    for kind in Kind::ALL {
        step(&format!("{} for the tests", kind.name()));
        let started = Instant::now();
        let part = if options.embedded && env::var_os(kind.variable()).is_none() {
            Part::Missing {
                why: "--embedded was asked for".to_owned(),
            }
        } else {
            kind.obtain(folder).await
        };
        match &part {
            Part::Took { version, url, .. } => {
                println!(
                    "{} {version} at {url}, {}",
                    kind.name(),
                    seconds(started.elapsed())
                );
            }
            Part::Missing { why } => println!("no {}: {why}", kind.name()),
        }
        parts.push((kind, part));
    }
    parts
}

fn refuse_missing(parts: &[(Kind, Part)]) -> Outcome {
    let missing: Vec<String> = parts
        .iter()
        .filter_map(|(kind, part)| match part {
            Part::Missing { why } => Some(format!("{} is missing: {why}", kind.name())),
            Part::Took { .. } => None,
        })
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(missing.join("; ")))
    }
}

/// Prints which parts took part; answers with the names of those that no test met.
fn report_parts(parts: &[(Kind, Part)], lines: &str) -> Vec<&'static str> {
    let met = parts_that_took_part(lines);
    let mut idle = Vec::new();
    println!("\nreal parts:");
    for (kind, part) in parts {
        let name = kind.name();
        match (part, met.get(name)) {
            (Part::Took { version, .. }, Some(times)) => {
                println!("  {name} ({version}) took part, asked for {times} times");
            }
            (Part::Took { version, .. }, None) => {
                println!("  {name} ({version}) was there and no test asked for it");
                idle.push(name);
            }
            (Part::Missing { why }, _) => println!("  {name} did not take part: {why}"),
        }
    }
    println!();
    idle
}
