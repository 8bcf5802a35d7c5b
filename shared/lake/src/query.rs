//! Answers about sales, exact to the unit and the centavo, from the files of a snapshot.
//!
//! A question that groups by one thing and filters by nothing else is answered from the totals
//! beside the files: those of whole files, then of whole months, then of days. Where there are no
//! such totals, and for all other questions, the lines themselves are read: only of the days, and
//! only the columns, that the question needs.
//!
//! `pedidos` counts pairs of order and day first, which add up over files and days. Of orders that
//! have lines on several days the totals keep the lines, and by them is taken off what was counted
//! too often.

mod gather;
mod known;
mod plan;
mod scan;
mod spanning;
mod sums;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::lake::DataFile;
use domain::sales::{Group, Question};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::LakeError;
use crate::place::Lake;
use gather::Gathered;
use known::Known;
use plan::{Plan, Range};

/// The most files that are read at the same time.
const MOST_WORKERS: usize = 4;

/// Asks the files of a lake, and remembers where what stands in them.
#[derive(Debug)]
pub struct SalesReader {
    lake: Lake,
    known: Known,
}

impl SalesReader {
    /// A reader that knows nothing yet.
    #[must_use]
    pub fn new(lake: Lake) -> Self {
        Self {
            lake,
            known: Known::default(),
        }
    }

    /// Every group of the answer that has lines, in no order.
    ///
    /// # Errors
    /// When a file can't be read, or a sum is beyond what an i64 holds.
    pub async fn answer(
        self: &Arc<Self>,
        files: &[DataFile],
        question: &Question,
    ) -> Result<Vec<Group>, LakeError> {
        let range = Range::of(question);
        let asked: Vec<DataFile> = files
            .iter()
            .filter(|file| range.meets(file))
            .cloned()
            .collect();
        let job = Arc::new(Job {
            reader: Arc::clone(self),
            files: asked,
            question: question.clone(),
            range,
            next: AtomicUsize::new(0),
        });
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = workers.min(MOST_WORKERS).min(job.files.len()).max(1);
        let started: Vec<JoinHandle<_>> = (0..workers).map(|_| start(&job)).collect();
        let mut gathered = Gathered::new(question.grouping);
        for worker in started {
            let part = worker.await.map_err(|_| LakeError::Interrupted)??;
            gathered.add_all(part)?;
        }
        gathered.take_off_spanning();
        Ok(gathered.groups())
    }
}

/// A question that workers answer together.
struct Job {
    reader: Arc<SalesReader>,
    files: Vec<DataFile>,
    question: Question,
    range: Range,
    next: AtomicUsize,
}

/// Starts a worker on a thread of its own: what it does is decoding, mostly.
fn start(job: &Arc<Job>) -> JoinHandle<Result<Gathered, LakeError>> {
    let job = Arc::clone(job);
    let runtime = Handle::current();
    spawn_blocking(move || runtime.block_on(work(&job)))
}

async fn work(job: &Job) -> Result<Gathered, LakeError> {
    let mut gathered = Gathered::new(job.question.grouping);
    while let Some(file) = job.files.get(job.next.fetch_add(1, Ordering::Relaxed)) {
        let (lake, known) = (&job.reader.lake, &job.reader.known);
        let totals = known.totals(lake, file).await?;
        let plan = Plan::of(&job.question, job.range, totals.sections());
        if !plan.sections.is_empty() {
            sums::add(&totals, &plan, &job.question, &mut gathered).await?;
        }
        if !plan.rows.is_empty() {
            let remote = known.data(lake, file).await?;
            scan::add(remote, &plan.rows, &job.question, &mut gathered).await?;
        }
        spanning::add(&totals, job.range, &job.question, &mut gathered).await?;
    }
    Ok(gathered)
}
