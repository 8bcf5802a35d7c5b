//! Cold starts: from process start to the first `/next`, every function against a bare
//! lambda_runtime function and against FastAPI with Mangum, interleaved in one run.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bench::{lambda_stub, process_cost};
use serde_json::json;

const DEFAULT_RUNS: usize = 15;
const START_LIMIT: Duration = Duration::from_secs(5);

struct Candidate {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

#[derive(Default)]
struct Samples {
    wall_micros: Vec<u64>,
    cpu_micros: Vec<u64>,
    peak_rss_kib: Vec<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let runs = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_RUNS);
    let key = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    let secret = json!({
        "DATABASE_URL_LIVE": "mysql://feira:senha@127.0.0.1:3306/feira",
        "REF_SIGNING_KEY": key, "PSEUDONYM_KEY": key, "DEAD_LETTER_KEY": key,
    });
    let stub = lambda_stub::start(secret.to_string())?;
    let candidates = candidates(&stub.address)?;
    let mut samples: BTreeMap<&str, Samples> = BTreeMap::new();
    for run in 1..=runs {
        println!("run {run} of {runs}");
        for candidate in &candidates {
            let begun = Instant::now();
            let mut child = spawn(candidate, &stub.address)?;
            let arrival = stub.arrivals.recv_timeout(START_LIMIT);
            let cost = process_cost::of(child.id());
            child.kill()?;
            child.wait()?;
            let (Ok(arrival), Ok(cost)) = (arrival, cost) else {
                println!("{} did not ask for an event", candidate.name);
                continue;
            };
            let mine = samples.entry(&candidate.name).or_default();
            mine.wall_micros
                .push(u64::try_from((arrival - begun).as_micros())?);
            mine.cpu_micros.push(cost.cpu_micros);
            mine.peak_rss_kib.push(cost.peak_rss_kib);
        }
    }
    report(&candidates, samples);
    Ok(())
}

fn candidates(stub: &str) -> Result<Vec<Candidate>, Box<dyn Error>> {
    let folder = std::env::current_exe()?
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let mut all = vec![Candidate {
        name: "bare lambda_runtime".to_owned(),
        program: folder.join("bench-bare-function"),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
    }];
    let template = sam_template::Template::read_with(
        Path::new("template.yaml"),
        &BTreeMap::from([("AppSecretArn".to_owned(), "app".to_owned())]),
    )?;
    let secrets_endpoint = (
        "AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(),
        format!("http://{stub}"),
    );
    for function in &template.functions {
        let mut environment = template.environment(function)?;
        environment.extend([secrets_endpoint.clone()]);
        all.push(Candidate {
            name: function.crate_name().to_owned(),
            program: folder.join(function.crate_name()),
            arguments: Vec::new(),
            environment,
        });
    }
    all.retain(|candidate| {
        let is_built = candidate.program.is_file();
        if !is_built {
            println!("{} is not built and takes no part", candidate.name);
        }
        is_built
    });
    match std::env::var("BENCH_PYTHON") {
        Ok(python) => all.push(Candidate {
            name: "FastAPI with Mangum".to_owned(),
            program: PathBuf::from(python),
            arguments: ["-m", "awslambdaric", "fastapi_function.handler"]
                .map(str::to_owned)
                .into(),
            environment: [("PYTHONPATH".to_owned(), "bench/python".to_owned())].into(),
        }),
        Err(_) => println!("BENCH_PYTHON is not set: FastAPI takes no part (see bench/README.md)"),
    }
    Ok(all)
}

fn spawn(candidate: &Candidate, stub: &str) -> std::io::Result<Child> {
    let variables = [
        ("AWS_LAMBDA_RUNTIME_API", stub),
        ("AWS_LAMBDA_FUNCTION_NAME", &candidate.name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    Command::new(&candidate.program)
        .args(&candidate.arguments)
        .env_clear()
        .envs(variables)
        .envs(&candidate.environment)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn report(candidates: &[Candidate], mut samples: BTreeMap<&str, Samples>) {
    let mut bare_cpu = None;
    println!("| function | CPU ms | × bare | wall ms | peak RSS MiB | binary MB |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for candidate in candidates {
        let Some(mine) = samples.remove(candidate.name.as_str()) else {
            continue;
        };
        let cpu = process_cost::median(mine.cpu_micros) as f64 / 1000.0;
        let wall = process_cost::median(mine.wall_micros) as f64 / 1000.0;
        let rss = process_cost::median(mine.peak_rss_kib) as f64 / 1024.0;
        let bytes = std::fs::metadata(&candidate.program).map_or(0, |file| file.len());
        let bare = *bare_cpu.get_or_insert(cpu);
        println!(
            "| {} | {cpu:.1} | {:.2} | {wall:.1} | {rss:.1} | {:.1} |",
            candidate.name,
            cpu / bare,
            bytes as f64 / 1e6
        );
    }
}
