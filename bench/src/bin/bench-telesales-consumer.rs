//! The telesales consumer beside a Go and a Python one that do the same: one topic, one MariaDB, one
//! run. With a store that keeps nothing it shows what Kafka and reading alone cost.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a report for people, and ratios of measurements"
)]

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bench::process_cost;
use consumer::{ChangeStore, Consumer};
use contracts::{
    changes::{Change, Shape},
    telesales::Telesales,
};
use domain::{telesales::Contact, time::UtcMillis};
use kafka_consumer::{KafkaDeadLetters, Settings};
use lambda_kit::{SealKey, clock};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    producer::{FutureProducer, FutureRecord},
};
use sql_store::{Store, StoreError, Tx, migrate, projection::Applied, values};

const DEFAULT_RECORDS: usize = 500_000;
/// Each customer changes so many times.
const CHANGES_A_CUSTOMER: usize = 4;
const PARTITIONS: i32 = 4;
const KEY: &str = "0123456789abcdef0123456789abcdef";
const LIMIT: Duration = Duration::from_secs(600);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Keeps nothing.
struct Nowhere;

impl ChangeStore<Contact> for Nowhere {
    async fn apply(
        &self,
        changes: &[Change<Contact>],
        _: UtcMillis,
    ) -> Result<Applied, StoreError> {
        Ok(Applied {
            kept: changes.len(),
            ..Applied::default()
        })
    }
}

struct Measured {
    name: &'static str,
    seconds: f64,
    cpu_micros: u64,
    peak_rss_kib: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let first = std::env::args().nth(1);
    match first.as_deref() {
        Some("consume-nowhere") => consume_nowhere().await,
        records => {
            let records = records.and_then(|text| text.parse().ok());
            compare(records.unwrap_or(DEFAULT_RECORDS)).await
        }
    }
}

fn settings() -> Outcome<Settings> {
    Ok(Settings::read("nowhere", |name| std::env::var(name).ok())?)
}

async fn consume_nowhere() -> Outcome<()> {
    let settings = settings()?;
    let shape = Shape::parse::<Telesales>("")?;
    let consumer = Consumer::<Telesales, _>::new(shape, Nowhere, clock::now);
    let seal = SealKey::new(KEY.as_bytes()).ok_or("a key")?;
    let letters = KafkaDeadLetters::new(&settings, seal);
    let stopping = kafka_consumer::stop_on_signal()?;
    Ok(kafka_consumer::run(stopping, settings, consumer, letters).await?)
}

async fn compare(records: usize) -> Outcome<()> {
    let brokers = std::env::var("KAFKA_BROKERS").map_err(|_| "set KAFKA_BROKERS")?;
    let server = std::env::var("MARIADB_URL")
        .map_err(|_| "set MARIADB_URL to mysql://root@127.0.0.1:port")?;
    let topic = format!("bench-{}", std::process::id());
    println!("producing {records} records to {topic}");
    produce(&brokers, &topic, records).await?;
    let mut measured = Vec::new();
    let mut nowhere = Command::new(std::env::current_exe()?);
    nowhere.arg("consume-nowhere");
    measured.push(ours("nowhere", nowhere, &brokers, &topic, records)?);
    let program = std::env::current_exe()?.with_file_name("telesales-consumer");
    if !program.exists() {
        return Err(format!("{} is not built", program.display()).into());
    }
    let mut command = Command::new(program);
    let key = STANDARD.encode(KEY);
    command
        // As its Containerfile has it.
        .env("MALLOC_ARENA_MAX", "1")
        .env("TELESALES_DATABASE_URL", database(&server, "ours").await?)
        .env("TELESALES_PSEUDONYM_KEY", &key)
        .env("TELESALES_DEAD_LETTER_KEY", &key);
    let name = "telesales-consumer";
    measured.push(ours(name, command, &brokers, &topic, records)?);
    let port = server.rsplit(':').next().unwrap_or_default().to_owned();
    if let Ok(program) = std::env::var("BENCH_GO") {
        let name = database(&server, "go").await?;
        let name = name.rsplit('/').next().unwrap_or_default();
        let url = format!("root@tcp(127.0.0.1:{port})/{name}?interpolateParams=true");
        let mut command = Command::new(program);
        command.env("GO_DATABASE", url);
        measured.push(others("Go, franz-go", command, &brokers, &topic, records)?);
    }
    if let Ok(python) = std::env::var("BENCH_PYTHON") {
        let name = database(&server, "python").await?;
        let mut command = Command::new(python);
        command.arg("bench/telesales/python/consumer.py");
        command.env("MYSQL_PORT", &port);
        command.env(
            "MYSQL_DATABASE",
            name.rsplit('/').next().unwrap_or_default(),
        );
        measured.push(others(
            "Python, confluent-kafka",
            command,
            &brokers,
            &topic,
            records,
        )?);
    }
    report(&measured, records);
    Ok(())
}

