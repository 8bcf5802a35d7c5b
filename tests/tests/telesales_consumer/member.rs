//! telesales-consumer as a process: started, killed, asked to end, asked for its health.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{pseudonym::PseudonymKey, time::UtcMillis};
use lambda_kit::SealKey;
use sql_store::{Store, StoreError, Tx, migrate::TELESALES, migrate::migrate_by, values};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, kafka};

use crate::topic::Topic;

const PSEUDONYM_KEY: [u8; 32] = [3; 32];
const DEAD_LETTER_KEY: [u8; 32] = [5; 32];
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// Processes that die are found dead after so long: what is killed leaves its partitions behind.
const SESSION_MS: &str = "1500";

pub fn pseudonyms() -> PseudonymKey {
    PseudonymKey::new(&PSEUDONYM_KEY).unwrap()
}

pub fn seal_key() -> SealKey {
    SealKey::new(&DEAD_LETTER_KEY).unwrap()
}

/// What the members of a group share: topic, database 2, and a folder for what they write.
pub struct Scene {
    pub topic: Topic,
    pub database: TestDatabase,
    pub logs: TempDir,
}

impl Scene {
    pub async fn new(topic: Topic, database: TestDatabase) -> Self {
        let scene = Self::without_tables(topic, database);
        scene.migrate().await;
        scene
    }

    /// On MariaDB, where every name of the streams is longer than its column; `None` without MariaDB or
    /// Kafka.
    pub async fn with_narrow_names() -> Option<Self> {
        let (Some(kafka), Some(_)) = (kafka(), testkit::mariadb().await) else {
            eprintln!("FEIRA_KAFKA_BROKERS or FEIRA_MARIADB_URL is not set");
            return None;
        };
        let databases = databases().await;
        let mut databases = databases.into_iter();
        let database = databases.find(|one| one.label() == "MariaDB");
        let topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
        let scene = Self::new(topic, database.unwrap()).await;
        let narrow = "ALTER TABLE contacts MODIFY name VARCHAR(12)";
        scene.execute(narrow).await;
        Some(scene)
    }

    pub async fn execute(&self, sql: &str) {
        let store = Store::open(self.database.url()).await.unwrap();
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    pub fn without_tables(topic: Topic, database: TestDatabase) -> Self {
        Self {
            topic,
            database,
            logs: TempDir::new().unwrap(),
        }
    }

    pub async fn migrate(&self) {
        let store = Store::open(self.database.url()).await.unwrap();
        let now = UtcMillis::new(0).unwrap();
        migrate_by(&store, &TELESALES, now).await.unwrap();
    }

    /// Starts a member; one with a `name` gets its partitions back when it is started again.
    pub fn member(&self, name: Option<&str>) -> Member {
        self.process(name, &[])
    }

    /// Runs the program with an argument until it ends: its code, and what it wrote.
    pub fn command(&self, argument: &str) -> (Option<i32>, String) {
        self.process(None, &[argument]).ended()
    }

    fn process(&self, name: Option<&str>, arguments: &[&str]) -> Member {
        let health = free_port();
        let number = fs::read_dir(self.logs.path()).unwrap().count();
        let log = self.logs.path().join(format!("{number:03}.log"));
        let file = File::create(&log).unwrap();
        // Settings are written as SQLAlchemy reads them: four slashes before a whole path.
        let url = self.database.url().replace("sqlite:///", "sqlite:////");
        let program = testkit::function_binaries().join("telesales-consumer");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("KAFKA_BROKERS", &self.topic.brokers)
            .env("KAFKA_TOPIC", &self.topic.name)
            .env("KAFKA_GROUP", &self.topic.group)
            .env("KAFKA_SESSION_TIMEOUT_MS", SESSION_MS)
            .env("TELESALES_DATABASE_URL", url)
            .env("TELESALES_PSEUDONYM_KEY", STANDARD.encode(PSEUDONYM_KEY))
            .env(
                "TELESALES_DEAD_LETTER_KEY",
                STANDARD.encode(DEAD_LETTER_KEY),
            )
            .env("HEALTH_ADDRESS", format!("127.0.0.1:{health}"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        if let Some(name) = name {
            command.env("KAFKA_INSTANCE_ID", name);
        }
        Member {
            child: command.spawn().unwrap(),
            health: format!("http://127.0.0.1:{health}/health"),
            log,
        }
    }

    /// Everything that members wrote: logs and metrics.
    pub fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(self.logs.path())
    }
}

/// Every file of a folder.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_file());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// A running member; killed with the value.
pub struct Member {
    child: Child,
    health: String,
    log: PathBuf,
}

impl Member {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until SIGTERM is heard, as it is from the very start on.
    pub fn until_it_hears(&self) {
        const SIGTERM: u64 = 1 << 14;
        let status = format!("/proc/{}/status", self.child.id());
        let began = Instant::now();
        let hears = || {
            let status = fs::read_to_string(&status).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & SIGTERM > 0
        };
        while !hears() {
            assert!(began.elapsed() < STOP_LIMIT, "deaf: {}", self.told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, and the end.
    pub fn terminate(mut self) -> ExitStatus {
        self.until_it_hears();
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success(), "it had ended: {}", self.told());
        self.end()
    }

    /// Its end by itself: its code, and what it wrote.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.end().code();
        (code, self.told())
    }

    fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < STOP_LIMIT, "no end: {}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn told(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether its health endpoint answers.
    pub async fn is_up(&self) -> bool {
        reqwest::get(&self.health).await.is_ok()
    }

    /// How many records it has applied, by its health endpoint, which must say that it is well.
    pub async fn applied(&self) -> u64 {
        let answer = reqwest::get(&self.health).await.unwrap();
        assert_eq!(answer.status(), 200, "{}", self.told());
        let body: serde_json::Value = answer.json().await.unwrap();
        body["registros"].as_u64().unwrap()
    }

    /// Waits until it has applied something.
    pub async fn until_it_works(&self, limit: Duration) {
        let works = self.works_within(limit).await;
        assert!(works, "nothing applied: {}", self.told());
    }

    /// Whether it has applied something within this time.
    pub async fn works_within(&self, limit: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if self.is_up().await && self.applied().await > 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
