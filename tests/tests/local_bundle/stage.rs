//! A running `feira-local` on a template and a function of the tests' own, seen from outside.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use queues::{EmbeddedQueues, OutgoingMessage, QueueCounts, embedded_queue_url};
use serde_json::Value;
use tempfile::TempDir;

const TEMPLATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/local_bundle/template.yaml"
);
const PATIENCE: Duration = Duration::from_secs(90);

/// The state folder of one test, with or without a running instance.
pub struct Stage {
    folder: TempDir,
    instance: Option<Child>,
    environment: Vec<(&'static str, String)>,
}

/// Where cargo put the binaries, and the probe beside them.
pub fn binaries() -> (&'static Path, &'static Path) {
    static PROBES: OnceLock<PathBuf> = OnceLock::new();
    let bins = testkit::function_binaries();
    let probes = PROBES.get_or_init(|| {
        let probes = bins.join("examples");
        if std::env::var_os("FEIRA_BINARIES_BUILT").is_none()
            || !probes.join("local_probe").exists()
        {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args([
                    "build",
                    "--quiet",
                    "--workspace",
                    "--example",
                    "local_probe",
                ])
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                .status();
            assert!(
                built.expect("cargo starts").success(),
                "the probe does not build"
            );
        }
        probes
    });
    (bins, probes)
}

impl Stage {
    /// An empty state folder.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            instance: None,
            environment: Vec::new(),
        }
    }

    /// Sets a variable of the terminal.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// A running instance on an empty state folder.
    pub fn running() -> Self {
        let mut stage = Self::empty();
        stage.start();
        stage
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("estado")
    }

    /// A copy of the template in the folder that commands run in: a `.env` there is its own.
    pub fn own_template(&self) -> String {
        let copy = self.project().join("template.yaml");
        std::fs::copy(TEMPLATE, &copy).expect("copies");
        copy.display().to_string()
    }

    /// The folder that commands run in.
    pub fn project(&self) -> &Path {
        self.folder.path()
    }

    /// Starts an instance on the state folder.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts an instance with more on its command line.
    pub fn start_with(&mut self, arguments: &[&str]) {
        assert!(self.instance.is_none(), "an instance runs already");
        let mut command = self.command(&[&["--port", "0"], arguments].concat());
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        let error = log.try_clone().expect("a file");
        let mut child = command.stdout(log).stderr(error).spawn().expect("starts");
        let begun = Instant::now();
        while self.note_of(child.id()).is_none() {
            if let Some(status) = child.try_wait().expect("a status") {
                panic!("ended with {status}: {}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.instance = Some(child);
    }

    /// What the instance printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn note_of(&self, pid: u32) -> Option<Value> {
        let text = std::fs::read_to_string(self.state().join("instance.json")).ok()?;
        let note: Value = serde_json::from_str(&text).ok()?;
        (note["pid"] == pid).then_some(note)
    }

    /// `cargo local -- <arguments>` on this state folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let (bins, probes) = binaries();
        let mut command = Command::new(bins.join("feira-local"));
        let state = self.state();
        let defaults = [
            ("--template", Path::new(TEMPLATE)),
            ("--binaries", probes),
            ("--state-dir", &state),
        ];
        for (option, value) in defaults {
            if !arguments.contains(&option) {
                command.arg(option).arg(value);
            }
        }
        command
            .arg("--no-build")
            .args(arguments)
            .env("AWS_PROFILE", "must-not-leak")
            .env("AWS_SESSION_TOKEN", "must-not-leak")
            .env_remove("DATABASE_URL_LOCAL")
            .env_remove("KAFKA_BROKERS")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("runs")
    }

    /// The port of the HTTP API.
    pub fn url(&self, path: &str) -> String {
        let pid = self.instance.as_ref().expect("an instance").id();
        let note = self.note_of(pid).expect("a note");
        format!("http://127.0.0.1:{}{path}", note["http_port"])
    }

    /// Ends the instance as Ctrl-C does and waits for its end.
    pub fn stop(&mut self) {
        let mut child = self.instance.take().expect("an instance");
        let pid = child.id().to_string();
        let told = Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .expect("kill runs");
        assert!(told.success());
        let begun = Instant::now();
        while child.try_wait().expect("a status").is_none() {
            assert!(begun.elapsed() < PATIENCE, "did not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the instance as `kill -9` does.
    pub fn kill(&mut self) {
        let mut child = self.instance.take().expect("an instance");
        child.kill().expect("kills");
        child.wait().expect("a status");
    }

    /// What a function wrote down: `seen` is every event, `done` what was handled.
    pub fn lines(&self, kind: &str, function: &str) -> Vec<Value> {
        let path = self.state().join(kind).join(format!("{function}.ndjson"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until `look` finds what it looks for.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not seen\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Sends bodies to a queue; a FIFO queue's group is the body's `g`.
    pub async fn send(&self, queue: &str, bodies: &[Value]) {
        let messages: Vec<OutgoingMessage> = bodies
            .iter()
            .map(|body| OutgoingMessage {
                group_id: body["g"].as_str().map(str::to_owned),
                ..OutgoingMessage::new(body.to_string())
            })
            .collect();
        let queues = self.queues().await;
        for sent in queues
            .send(&embedded_queue_url(queue), &messages, now_ms())
            .await
        {
            sent.expect("sends");
        }
    }

    /// What lies in a queue.
    pub async fn counts(&self, queue: &str) -> QueueCounts {
        let queues = self.queues().await;
        queues
            .counts(&embedded_queue_url(queue), now_ms())
            .await
            .expect("counts")
    }

    /// Waits until a queue holds exactly so many messages, whatever their state.
    pub async fn until_holds(&self, queue: &str, messages: u64) {
        let begun = Instant::now();
        loop {
            let counts = self.counts(queue).await;
            let held = counts.visible + counts.in_flight + counts.delayed;
            if held == messages {
                return;
            }
            let log = self.log();
            assert!(
                begun.elapsed() < PATIENCE,
                "{queue} holds {held}, not {messages}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The queue file.
    pub async fn queues(&self) -> EmbeddedQueues {
        EmbeddedQueues::open(&self.state().join("filas.sqlite"))
            .await
            .expect("opens")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut child) = self.instance.take() {
            let _already_ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let age = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    i64::try_from(age.as_millis()).expect("small")
}
