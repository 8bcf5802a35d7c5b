//! Apache Kafka for tests: the broker of the run, or one of a test's own that it may stop.
use std::env;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::parts;
use crate::services::unique;

const BROKERS: &str = "FEIRA_KAFKA_BROKERS";
/// The folder of Kafka's jars; `cargo xtask` has downloaded them.
const JARS: &str = "FEIRA_KAFKA_JARS";
/// A Python with kafka-python, for the docs' example.
const PYTHON: &str = "FEIRA_KAFKA_PYTHON";
const SERVER_PROPERTIES: &str = include_str!("kafka/server.properties");
const SECURED_PROPERTIES: &str = include_str!("kafka/secured.properties");
/// Who may come in, where not everybody may.
const USER: &str = "feira";
const CLUSTER_ID: &str = "RmVpcmFUZXN0Q2x1c3Rlcg";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// The broker of the run. Others use it too: topics and groups get names of their own.
#[derive(Debug, Clone)]
pub struct Kafka {
    brokers: String,
}

impl Kafka {
    /// `host:port`, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// A name that begins so and that no other test has.
    #[must_use]
    pub fn name(&self, begins: &str) -> String {
        format!("{begins}-{}", unique())
    }
}

/// The Kafka of `FEIRA_KAFKA_BROKERS`, or `None` (and a line in the parts file) where that is unset.
///
/// # Panics
/// Where the variable is set and nothing takes connections there.
#[must_use]
pub fn kafka() -> Option<Kafka> {
    let Ok(brokers) = env::var(BROKERS) else {
        parts::missing("Kafka");
        return None;
    };
    let answers = brokers
        .split(',')
        .any(|broker| TcpStream::connect(broker.trim()).is_ok());
    assert!(answers, "no broker of {BROKERS} takes connections");
    parts::took_part("Kafka");
    Some(Kafka { brokers })
}

/// A Python that has kafka-python, or `None` (and a line in the parts file) where `FEIRA_KAFKA_PYTHON`
/// names none.
///
/// # Panics
/// Where the variable names what is no file.
#[must_use]
pub fn kafka_python() -> Option<PathBuf> {
    let Some(program) = env::var_os(PYTHON).map(PathBuf::from) else {
        parts::missing("kafka-python");
        return None;
    };
    assert!(program.is_file(), "{PYTHON} names no program");
    parts::took_part("kafka-python");
    Some(program)
}

/// A broker of a test's own, on the same port each time it is started; gone with the value.
#[derive(Debug)]
pub struct OwnKafka {
    jars: PathBuf,
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

/// Where a broker lets in by SASL/SCRAM-SHA-512 over TLS.
#[derive(Debug)]
pub struct SecuredListener {
    /// `127.0.0.1:port`.
    pub brokers: String,
    /// Who may come in.
    pub user: &'static str,
    /// With this password.
    pub password: String,
    /// The certificate that the broker's own is proved by, as PEM.
    pub ca_file: PathBuf,
}

/// A broker of this test's own, started; `None` (and a line in the parts file) where
/// `FEIRA_KAFKA_JARS` names no folder.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn own_kafka() -> Option<OwnKafka> {
    let kafka = Prepared::new()?;
    Some(kafka.start(&[]))
}

/// The same with a second listener that asks for a password over TLS.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn own_secured_kafka() -> Option<(OwnKafka, SecuredListener)> {
    let mut kafka = Prepared::new()?;
    let (port, password) = (free_port(), unique());
    let secured = SECURED_PROPERTIES
        .replace("{secure_port}", &port.to_string())
        .replace("{password}", &password);
    kafka.settings.push_str(&secured);
    let listener = SecuredListener {
        brokers: format!("127.0.0.1:{port}"),
        user: USER,
        ca_file: kafka.make_certificate(&password),
        password,
    };
    let scram = format!("SCRAM-SHA-512=[name={USER},password={}]", listener.password);
    Some((kafka.start(&["--add-scram", &scram]), listener))
}

/// A broker that was not started yet.
struct Prepared {
    jars: PathBuf,
    folder: TempDir,
    settings: String,
}

impl Prepared {
    fn new() -> Option<Self> {
        let Some(jars) = env::var_os(JARS).map(PathBuf::from) else {
            parts::missing("Kafka");
            return None;
        };
        let folder = TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .expect("a folder for Kafka");
        Some(Self {
            jars,
            folder,
            settings: SERVER_PROPERTIES.to_owned(),
        })
    }

    /// A key for the broker in its key store, and its certificate beside it.
    fn make_certificate(&self, password: &str) -> PathBuf {
        let (store, certificate) = ("broker.p12", "broker.pem");
        let common = [
            "-keystore",
            store,
            "-storepass",
            password,
            "-alias",
            "broker",
        ];
        let made = "-genkeypair -keyalg EC -storetype PKCS12 -validity 2 \
            -dname CN=127.0.0.1 -ext san=ip:127.0.0.1 -ext bc:c=ca:true";
        let told = format!("-exportcert -rfc -file {certificate}");
        for work in [made, &told] {
            let mut command = Command::new("keytool");
            command.args(work.split_whitespace()).args(common);
            run(command.current_dir(self.folder.path()));
        }
        self.folder.path().join(certificate)
    }

    fn start(self, format_arguments: &[&str]) -> OwnKafka {
        let port = free_port();
        let own = self.folder.path().display().to_string();
        let settings = self
            .settings
            .replace("{folder}", &own)
            .replace("{port}", &port.to_string())
            .replace("{controller_port}", &free_port().to_string());
        let file = self.folder.path().join("server.properties");
        fs::write(&file, settings).expect("Kafka's settings are written");
        let mut format = java(&self.jars);
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        run(format
            .arg(&file)
            .args(format_arguments)
            .stdout(Stdio::piped()));
        let mut kafka = OwnKafka {
            jars: self.jars,
            folder: self.folder,
            port,
            running: None,
        };
        kafka.start();
        parts::took_part("Kafka");
        kafka
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program of Java's starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

impl OwnKafka {
    /// `127.0.0.1:port`, whether it runs or not.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it with what it held.
    ///
    /// # Panics
    /// Where it takes no connections in time.
    pub fn start(&mut self) {
        let log = self.folder.path().join("server.log");
        let child = java(&self.jars)
            .arg("kafka.Kafka")
            .arg(self.folder.path().join("server.properties"))
            .stderr(File::create(&log).expect("Kafka's log"))
            .spawn()
            .expect("java starts");
        let child = self.running.insert(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = child.try_wait().expect("java is a child");
            let told = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "Kafka ended: {}", told());
            let in_time = started.elapsed() < START_LIMIT;
            assert!(in_time, "Kafka takes no connections: {}", told());
            thread::sleep(PAUSE);
        }
    }

    /// Stops it as an operator does; what hangs is killed.
    ///
    /// # Panics
    /// Where it can't be ended.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else {
            return;
        };
        let asked = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        let is_asked = asked.is_ok_and(|status| status.success());
        let began = Instant::now();
        while child.try_wait().expect("java is a child").is_none() {
            if !is_asked || began.elapsed() > STOP_LIMIT {
                child.kill().expect("java is ours");
            }
            thread::sleep(PAUSE);
        }
    }

    /// Kills it, as a crash does.
    ///
    /// # Panics
    /// Where it can't be ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().expect("java is ours");
            child.wait().expect("java is a child");
        }
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        self.kill();
    }
}

fn java(jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.arg("-cp").arg(jars.join("*"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
