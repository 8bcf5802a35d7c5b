//! One function process: a mailbox of one event, a child, and the news of its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hyper::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};

use super::output::{FunctionLog, Tail};
use super::{Waiting, lock};
use crate::bundle::Function;

/// What a function process answered.
#[derive(Debug)]
pub enum Answer {
    /// Its answer.
    Response(Bytes),
    /// Its error object.
    Error(Bytes),
}

/// An event on its way to a process.
#[derive(Debug)]
pub struct Handed {
    /// Lambda's request id.
    pub request_id: String,
    /// The event.
    pub payload: Bytes,
    /// Milliseconds that the invocation may take from now.
    pub timeout_ms: u64,
    /// The function's ARN.
    pub arn: String,
}

/// An event together with the channels on which its fate is told.
pub(super) struct HandOver {
    handed: Handed,
    answer: oneshot::Sender<Answer>,
    picked_up: oneshot::Sender<()>,
}

impl HandOver {
    pub(super) fn new(function: &Function, payload: Bytes, request_id: String) -> (Self, Waiting) {
        let (answer, answer_receiver) = oneshot::channel();
        let (picked_up, picked_up_receiver) = oneshot::channel();
        let handed = Handed {
            request_id,
            payload,
            timeout_ms: function.timeout_ms,
            arn: function.arn(),
        };
        let waiting = Waiting {
            answer: answer_receiver,
            picked_up: picked_up_receiver,
        };
        (
            Self {
                handed,
                answer,
                picked_up,
            },
            waiting,
        )
    }
}

struct InFlight {
    request_id: String,
    answer: oneshot::Sender<Answer>,
    picked_up: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Life {
    ended: Option<String>,
    in_flight: Option<InFlight>,
    init_error: Option<String>,
}

/// One child process of a function.
pub struct Process {
    mailbox: mpsc::Sender<Handed>,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Handed>>,
    life: Mutex<Life>,
    end: Notify,
    tail: Arc<Tail>,
    version: Option<SystemTime>,
}

impl Process {
    /// A process that is known by its id before its child is started, because the child asks for
    /// its first event at once. `version` is when its binary was written.
    pub(super) fn new(version: Option<SystemTime>) -> Arc<Self> {
        let (mailbox, inbox) = mpsc::channel(1);
        Arc::new(Self {
            mailbox,
            inbox: tokio::sync::Mutex::new(inbox),
            life: Mutex::default(),
            end: Notify::new(),
            tail: Arc::default(),
            version,
        })
    }

    /// Starts `binary` with exactly `environment`, in a process group of its own: a Ctrl-C at the
    /// terminal is for `cargo local`, which lets running invocations finish.
    pub(super) fn start_child(
        &self,
        id: &str,
        binary: &Path,
        environment: &BTreeMap<String, String>,
        log: &Arc<FunctionLog>,
    ) -> std::io::Result<Child> {
        let mut child = bound_to_us(binary)?
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        log.follow(id, child.stdout.take(), &self.tail);
        log.follow(id, child.stderr.take(), &self.tail);
        Ok(child)
    }

    /// Puts an event into the mailbox; `false` when the process has ended.
    pub(super) fn hand(&self, hand_over: HandOver) -> bool {
        let mut life = lock(&self.life);
        if life.ended.is_some() {
            return false;
        }
        self.tail.clear();
        life.in_flight = Some(InFlight {
            request_id: hand_over.handed.request_id.clone(),
            answer: hand_over.answer,
            picked_up: Some(hand_over.picked_up),
        });
        self.mailbox.try_send(hand_over.handed).is_ok()
    }

    /// The next event for this process: what `GET …/invocation/next` waits for. `None` when the
    /// instance stops.
    pub async fn next_event(&self) -> Option<Handed> {
        let handed = self.inbox.lock().await.recv().await?;
        let mut life = lock(&self.life);
        if let Some(picked_up) = life
            .in_flight
            .as_mut()
            .and_then(|work| work.picked_up.take())
        {
            let _nobody_waits = picked_up.send(());
        }
        Some(handed)
    }

    /// Takes the answer to `request_id`; `false` when no such invocation is running here.
    pub fn answer(&self, request_id: &str, answer: Answer) -> bool {
        let mut life = lock(&self.life);
        let is_current = life
            .in_flight
            .as_ref()
            .is_some_and(|work| work.request_id == request_id);
        if !is_current {
            return false;
        }
        life.in_flight
            .take()
            .is_some_and(|work| work.answer.send(answer).is_ok())
    }

    /// Keeps the reason that the process itself gives for not starting.
    pub fn init_failed(&self, reason: String) {
        lock(&self.life).init_error = Some(reason);
    }

    /// Whether it can take an event.
    pub fn is_alive(&self) -> bool {
        lock(&self.life).ended.is_none()
    }

    /// When its binary was written.
    pub(super) fn version(&self) -> Option<SystemTime> {
        self.version
    }

    /// Ends the child; it takes no event any more.
    pub fn end(&self) {
        lock(&self.life)
            .ended
            .get_or_insert_with(|| "ended by cargo local".to_owned());
        self.end.notify_one();
    }

    /// The last 4 KB that it wrote since the event was handed over.
    pub fn tail(&self) -> String {
        self.tail.text()
    }

    /// Lambda's sentence about a process that ended during an invocation.
    pub(super) fn end_text(&self, request_id: &str) -> String {
        let life = lock(&self.life);
        let how = life.ended.as_deref().unwrap_or("ended");
        match &life.init_error {
            Some(reason) => format!("RequestId: {request_id} Error: {reason} ({how})"),
            None => format!("RequestId: {request_id} Error: Runtime exited with error: {how}"),
        }
    }

    /// Waits for the child's end, ends it when told to, and fails what it was doing.
    pub(super) async fn watch(&self, mut child: Child) {
        let status = tokio::select! {
            status = child.wait() => status,
            () = self.end.notified() => {
                let _already_ended = child.start_kill();
                child.wait().await
            }
        };
        // Its last lines may still be in the pipe; they explain the end.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let mut life = lock(&self.life);
        life.ended = Some(status.map_or_else(|error| error.to_string(), |end| end.to_string()));
        // Dropping the sender tells whoever waits for the answer.
        life.in_flight = None;
    }
}

/// util-linux's setpriv, which has the kernel end a program together with its parent.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The command that starts `binary` so that it cannot outlive this program, however that ends. An
/// idle function ends by itself, because its Runtime API is gone; this is for one that is busy.
/// Asking the kernel directly (PR_SET_PDEATHSIG) would take unsafe code.
fn bound_to_us(binary: &Path) -> std::io::Result<Command> {
    if !binary.is_file() {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    if !Path::new(SETPRIV).is_file() {
        return Ok(Command::new(binary));
    }
    let mut command = Command::new(SETPRIV);
    command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
    Ok(command)
}
