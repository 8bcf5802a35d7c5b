//! The shop's events through a real Kafka into the live figures: the example of the docs as it stands
//! there, the simulated shop, a broker that stops and an instance that is killed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use tempfile::TempDir;
use testkit::OwnKafka;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/shop-events.md");
const TOPICS: [&str; 2] = ["eventos_clientes", "atualizacoes_estoque"];
/// Events of the simulated shop.
const EVENTS: u64 = 600;
const PATIENCE: Duration = Duration::from_secs(90);

/// A bundle on a state folder, and the Kafka that it reads, if it reads one.
struct Shop {
    folder: TempDir,
    brokers: Option<String>,
    instance: Option<Child>,
}

impl Shop {
    fn new(brokers: Option<String>) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            brokers,
            instance: None,
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("estado")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(testkit::function_binaries().join("feira-local"));
        command
            .args(["--no-build", "--template", TEMPLATE, "--state-dir"])
            .arg(self.state())
            .args(arguments)
            .env_remove("DATABASE_URL_LOCAL")
            .env_remove("KAFKA_BROKERS")
            .envs(
                self.brokers
                    .iter()
                    .map(|brokers| ("KAFKA_BROKERS", brokers)),
            )
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    fn start(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("a file");
        let error = log.try_clone().expect("a file");
        let mut command = self.command(&["--port", "0"]);
        let child = command.stdout(log).stderr(error).spawn().expect("starts");
        let pid = child.id();
        self.instance = Some(child);
        self.until("its start", || (self.note()?["pid"] == pid).then_some(()));
    }

    fn note(&self) -> Option<Value> {
        let text = fs::read_to_string(self.state().join("instance.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.instance.take() {
            child.kill().expect("kills");
            child.wait().expect("a status");
        }
    }

    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{what}: not seen\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What a command prints.
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .trim()
            .to_owned()
    }

    /// The live figures of the last hour.
    async fn figures(&self) -> Value {
        let token = self.printed(&["token", "--scope", "metricas:read"]);
        let note = self.note().expect("a note");
        let port = &note["http_port"];
        let url = format!("http://127.0.0.1:{port}/metricas/tempo-real?janela=60m");
        let request = reqwest::Client::new().get(url).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Waits until the live figures have counted so many events, and so many that were too old for
    /// them, and looks again a while later: none may come twice.
    async fn until_live(&self, events: u64, late: u64) -> Value {
        let begun = Instant::now();
        let mut seen = 0;
        loop {
            let live = self.figures().await;
            let is_all = live["eventos"]["total"] == events && live["atrasados"] == late;
            seen = if is_all { seen + 1 } else { 0 };
            if seen == 4 {
                return live["eventos"].clone();
            }
            let count = live["eventos"]["total"].as_u64().expect("a number");
            assert!(count <= events, "{live}: more than {events}");
            assert!(begun.elapsed() < PATIENCE, "{live} and not {events}");
            // Answers are kept for two seconds.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The numbers of a line such as `12 clicks, 3 carts, …`.
fn numbers(line: &str) -> Vec<u64> {
    let words = line.split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Clicks, carts and purchases as the live figures have them.
fn by_kind(live: &Value) -> Vec<u64> {
    let kinds = ["cliques", "carrinhos", "compras"];
    let counts = kinds.iter().map(|kind| live[*kind].as_u64());
    counts.collect::<Option<_>>().expect("numbers")
}

#[tokio::test]
async fn a_simulated_shop_and_an_old_file_fill_the_live_figures() {
    let mut shop = Shop::new(None);
    // What is written while nothing runs waits.
    let line = shop.printed(&[
        "simulate", "--events", "40", "--rate", "1000", "--seed", "2",
    ]);
    shop.start();
    let first = numbers(&line);
    assert_eq!(first.iter().take(4).sum::<u64>(), 40, "{line}");
    let live = shop.until_live(40, 0).await;
    assert_eq!(by_kind(&live), first[..3]);

    let file = shop.folder.path().join("antigo.ndjson");
    let mut lines = String::new();
    for hour in 0..10 {
        lines.push_str(&format!(
            "{{\"id_evento\":\"e{hour}\",\"id_usuario\":\"u\",\"tipo_evento\":\"clique\",\
             \"id_produto\":\"p\",\"timestamp\":\"2017-05-01T{hour:02}:00:00\"}}\n"
        ));
    }
    fs::write(&file, lines).expect("a file");
    let file = file.display().to_string();
    // Nine hours at this speed are two seconds; twice it is twenty events.
    for _ in 0..2 {
        let begun = Instant::now();
        let arguments = ["simulate", "--replay", &file, "--speed", "16200"];
        shop.printed(&[&arguments[..], &["--shift-to-now"]].concat());
        assert!(begun.elapsed() > Duration::from_secs(2), "in its own time");
    }
    shop.until_live(60, 0).await;
    // As it stands it is too old for them.
    shop.printed(&["simulate", "--replay", &file, "--speed", "10000000"]);
    shop.until_live(60, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shops_events_reach_the_live_figures_through_a_kafka_that_stops() {
    let Some(mut kafka) = testkit::own_kafka() else {
        eprintln!("FEIRA_KAFKA_JARS names no folder: no broker that this test may stop");
        return;
    };
    create_topics(&kafka).await;
    let mut shop = Shop::new(Some(kafka.brokers()));
    shop.start();
    let by_hand = u64::from(run_example(&kafka));
    shop.until_live(by_hand, 0).await;

    let many = EVENTS.to_string();
    let mut simulation = shop.command(&["simulate", "--events", &many, "--rate", "200"]);
    let simulation = simulation.stdout(Stdio::piped()).stderr(Stdio::null());
    let simulation = simulation.spawn().expect("starts");
    tokio::time::sleep(Duration::from_millis(900)).await;
    tokio::task::block_in_place(|| kafka.stop());
    tokio::time::sleep(Duration::from_millis(500)).await;
    tokio::task::block_in_place(|| kafka.start());
    shop.kill();
    shop.start();
    let output = tokio::task::block_in_place(|| simulation.wait_with_output());
    let output = output.expect("a status");
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{line}");
    let live = shop.until_live(by_hand + EVENTS, 0).await;
    let mut expected = numbers(&line)[..3].to_vec();
    expected[0] += by_hand;
    assert_eq!(by_kind(&live), expected, "each once, none lost");
}

async fn create_topics(kafka: &OwnKafka) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.brokers());
    let admin: AdminClient<DefaultClientContext> = client.create().expect("a client");
    let topics = TOPICS.map(|name| NewTopic::new(name, 3, TopicReplication::Fixed(1)));
    let made = admin.create_topics(&topics, &AdminOptions::new()).await;
    for topic in made.expect("Kafka answers") {
        topic.expect("a topic");
    }
}

/// Runs the docs' example as it stands there; whether there is a Python for it.
fn run_example(kafka: &OwnKafka) -> bool {
    let Some(python) = testkit::kafka_python() else {
        return false;
    };
    let text = fs::read_to_string(Path::new(EXAMPLE)).expect("the docs");
    let (_, code) = text.split_once("```python\n").expect("an example");
    let (code, _) = code.split_once("```").expect("its end");
    let mut command = Command::new(python);
    command
        .args(["-c", code])
        .env("KAFKA_BROKERS", kafka.brokers());
    let output = command.output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    true
}
