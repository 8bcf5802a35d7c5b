//! Reading a file: checked, counted, sorted, what is bad put aside.

use std::{
    io::{self, BufWriter, Read},
    path::Path,
};

use domain::{
    sales::{SaleLine, Sums},
    time::UtcMillis,
};
use files::{FileAddress, FileError, FileReader};
use lake::{
    SortError, Sorted, SortedSales,
    input::{
        BadFile, Counts, Format, InputError, Lines, MAGIC_BYTES, Quarantine, read_csv, read_parquet,
    },
};
use sql_store::StoreError;
use tempfile::NamedTempFile;
use tokio::{
    io::AsyncReadExt,
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    Parts,
    fill::{OwnedLine, Waiting},
    limits::{MOST_PARQUET_ROWS, MOST_TEXT_BYTES, RESERVE_MS, most_bytes},
};

/// How often the clock is looked at, in lines.
const LINES_BETWEEN_LOOKS: u64 = 1 << 16;

/// A file that was read.
pub(crate) struct Intake {
    pub(crate) sorted: Sorted,
    pub(crate) counts: Counts,
    /// What the accepted lines come to.
    pub(crate) sums: Sums,
    /// When the first and the last line were sold.
    pub(crate) sold: Option<(UtcMillis, UtcMillis)>,
    /// The file of bad lines, where there are some.
    pub(crate) quarantine: Option<NamedTempFile>,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum IntakeError {
    /// The file is to blame.
    File(BadFile),
    /// Its sums are beyond what is counted in, or its names too many.
    TooMuch,
    /// The time did not suffice.
    OutOfTime,
    Files(FileError),
    Store(StoreError),
    /// The temporary folder failed.
    Folder(io::ErrorKind),
}

impl From<SortError> for IntakeError {
    fn from(error: SortError) -> Self {
        match error {
            SortError::Folder(kind) => Self::Folder(kind),
            _ => Self::TooMuch,
        }
    }
}

impl From<InputError<Self>> for IntakeError {
    fn from(error: InputError<Self>) -> Self {
        match error {
            InputError::File(bad) => Self::File(bad),
            InputError::Source(error) => Self::Files(FileError::Unavailable {
                code: error.kind().to_string(),
            }),
            InputError::Quarantine(error) => Self::Folder(error.kind()),
            InputError::Lines(error) => error,
        }
    }
}

impl From<io::Error> for IntakeError {
    fn from(error: io::Error) -> Self {
        Self::Folder(error.kind())
    }
}

/// Reads the file into `folder`.
pub(crate) async fn read(
    parts: &Parts,
    address: &FileAddress,
    size_bytes: u64,
    folder: &Path,
) -> Result<Intake, IntakeError> {
    let mut source = parts
        .files
        .open(address)
        .await
        .map_err(IntakeError::Files)?;
    let mut first = Vec::new();
    let magic = u64::try_from(MAGIC_BYTES).unwrap_or_default();
    (&mut source)
        .take(magic)
        .read_to_end(&mut first)
        .await
        .map_err(|error| broke_off(&error))?;
    let format = Format::of(&first);
    if size_bytes > most_bytes(format) {
        return Err(IntakeError::File(BadFile::TooLarge));
    }
    let local = match format {
        Format::Parquet => Some(copy(&first, &mut source, folder).await?),
        _ => None,
    };
    let (asks, mut asked) = mpsc::channel(1);
    let taking = Taking::new(parts, folder, asks);
    let (folder, runtime) = (folder.to_owned(), Handle::current());
    let mut reading = tokio::task::spawn_blocking(move || match local {
        Some(local) => taking.parquet(local, &folder),
        None => {
            let rest = Blocking { runtime, source };
            taking.csv(format, Read::chain(io::Cursor::new(first), rest), &folder)
        }
    });
    // The database is asked here, so that nothing of this load goes on without this future.
    loop {
        tokio::select! {
            outcome = &mut reading => {
                return outcome.map_err(|_| interrupted())?;
            }
            Some(Ask { mut waiting, answer }) = asked.recv() => {
                let filled = waiting.fill(&parts.store).await;
                // Who asked may have failed meanwhile.
                let _ = answer.send(filled.map(|lines| (waiting, lines)));
            }
        }
    }
}

const fn interrupted() -> IntakeError {
    IntakeError::Folder(io::ErrorKind::Interrupted)
}

/// Lines that lack something, on their way to the database and back.
struct Ask {
    waiting: Waiting,
    answer: oneshot::Sender<Result<(Waiting, Vec<OwnedLine>), StoreError>>,
}

/// Parquet is read from its end: it is copied first.
async fn copy(
    first: &[u8],
    source: &mut FileReader,
    folder: &Path,
) -> Result<std::fs::File, IntakeError> {
    let local = tempfile::tempfile_in(folder)?;
    let mut to = tokio::fs::File::from_std(local);
    let mut from = AsyncReadExt::chain(first, source);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut buffer).await;
        let count = count.map_err(|error| broke_off(&error))?;
        if count == 0 {
            break;
        }
        let chunk = buffer.get(..count).unwrap_or_default();
        tokio::io::AsyncWriteExt::write_all(&mut to, chunk).await?;
    }
    tokio::io::AsyncWriteExt::flush(&mut to).await?;
    Ok(to.into_std().await)
}

