//! The bridge beside a Powertools handler that does the same, and one that sends one message a
//! request: records per second, CPU and memory against an SQS that takes 20 ms, and what a million
//! records cost by the published prices.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bench::{bridge_stub, process_cost};
use serde_json::{Value, json};

/// Invocations before the clock starts: connections are opened by then.
const WARM_UP: u32 = 3;
const ANSWER_LIMIT: Duration = Duration::from_secs(180);
/// US dollars for a million requests to a standard queue, each up to 64 KB, us-east-1:
/// <https://aws.amazon.com/sqs/pricing/>.
const SQS_MILLION_REQUESTS: f64 = 0.40;
/// US dollars for a GB-second and for a million invocations, arm64, us-east-1:
/// <https://aws.amazon.com/lambda/pricing/>.
const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
const LAMBDA_MILLION_INVOCATIONS: f64 = 0.20;
/// As the template gives it.
const MEMORY_GB: f64 = 0.5;

struct Candidate {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// So many records in one invocation; slow ones get fewer batches, not smaller ones.
    batches: u32,
}

struct Figures {
    name: &'static str,
    per_second: f64,
    cpu_micros: f64,
    rss_mib: f64,
    dollars: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |place, default| -> u32 {
        let text = std::env::args().nth(place);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (records, batches) = (argument(1, 2_000), argument(2, 100));
    let event = event(records).to_string().into_bytes();
    println!(
        "{records} records a batch, {:.1} MB; SQS takes 20 ms",
        event.len() as f64 / 1e6
    );
    let mut all: Vec<Figures> = Vec::new();
    for candidate in candidates(batches)? {
        all.push(measure(&candidate, records, event.clone())?);
    }
    println!("| bridge | records/s | CPU µs/record | × CPU | peak RSS MiB | US$ a million |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let ours = all.first().map_or(1.0, |one| one.cpu_micros);
    for one in &all {
        println!(
            "| {} | {:.0} | {:.2} | {:.1} | {:.1} | {:.3} |",
            one.name,
            one.per_second,
            one.cpu_micros,
            one.cpu_micros / ours,
            one.rss_mib,
            one.dollars
        );
    }
    Ok(())
}

/// Clicks as a shop writes them.
fn event(records: u32) -> Value {
    let record = |offset: u32| {
        let value = json!({
            "id_usuario": format!("u-{:05}", offset % 5_000), "tipo_evento": "clique",
            "id_produto": format!("p-{:04}", offset % 900), "timestamp": "2026-11-20T12:00:00.000Z",
            "id_evento": format!("01KA{offset:022}"), "id_sessao": format!("s-{:06}", offset % 9_000),
        });
        json!({
            "topic": "eventos_clientes", "partition": offset % 4, "offset": offset,
            "timestamp": 1_795_176_000_000_i64 + i64::from(offset), "timestampType": "CREATE_TIME",
            "key": STANDARD.encode(format!("u-{:05}", offset % 5_000)),
            "value": STANDARD.encode(value.to_string()),
            "headers": [{"origem": [108, 111, 106, 97]}],
        })
    };
    let list = |partition| -> Vec<Value> {
        (0..records)
            .filter(|offset| offset % 4 == partition)
            .map(record)
            .collect()
    };
    let name = |partition| format!("eventos_clientes-{partition}");
    let lists = (0..4).map(|partition| (name(partition), Value::from(list(partition))));
    json!({
        "eventSource": "aws:kafka", "bootstrapServers": "b-1:9098",
        "eventSourceArn": "arn:aws:kafka:us-east-1:000000000000:cluster/c/1",
        "records": lists.collect::<serde_json::Map<String, Value>>(),
    })
}

fn candidates(batches: u32) -> Result<Vec<Candidate>, Box<dyn Error>> {
    let folder = std::env::current_exe()?;
    let folder = folder.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut all = vec![Candidate {
        name: "kafka-to-sqs",
        program: folder.join("kafka-to-sqs"),
        arguments: &[],
        environment: &[],
        batches,
    }];
    match std::env::var("BENCH_PYTHON") {
        Ok(python) => {
            let arguments = &["-m", "awslambdaric", "bridge_function.handler"];
            all.push(Candidate {
                name: "Powertools, boto3, tens",
                program: PathBuf::from(&python),
                arguments,
                environment: &[],
                batches: batches.div_ceil(10).max(2),
            });
            all.push(Candidate {
                name: "Powertools, boto3, one a request",
                program: PathBuf::from(python),
                arguments,
                environment: &[("ONE_PER_REQUEST", "1")],
                batches: 1,
            });
        }
        Err(_) => println!("BENCH_PYTHON is not set: no Python handler (see bench/README.md)"),
    }
    Ok(all)
}

fn measure(candidate: &Candidate, records: u32, event: Vec<u8>) -> Result<Figures, Box<dyn Error>> {
    let key = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    let text = json!({"DEAD_LETTER_KEY": key}).to_string();
    let secret = json!({
        "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:app", "Name": "app",
        "SecretString": text, "VersionId": "00000000-0000-0000-0000-000000000000",
    });
    let stub = bridge_stub::start(event, secret.to_string())?;
    let mut child = spawn(candidate, &stub.address)?;
    let measured = invocations(&stub, &child, candidate.batches);
    child.kill()?;
    child.wait()?;
    let (took, cost) = measured?;
    let count = f64::from(candidate.batches) * f64::from(records);
    let messages = stub.seen.messages.load(Ordering::Relaxed) as f64;
    let requests = stub.seen.requests.load(Ordering::Relaxed) as f64;
    let seconds_a_million = took.as_secs_f64() / count * 1e6;
    let dollars = requests / messages * SQS_MILLION_REQUESTS
        + seconds_a_million * MEMORY_GB * LAMBDA_GB_SECOND
        + LAMBDA_MILLION_INVOCATIONS / f64::from(records);
    Ok(Figures {
        name: candidate.name,
        per_second: count / took.as_secs_f64(),
        cpu_micros: cost.cpu_micros as f64 / count,
        rss_mib: cost.peak_rss_kib as f64 / 1024.0,
        dollars,
    })
}

/// Lets some invocations pass and measures those that follow.
fn invocations(
    stub: &bridge_stub::Stub,
    child: &Child,
    batches: u32,
) -> Result<(Duration, process_cost::ProcessCost), Box<dyn Error>> {
    let next = || -> Result<Duration, Box<dyn Error>> {
        let (took, answer) = stub.answers.recv_timeout(ANSWER_LIMIT)?;
        let answer: Value = serde_json::from_str(&answer)?;
        let failures = answer.get("batchItemFailures").and_then(Value::as_array);
        if failures.is_some_and(Vec::is_empty) {
            Ok(took)
        } else {
            Err(format!("a batch failed: {answer}").into())
        }
    };
    for _ in 0..if batches > 1 { WARM_UP } else { 0 } {
        next()?;
    }
    let before = process_cost::of(child.id())?;
    let mut took = Duration::ZERO;
    for _ in 0..batches {
        took += next()?;
    }
    let mut cost = process_cost::of(child.id())?;
    cost.cpu_micros = cost.cpu_micros.saturating_sub(before.cpu_micros);
    Ok((took, cost))
}

fn spawn(candidate: &Candidate, stub: &str) -> std::io::Result<Child> {
    let endpoint = format!("http://{stub}");
    let queue = format!("{endpoint}/000000000000/EventosQueue");
    let table = json!({"eventos_clientes": queue}).to_string();
    let variables = [
        ("AWS_LAMBDA_RUNTIME_API", stub),
        ("AWS_LAMBDA_FUNCTION_NAME", candidate.name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("STAGE", "prod"),
        ("ENVIRONMENT", "production"),
        ("APP_SECRET_ID", "app"),
        ("TOPIC_QUEUES", &table),
        ("DEAD_LETTER_QUEUE_URL", &queue),
        ("CLAIMS_BUCKET", "feira-arquivos"),
        ("PYTHONPATH", "bench/bridge"),
    ];
    Command::new(&candidate.program)
        .args(candidate.arguments)
        .env_clear()
        .envs(variables)
        .envs(candidate.environment.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
