//! Invocations, synchronous and asynchronous.
//!
//! An asynchronous one is kept in the journal before it counts as accepted, tried again after a
//! failure, and at last handed to the function's on-failure destination, as Lambda does it
//! (developer guide, "How Lambda handles errors and retries with asynchronous invocation").

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use sea_orm::DbErr;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::bundle::Bundle;
use crate::destinations::{Destinations, FailedInvocation};
use crate::journal::{Journal, PendingInvocation};
use crate::processes::{InvokeError, Outcome, Processes, new_request_id};
use crate::terminal::note;

/// Waits before the attempts after the first. Lambda waits one and two minutes; at a desk nobody
/// does (docs/adr/0032).
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Who asks for an invocation.
pub struct Invoker {
    bundle: Arc<Bundle>,
    processes: Arc<Processes>,
    journal: Journal,
    destinations: Destinations,
    lanes: BTreeMap<String, mpsc::UnboundedSender<PendingInvocation>>,
    outstanding: AtomicUsize,
    activity: Arc<Notify>,
    run_key: String,
}

impl Invoker {
    /// Makes the invoker and one lane of asynchronous work per function, and takes up what an
    /// earlier instance left undone.
    ///
    /// # Errors
    /// The journal's own.
    pub async fn start(
        bundle: Arc<Bundle>,
        processes: Arc<Processes>,
        journal: Journal,
        destinations: Destinations,
        run_key: String,
    ) -> Result<Arc<Self>, DbErr> {
        let mut lanes = BTreeMap::new();
        let mut receivers = Vec::new();
        for function in bundle.functions.values() {
            let (sender, receiver) = mpsc::unbounded_channel();
            lanes.insert(function.id.clone(), sender);
            receivers.push((function.max_processes.max(1), receiver));
        }
        let left_undone = journal.pending().await?;
        let invoker = Arc::new(Self {
            bundle,
            processes,
            journal,
            destinations,
            lanes,
            outstanding: AtomicUsize::new(left_undone.len()),
            activity: Arc::new(Notify::new()),
            run_key,
        });
        for (width, receiver) in receivers {
            tokio::spawn(Arc::clone(&invoker).work_off(width, receiver));
        }
        for work in left_undone {
            invoker.enqueue(work);
        }
        Ok(invoker)
    }

    /// The template.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// What `cargo local` remembers.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Where failed work goes.
    pub fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// Told after every invocation: whoever polls may look again.
    pub fn activity(&self) -> &Arc<Notify> {
        &self.activity
    }

    /// Asynchronous invocations that are not done yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Whether an `Authorization` header was made with this instance's access key.
    pub fn is_ours(&self, authorization: &str) -> bool {
        authorization.contains(&format!("Credential={}/", self.run_key))
    }

    /// The logical id behind a name, an ARN or a partial ARN, with or without a qualifier.
    pub fn function_named(&self, name: &str) -> Option<String> {
        let plain = name.rsplit_once("function:").map_or(name, |(_, rest)| rest);
        let plain = plain.split(':').next().unwrap_or_default();
        self.bundle
            .functions
            .contains_key(plain)
            .then(|| plain.to_owned())
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// [`InvokeError`] when nothing was tried.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        self.invoke_for(function, payload, new_request_id(), false)
            .await
    }

    /// Like [`Self::invoke`], with the last lines of the log.
    ///
    /// # Errors
    /// [`InvokeError`] when nothing was tried.
    pub async fn invoke_with_log(
        &self,
        function: &str,
        payload: Bytes,
    ) -> Result<Outcome, InvokeError> {
        self.invoke_for(function, payload, new_request_id(), true)
            .await
    }

    async fn invoke_for(
        &self,
        function: &str,
        payload: Bytes,
        request_id: String,
        with_log: bool,
    ) -> Result<Outcome, InvokeError> {
        let outcome = self
            .processes
            .invoke(function, payload, request_id, with_log)
            .await;
        if let Err(error @ InvokeError::NotStarted { .. }) = &outcome {
            note(&format!("{function}: {error}"));
        }
        self.activity.notify_waiters();
        outcome
    }

