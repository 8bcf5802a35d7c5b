//! Function processes: the real binaries, started on demand, kept warm, several per function.
//!
//! Architecture invariant: nothing here knows what an event means. Bytes go in, bytes come out.

mod environment;
mod output;
mod process;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hyper::body::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

pub use environment::{Surroundings, environment_of};
pub use output::Terminal;
pub use process::{Answer, Handed, Process};

use crate::bundle::Function;
use output::FunctionLog;
use process::HandOver;

/// A new process must ask for its first event within so many milliseconds (Lambda gives 10 s to a
/// release build on its own hardware; here a debug build shares the machine with a compiler).
const INIT_LIMIT_MS: u64 = 60_000;
/// A process that got no event for so long is ended.
const KEPT_WARM: Duration = Duration::from_secs(240);
/// Lines on their way through the pipe arrive within this time.
const LOG_DELAY: Duration = Duration::from_millis(30);

/// What an invocation came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Lambda's request id of it.
    pub request_id: String,
    /// The answer, or the error object of a failed one.
    pub payload: Bytes,
    /// `Unhandled` when the function failed, as in `X-Amz-Function-Error`.
    pub function_error: Option<&'static str>,
    /// The last lines that the process wrote while it ran, at most 4 KB, where they were asked for.
    pub log_tail: String,
}

impl Outcome {
    /// Whether the function answered rather than failed.
    pub fn is_success(&self) -> bool {
        self.function_error.is_none()
    }
}

/// How an invocation ended, before its log is looked at.
enum End {
    Answered(Bytes),
    Failed(Bytes),
}

impl End {
    fn failed(kind: &str, message: &str) -> Self {
        let payload = serde_json::json!({ "errorType": kind, "errorMessage": message });
        Self::Failed(Bytes::from(payload.to_string()))
    }

    fn outcome(self, request_id: String, log_tail: String) -> Outcome {
        let (payload, function_error) = match self {
            Self::Answered(payload) => (payload, None),
            Self::Failed(payload) => (payload, Some("Unhandled")),
        };
        Outcome {
            request_id,
            payload,
            function_error,
            log_tail,
        }
    }
}

/// Why an invocation was not even tried.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The template has no such function.
    #[error("there is no function {0} in the template")]
    Unknown(String),
    /// The binary could not be started.
    #[error("{binary} could not be started: {reason}")]
    NotStarted {
        /// The binary's path.
        binary: String,
        /// The system's reason.
        reason: String,
    },
    /// The instance is stopping.
    #[error("this instance is stopping")]
    Stopping,
}

/// Every function's processes.
pub struct Processes {
    pools: BTreeMap<String, Arc<Pool>>,
    running: Mutex<HashMap<String, Arc<Process>>>,
    surroundings: Surroundings,
}

/// A warm process that waits for its next event.
struct IdleProcess {
    process: Arc<Process>,
    since: Instant,
}

struct Pool {
    function: Function,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<IdleProcess>>,
    log: Arc<FunctionLog>,
}

impl Processes {
    /// Prepares the pools; no process is started yet.
    pub fn new(
        functions: &BTreeMap<String, Function>,
        surroundings: Surroundings,
        terminal: Terminal,
    ) -> Arc<Self> {
        let pools = functions
            .values()
            .map(|function| {
                let log = FunctionLog::new(&surroundings.state_dir, &function.id, terminal);
                let pool = Pool {
                    function: function.clone(),
                    permits: Arc::new(Semaphore::new(function.max_processes.max(1))),
                    idle: Mutex::default(),
                    log: Arc::new(log),
                };
                (function.id.clone(), Arc::new(pool))
            })
            .collect();
        Arc::new(Self {
            pools,
            running: Mutex::default(),
            surroundings,
        })
    }

    /// The function's own description.
    pub fn function(&self, id: &str) -> Option<&Function> {
        self.pools.get(id).map(|pool| &pool.function)
    }

    /// The process that an environment's Runtime API address names.
    pub fn process(&self, id: &str) -> Option<Arc<Process>> {
        lock(&self.running).get(id).cloned()
    }

    /// Waits for a free process and has it handle `payload`. The work goes on when the caller
    /// gives up waiting, as Lambda's does. Only `with_log` looks at what the process wrote. The
    /// attempts of one invocation share its `request_id`.
    ///
    /// # Errors
    /// [`InvokeError`] when nothing was tried; a function's own failure is an [`Outcome`].
    pub async fn invoke(
        self: &Arc<Self>,
        function: &str,
        payload: Bytes,
        request_id: String,
        with_log: bool,
    ) -> Result<Outcome, InvokeError> {
        let pool = self.pools.get(function).cloned();
        let pool = pool.ok_or_else(|| InvokeError::Unknown(function.to_owned()))?;
        let permit = Arc::clone(&pool.permits).acquire_owned().await;
        let permit = permit.map_err(|_closed| InvokeError::Stopping)?;
        let processes = Arc::clone(self);
        let work = tokio::spawn(async move {
            let outcome = processes.run(&pool, payload, &request_id, with_log).await;
            drop(permit);
            outcome
        });
        work.await.map_err(|_cancelled| InvokeError::Stopping)?
    }