async fn produce(brokers: &str, topic: &str, records: usize) -> Outcome<()> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    let admin: AdminClient<_> = client.create()?;
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    admin.create_topics(&[new], &AdminOptions::new()).await?;
    let producer: FutureProducer = client
        .set("linger.ms", "50")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    let mut sent = Vec::with_capacity(10_000);
    for number in 0..records {
        let customer = number / CHANGES_A_CUSTOMER;
        let key = format!("cliente-{customer}");
        let value = format!(
            r#"{{"id_cliente":"{key}","versao":{},"nome":"Cliente {customer} da Silva","cpf":"529.982.247-25","email":"cliente{customer}@example.com","telefone":"(11) 9{:04}-{:04}","regiao":"SP","endereco":{{"rua":"Rua das Flores","numero":{number},"cep":"01001-000"}},"consentimentos":{{"televendas":{},"mgm":true}}}}"#,
            number % CHANGES_A_CUSTOMER,
            customer / 10_000 % 10_000,
            customer % 10_000,
            number % 10 != 9,
        );
        let record = FutureRecord::to(topic).key(&key).payload(&value);
        sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        if sent.len() == sent.capacity() {
            for delivery in sent.drain(..) {
                delivery.await?.map_err(|(error, _)| error)?;
            }
        }
    }
    for delivery in sent {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// An empty database 2; answers its URL.
async fn database(server: &str, name: &str) -> Outcome<String> {
    let name = format!("bench_{}_{}", name.replace('-', "_"), std::process::id());
    let admin = Store::open(&format!("{server}/mysql")).await?;
    let sql = format!("CREATE DATABASE {name}");
    admin
        .transact(async |tx: &Tx| tx.execute(&sql, values![]).await)
        .await?;
    let url = format!("{server}/{name}");
    let store = Store::open(&url).await?;
    migrate::migrate_by(&store, &migrate::TELESALES, clock::now()).await?;
    Ok(url)
}

fn ours(
    name: &'static str,
    mut command: Command,
    brokers: &str,
    topic: &str,
    records: usize,
) -> Outcome<Measured> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let health = format!("127.0.0.1:{port}");
    let begun = Instant::now();
    let child = command
        .env("KAFKA_BROKERS", brokers)
        .env("KAFKA_TOPIC", topic)
        .env("KAFKA_GROUP", format!("{topic}-{name}"))
        .env("HEALTH_ADDRESS", &health)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    measure(name, child, begun, |_| Ok(consumed(&health) >= records))
}

fn others(
    name: &'static str,
    mut command: Command,
    brokers: &str,
    topic: &str,
    records: usize,
) -> Outcome<Measured> {
    let begun = Instant::now();
    let child = command
        .arg(records.to_string())
        .env("KAFKA_BROKERS", brokers)
        .env("KAFKA_TOPIC", topic)
        .env("KAFKA_GROUP", format!("{topic}-{}", name.len()))
        .env("PSEUDONYM_KEY", KEY)
        .stdout(Stdio::piped())
        .spawn()?;
    measure(name, child, begun, |child| {
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim() {
            "done" => Ok(true),
            _ => Err("it ended before it was done".into()),
        }
    })
}

/// Looks until the candidate has consumed everything, then reads what it cost and ends it.
fn measure(
    name: &'static str,
    mut child: Child,
    begun: Instant,
    mut is_done: impl FnMut(&mut Child) -> Outcome<bool>,
) -> Outcome<Measured> {
    let outcome = loop {
        match is_done(&mut child) {
            Ok(true) => break Ok(()),
            Err(error) => break Err(error),
            Ok(false) if begun.elapsed() > LIMIT => {
                break Err(format!("{name} took too long").into());
            }
            Ok(false) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let cost = process_cost::of(child.id());
    child.kill()?;
    child.wait()?;
    outcome?;
    let cost = cost?;
    println!("{name} is done after {seconds:.1} s");
    Ok(Measured {
        name,
        seconds,
        cpu_micros: cost.cpu_micros,
        peak_rss_kib: cost.peak_rss_kib,
    })
}

/// What GET /health counts; 0 while nobody answers.
fn consumed(address: &str) -> usize {
    let mut answer = String::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    let count = answer.rsplit(r#""registros":"#).next().unwrap_or_default();
    let digits: String = count.chars().take_while(char::is_ascii_digit).collect();
    asked.ok().and(digits.parse().ok()).unwrap_or_default()
}

fn report(measured: &[Measured], records: usize) {
    println!("| consumer | records/s | CPU µs/record | peak RSS MiB |");
    println!("| --- | ---: | ---: | ---: |");
    for one in measured {
        println!(
            "| {} | {:.0} | {:.2} | {:.1} |",
            one.name,
            records as f64 / one.seconds,
            one.cpu_micros as f64 / records as f64,
            one.peak_rss_kib as f64 / 1024.0
        );
    }
}