    /// Takes an asynchronous invocation; it is safe when this returns.
    ///
    /// # Errors
    /// The journal's own.
    pub async fn invoke_later(
        &self,
        function: &str,
        payload: Vec<u8>,
        dead_letters: Option<String>,
    ) -> Result<String, DbErr> {
        let work = Self::new_work(function, payload, dead_letters);
        self.journal
            .keep(&work, Timestamp::now().as_millisecond())
            .await?;
        let id = work.id.clone();
        self.begin(work);
        Ok(id)
    }

    /// An asynchronous invocation for the journal.
    pub fn new_work(
        function: &str,
        payload: Vec<u8>,
        dead_letters: Option<String>,
    ) -> PendingInvocation {
        let id = new_request_id();
        PendingInvocation {
            id,
            function: function.to_owned(),
            payload,
            failures: 0,
            dead_letters,
        }
    }

    /// Begins an invocation that is in the journal already.
    pub fn begin(&self, work: PendingInvocation) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        self.enqueue(work);
    }

    fn enqueue(&self, work: PendingInvocation) {
        match self.lanes.get(&work.function) {
            Some(lane) => {
                let _stopped = lane.send(work);
            }
            None => {
                let function = &work.function;
                note(&format!(
                    "an invocation of {function} waits, but the template lacks it now"
                ));
                self.outstanding.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    async fn work_off(
        self: Arc<Self>,
        width: usize,
        mut receiver: mpsc::UnboundedReceiver<PendingInvocation>,
    ) {
        let slots = Arc::new(Semaphore::new(width));
        while let Some(work) = receiver.recv().await {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let invoker = Arc::clone(&self);
            tokio::spawn(async move {
                invoker.try_once(work).await;
                drop(slot);
            });
        }
    }

    async fn try_once(self: Arc<Self>, mut work: PendingInvocation) {
        let payload = Bytes::from(work.payload.clone());
        let attempt = self.invoke_for(&work.function, payload, work.id.clone(), false);
        let outcome = match attempt.await {
            Ok(outcome) if outcome.is_success() => {
                self.done(&work).await;
                return;
            }
            Ok(failed) => Some(failed),
            Err(InvokeError::Stopping) => return,
            Err(_not_started) => None,
        };
        work.failures = work.failures.saturating_add(1);
        let policy = self
            .bundle
            .functions
            .get(&work.function)
            .map(|f| f.on_async_failure.clone());
        let policy = policy.unwrap_or_default();
        if work.failures <= policy.max_retries {
            if let Err(error) = self.journal.count_failure(&work.id).await {
                note(&format!("the journal could not be written: {error}"));
            }
            let delay = RETRY_DELAYS.get(work.failures.saturating_sub(1) as usize);
            let delay = delay.or(RETRY_DELAYS.last()).copied().unwrap_or_default();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                self.enqueue(work);
            });
            return;
        }
        let (function, attempts) = (&work.function, work.failures);
        note(&format!(
            "{function}: an asynchronous invocation failed {attempts} times"
        ));
        let failed = FailedInvocation {
            function,
            request_id: &work.id,
            payload: &work.payload,
            attempts,
            response: outcome.as_ref().map(|outcome| &outcome.payload[..]),
        };
        let delivered = self.destinations.deliver(
            policy.destination.as_ref(),
            work.dead_letters.as_deref(),
            &failed,
        );
        match delivered.await {
            Ok(()) => self.done(&work).await,
            // It stays in the journal: the next start tries again.
            Err(error) => note(&format!(
                "{function}: its failure could not be handed on: {error}"
            )),
        }
    }

    async fn done(&self, work: &PendingInvocation) {
        if let Err(error) = self.journal.forget(&work.id).await {
            note(&format!("the journal could not be written: {error}"));
        }
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.activity.notify_waiters();
    }
}