    async fn run(
        self: Arc<Self>,
        pool: &Arc<Pool>,
        payload: Bytes,
        request_id: &str,
        with_log: bool,
    ) -> Result<Outcome, InvokeError> {
        loop {
            let warm = pool.take_idle();
            let was_warm = warm.is_some();
            let process = match warm {
                Some(process) => process,
                None => self.start(pool)?,
            };
            let (handed, waiting) =
                HandOver::new(&pool.function, payload.clone(), request_id.to_owned());
            if !process.hand(handed) {
                continue;
            }
            let end = match waiting.finish(&pool.function, &process, request_id).await {
                Some(end) => end,
                // It ended between two invocations: nothing was begun, so another one takes over.
                None if was_warm => continue,
                None => End::failed("Runtime.ExitError", &process.end_text(request_id)),
            };
            let log_tail = if with_log {
                // The last lines may still be in the pipe when the answer is here.
                tokio::time::sleep(LOG_DELAY).await;
                process.tail()
            } else {
                String::new()
            };
            if process.is_alive() {
                let since = Instant::now();
                lock(&pool.idle).push(IdleProcess { process, since });
            }
            return Ok(end.outcome(request_id.to_owned(), log_tail));
        }
    }

    fn start(self: &Arc<Self>, pool: &Arc<Pool>) -> Result<Arc<Process>, InvokeError> {
        let id = new_request_id();
        let environment = environment_of(&pool.function, &self.surroundings, &id);
        let binary = &pool.function.binary;
        let process = Process::new(version_of(binary));
        lock(&self.running).insert(id.clone(), Arc::clone(&process));
        let child = match process.start_child(&id, binary, &environment, &pool.log) {
            Ok(child) => child,
            Err(error) => {
                lock(&self.running).remove(&id);
                return Err(not_started(binary, &error));
            }
        };
        let processes = Arc::clone(self);
        let watched = Arc::clone(&process);
        tokio::spawn(async move {
            watched.watch(child).await;
            lock(&processes.running).remove(&id);
        });
        Ok(process)
    }

    /// Ends processes that have been idle for long, until the instance stops.
    pub async fn end_idle_ones(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(KEPT_WARM / 4) => {}
                _changed = stopping.changed() => return,
            }
            for pool in self.pools.values() {
                pool.end_idle(Instant::now());
            }
        }
    }

    /// Lets running invocations finish for at most `patience`, then ends every process.
    pub async fn stop(&self, patience: Duration) {
        let all_idle = async {
            for pool in self.pools.values() {
                let all = u32::try_from(pool.function.max_processes.max(1)).unwrap_or(1);
                let _all_permits = pool.permits.acquire_many(all).await;
                pool.permits.close();
            }
        };
        let _timed_out = tokio::time::timeout(patience, all_idle).await;
        for pool in self.pools.values() {
            pool.permits.close();
        }
        for process in lock(&self.running).values() {
            process.end();
        }
        while !lock(&self.running).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Pool {
    /// The process that was used last, if its binary is still the one on the disk: after a build
    /// the next event finds the new code.
    fn take_idle(&self) -> Option<Arc<Process>> {
        let version = version_of(&self.function.binary);
        let mut idle = lock(&self.idle);
        while let Some(IdleProcess { process, .. }) = idle.pop() {
            if version.is_some() && process.version() != version {
                process.end();
            } else if process.is_alive() {
                return Some(process);
            }
        }
        None
    }

    /// Ends what has been idle for long, as Lambda does.
    fn end_idle(&self, now: Instant) {
        lock(&self.idle).retain(|idle| {
            let is_needed = now.duration_since(idle.since) < KEPT_WARM;
            if !is_needed {
                idle.process.end();
            }
            is_needed
        });
    }
}

/// When a binary was written; `None` while a build is replacing it.
fn version_of(binary: &Path) -> Option<SystemTime> {
    std::fs::metadata(binary)
        .and_then(|file| file.modified())
        .ok()
}

/// A lock whose holder panicked still guards sound data here: each update is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_started(binary: &Path, error: &std::io::Error) -> InvokeError {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; `cargo build --workspace --bins` makes it".to_owned()
        }
        _ => error.to_string(),
    };
    let binary = binary.display().to_string();
    InvokeError::NotStarted { binary, reason }
}

/// A random id in the form of a UUID, as Lambda's request ids are.
pub fn new_request_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the ids would only be less unique; the clock is the second best.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = jiff::Timestamp::now().as_nanosecond().to_be_bytes();
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut id = hex;
    for position in [20, 16, 12, 8] {
        id.insert(position, '-');
    }
    id
}

/// What ended the waiting for an answer.
enum Limit {
    Init,
    Timeout,
}

struct Waiting {
    answer: oneshot::Receiver<Answer>,
    picked_up: oneshot::Receiver<()>,
}

impl Waiting {
    /// How it ended, or `None` when the process ended before it took the event.
    async fn finish(self, function: &Function, process: &Process, request_id: &str) -> Option<End> {
        let mut was_picked_up = false;
        let limit = async {
            let init = Duration::from_millis(INIT_LIMIT_MS);
            match tokio::time::timeout(init, self.picked_up).await {
                Err(_elapsed) => return Limit::Init,
                Ok(taken) => was_picked_up = taken.is_ok(),
            }
            tokio::time::sleep(Duration::from_millis(function.timeout_ms)).await;
            Limit::Timeout
        };
        let answer = tokio::select! {
            biased;
            answer = self.answer => Ok(answer),
            limit = limit => Err(limit),
        };
        let message = match answer {
            Ok(Ok(Answer::Response(payload))) => return Some(End::Answered(payload)),
            Ok(Ok(Answer::Error(payload))) => return Some(End::Failed(payload)),
            Ok(Err(_ended)) if !was_picked_up => return None,
            Ok(Err(_ended)) => {
                let text = process.end_text(request_id);
                return Some(End::failed("Runtime.ExitError", &text));
            }
            Err(Limit::Init) => format!("{request_id} Init timed out after {INIT_LIMIT_MS} ms"),
            Err(Limit::Timeout) => {
                let timeout_ms = function.timeout_ms;
                format!("{request_id} Task timed out after {timeout_ms} ms")
            }
        };
        process.end();
        Some(End::failed("Sandbox.Timedout", &message))
    }
}