fn broke_off(error: &io::Error) -> IntakeError {
    IntakeError::Files(FileError::Unavailable {
        code: error.kind().to_string(),
    })
}

/// The source for readers that block; where it breaks off it says ConnectionReset.
struct Blocking {
    runtime: Handle,
    source: FileReader,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime
            .block_on(self.source.read(buffer))
            .map_err(|_| io::ErrorKind::ConnectionReset.into())
    }
}

/// Takes the lines of a file.
struct Taking {
    clock: fn() -> UtcMillis,
    deadline: UtcMillis,
    asks: mpsc::Sender<Ask>,
    started: UtcMillis,
    sorted: SortedSales,
    waiting: Waiting,
    sums: Sums,
    sold: Option<(UtcMillis, UtcMillis)>,
    lines: u64,
}

impl Taking {
    fn new(parts: &Parts, folder: &Path, asks: mpsc::Sender<Ask>) -> Self {
        Self {
            clock: parts.clock,
            deadline: parts.deadline,
            asks,
            started: (parts.clock)(),
            sorted: SortedSales::with_budget(folder, parts.settings.bounds.sort_budget_bytes),
            waiting: Waiting::default(),
            sums: Sums::default(),
            sold: None,
            lines: 0,
        }
    }

    fn csv(
        mut self,
        format: Format,
        source: impl Read,
        folder: &Path,
    ) -> Result<Intake, IntakeError> {
        let mut quarantine = new_quarantine(folder)?;
        let now = self.started;
        let counts = read_csv(
            format,
            source,
            MOST_TEXT_BYTES,
            now,
            &mut self,
            &mut quarantine,
        )?;
        self.end(counts, quarantine)
    }

    fn parquet(mut self, local: std::fs::File, folder: &Path) -> Result<Intake, IntakeError> {
        let mut quarantine = new_quarantine(folder)?;
        let now = self.started;
        let counts = read_parquet(local, MOST_PARQUET_ROWS, now, &mut self, &mut quarantine)?;
        self.end(counts, quarantine)
    }

    fn end(
        mut self,
        counts: Counts,
        quarantine: Quarantine<BufWriter<NamedTempFile>>,
    ) -> Result<Intake, IntakeError> {
        self.release()?;
        let has_lines = quarantine.lines() > 0;
        let file = quarantine.finish()?.into_inner();
        let file = file.map_err(io::IntoInnerError::into_error)?;
        Ok(Intake {
            sorted: self.sorted.finish()?,
            counts,
            sums: self.sums,
            sold: self.sold,
            quarantine: has_lines.then_some(file),
        })
    }

    /// Lets the lines that wait go on.
    fn release(&mut self) -> Result<(), IntakeError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let waiting = std::mem::take(&mut self.waiting);
        let ask = Ask { waiting, answer };
        self.asks.blocking_send(ask).map_err(|_| interrupted())?;
        let filled = answered.blocking_recv().map_err(|_| interrupted())?;
        let (waiting, lines) = filled.map_err(IntakeError::Store)?;
        self.waiting = waiting;
        for line in lines {
            let (line, fingerprint) = line.borrowed();
            self.sorted.push(&line, fingerprint)?;
        }
        Ok(())
    }

    fn look_at_clock(&mut self) -> Result<(), IntakeError> {
        self.lines += 1;
        if self.lines.is_multiple_of(LINES_BETWEEN_LOOKS)
            && (self.clock)().plus_millis(RESERVE_MS) > self.deadline
        {
            return Err(IntakeError::OutOfTime);
        }
        Ok(())
    }
}

fn new_quarantine(folder: &Path) -> io::Result<Quarantine<BufWriter<NamedTempFile>>> {
    Ok(Quarantine::new(BufWriter::new(NamedTempFile::new_in(
        folder,
    )?)))
}

impl Lines for Taking {
    type Error = IntakeError;

    fn sale(&mut self, line: &SaleLine<'_>, fingerprint: u64) -> Result<(), IntakeError> {
        self.look_at_clock()?;
        let revenue_centavos = line.revenue_centavos().ok_or(IntakeError::TooMuch)?;
        let line_sums = Sums {
            quantity: i64::from(line.quantity),
            revenue_centavos,
            orders: 0,
        };
        let sums = self.sums.checked_add(line_sums);
        self.sums = sums.ok_or(IntakeError::TooMuch)?;
        let (first, last) = self.sold.unwrap_or((line.sold, line.sold));
        self.sold = Some((first.min(line.sold), last.max(line.sold)));
        if !self.waiting.wants(line) {
            return Ok(self.sorted.push(line, fingerprint)?);
        }
        if self.waiting.push(line, fingerprint) {
            self.release()?;
        }
        Ok(())
    }

    fn no_sale(&mut self, order: &str) -> Result<(), IntakeError> {
        self.look_at_clock()?;
        Ok(self.sorted.cancel(order)?)
    }
}
