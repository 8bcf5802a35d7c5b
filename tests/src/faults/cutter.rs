//! Ends a run at its n-th point: before or after a statement or a send.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use queues::{SendObserver, SendPoint};
use sql_store::observer::{Point, StatementObserver};
use tokio::sync::Notify;

/// What happens at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing: the points are counted.
    Never,
    /// The run hangs there and is dropped, which closes its connection as a killed process does.
    Drop(usize),
    /// The process aborts.
    Abort(usize),
}

/// Counts the points of one process and ends it at one of them.
#[derive(Debug)]
pub struct Cutter {
    cut: Cut,
    passed: AtomicUsize,
    was_cut: Notify,
    last: Mutex<String>,
    names: Mutex<Vec<String>>,
}

impl Cutter {
    /// Ends the run as `cut` says.
    #[must_use]
    pub fn new(cut: Cut) -> Arc<Self> {
        Arc::new(Self {
            cut,
            passed: AtomicUsize::new(0),
            was_cut: Notify::new(),
            last: Mutex::default(),
            names: Mutex::default(),
        })
    }

    /// How many points were passed.
    #[must_use]
    pub fn points(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// The points that were passed, in words; only of a run that is never cut.
    ///
    /// # Panics
    /// Never: nothing panics while the texts are held.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }

    /// An outside system was asked, and its answer is under way: true ends the asker here.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.pass(|| "an outside system was asked".to_owned())
    }

    /// The last point, in words, for the message of a failed assertion.
    ///
    /// # Panics
    /// Never: nothing panics while the text is held.
    #[must_use]
    pub fn last(&self) -> String {
        self.last.lock().unwrap().clone()
    }

    /// The answer of `work`; `None` when it was cut off, and then it is gone.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = work => Some(answer),
            () = self.was_cut.notified() => None,
        }
    }

    fn pass(&self, place: impl FnOnce() -> String) -> bool {
        let number = self.passed.fetch_add(1, Ordering::SeqCst);
        match self.cut {
            Cut::Drop(at) if number == at => {
                *self.last.lock().unwrap() = place();
                self.was_cut.notify_one();
                true
            }
            Cut::Abort(at) if number == at => std::process::abort(),
            Cut::Drop(_) | Cut::Abort(_) => false,
            Cut::Never => {
                self.names.lock().unwrap().push(place());
                false
            }
        }
    }
}

impl StatementObserver for Cutter {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        self.pass(|| format!("{point:?}"))
    }
}

impl SendObserver for Cutter {
    fn cuts_at(&self, queue_url: &str, point: SendPoint) -> bool {
        self.pass(|| format!("{point:?} a send to {queue_url}"))
    }
}
