//! Child processes that never outlive the command: time limits, groups, a kind end and a firm one.
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::failure::{Failure, Outcome};

/// How long a process that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);

/// A running child in a process group of its own; the whole group ends when this is dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
    /// The group's id: the child's, which is its leader.
    group: Option<u32>,
    ended: bool,
}

impl Running {
    /// Starts `command`; `name` is what messages call it.
    pub(crate) fn start(name: &str, mut command: Command) -> Outcome<Self> {
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(|error| Failure::new(format!("{name} does not start: {error}")))?;
        let group = child.id();
        Ok(Self {
            name: name.to_owned(),
            child,
            group,
            ended: false,
        })
    }

    /// Waits for the end; past `limit` the group is ended and that is a failure.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            self.end();
            let limit_s = limit.as_secs();
            return Err(Failure::new(format!(
                "{} took more than {limit_s} s",
                self.name
            )));
        };
        self.ended = true;
        Ok(status?)
    }

    /// The exit status, where the child has ended by itself.
    pub(crate) fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.ended |= status.is_some();
        status
    }

    fn end(&mut self) {
        if self.ended_by_itself().is_some() || self.ended {
            return;
        }
        self.signal("TERM");
        let asked = Instant::now();
        while self.ended_by_itself().is_none() {
            if asked.elapsed() > GRACE {
                self.signal("KILL");
            }
            if asked.elapsed() > 2 * GRACE {
                return;
            }
            thread::sleep(POLL);
        }
        // Its own children, where they did not follow it.
        self.signal("KILL");
    }

    fn signal(&self, signal: &str) {
        let Some(id) = self.group else { return };
        let script = format!("kill -{signal} -{id}");
        // The group may have ended meanwhile: then there is nobody left to signal.
        drop(
            std::process::Command::new("sh")
                .args(["-c", &script])
                .stderr(Stdio::null())
                .status(),
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a program to its end with its output in `log`; a failure names the log's last lines.
pub(crate) async fn run_logged(
    name: &str,
    mut command: Command,
    log: &Path,
    limit: Duration,
) -> Outcome {
    let file = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let status = Running::start(name, command)?.wait(limit).await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!(
            "{name}: {status}: {}",
            last_lines(log)
        ))),
        Err(failure) => Err(Failure::new(format!("{failure}: {}", last_lines(log)))),
    }
}

/// Runs a program with the terminal's own output; a failure is its exit status.
pub(crate) async fn run_shown(name: &str, mut command: Command, limit: Duration) -> Outcome {
    command.stdin(Stdio::null());
    let status = Running::start(name, command)?.wait(limit).await?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{name}: {status}")))
    }
}

/// What a short program writes to standard output, or `None` where it fails or is not there.
pub(crate) async fn output_of(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    const LIMIT: Duration = Duration::from_secs(20);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.ok()?.ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program whose standard output is shown as it comes and handed line by line to `each`.
pub(crate) async fn run_watched(
    name: &str,
    mut command: Command,
    limit: Duration,
    mut each: impl FnMut(&str),
) -> Outcome<ExitStatus> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running::start(name, command)?;
    let Some(stdout) = running.child.stdout.take() else {
        return Err(Failure::new(format!("{name} has no standard output")));
    };
    let started = Instant::now();
    if timeout(limit, show_lines(stdout, &mut each)).await.is_err() {
        return Err(Failure::new(format!(
            "{name} took more than {} s",
            limit.as_secs()
        )));
    }
    running.wait(limit.saturating_sub(started.elapsed())).await
}

async fn show_lines(stdout: impl AsyncRead + Unpin, each: &mut impl FnMut(&str)) {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    // Bytes, not text: what a test prints need not be UTF-8.
    while lines
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        println!("{text}");
        each(text);
        line.clear();
    }
    // A broken pipe here is the end of the output; the exit status tells the rest.
    drop(lines.read_to_end(&mut line).await);
}

/// The end of a log, for a message: the last lines, on one line.
pub(crate) fn last_lines(log: &Path) -> String {
    const LINES: usize = 3;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<&str> = text
        .lines()
        .rev()
        .filter(|l| !l.trim().is_empty())
        .take(LINES)
        .collect();
    lines.reverse();
    if lines.is_empty() {
        "it wrote nothing".to_owned()
    } else {
        lines.join(" | ")
    }
}
