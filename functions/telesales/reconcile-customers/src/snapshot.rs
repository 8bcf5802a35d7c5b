//! A file of the company's customers: a line of JSON each in the form of `clientes`, in the order of
//! `id_cliente` by bytes.

use contracts::changes::LARGEST_RECORD;
use domain::{identity::CustomerId, time::UtcMillis};
use files::{FileAddress, FileError, FileReader, Files};
use sql_store::telesales::{
    reconciliation::{AsOf, Source, SourceRow},
    source::RowReader,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const ABSENT: &str = "origem_ausente";
const UNREACHABLE: &str = "origem_inacessivel";
const UNREADABLE: &str = "origem_ilegivel";
const OLD: &str = "origem_velha";

/// A file that is written daily is not older, but where its writing failed.
const OLDEST_MS: i64 = 2 * 24 * 3_600_000;
/// The customers change while a file of them is written: what came in the hour before its end may be
/// missing in it.
const WRITING_MS: i64 = 3_600_000;

/// The place of the file is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("RECONCILE_FILE must be bucket/key")]
pub struct BadPlace;

/// Where the file is.
pub struct SnapshotFile {
    files: Files,
    address: FileAddress,
}

/// The file while it is read.
pub struct Snapshot<'a> {
    file: &'a SnapshotFile,
    reader: Option<BufReader<FileReader>>,
    rows: RowReader,
    clock: fn() -> UtcMillis,
}

impl SnapshotFile {
    /// By `bucket/key`.
    ///
    /// # Errors
    /// When it is no such place.
    pub fn new(files: Files, place: &str) -> Result<Self, BadPlace> {
        let (bucket, key) = place.split_once('/').ok_or(BadPlace)?;
        let address = FileAddress::new(bucket, key).map_err(|_| BadPlace)?;
        Ok(Self { files, address })
    }

    /// To be read from its beginning.
    #[must_use]
    pub fn open(&self, clock: fn() -> UtcMillis) -> Snapshot<'_> {
        Snapshot {
            file: self,
            reader: None,
            rows: RowReader::default(),
            clock,
        }
    }
}

impl Snapshot<'_> {
    async fn reader(&mut self) -> Result<&mut BufReader<FileReader>, &'static str> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let opened = self.file.files.open(&self.file.address).await;
                BufReader::new(opened.map_err(|error| code(&error))?)
            }
        };
        Ok(self.reader.insert(reader))
    }
}

impl Source for Snapshot<'_> {
    async fn as_of(&mut self, began: UtcMillis) -> Result<AsOf, &'static str> {
        let file = self.file.files.head(&self.file.address).await;
        let written = file.map_err(|error| code(&error))?.modified_ms;
        if written < began.get() - OLDEST_MS {
            return Err(OLD);
        }
        let written = UtcMillis::new(written).map_err(|_| UNREADABLE)?;
        Ok(AsOf {
            complete: written.plus_millis(-WRITING_MS),
            latest: written,
        })
    }

    /// The file is read once, so a page begins where the one before ended.
    async fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        if after.is_none() {
            self.reader = None;
        }
        let now = (self.clock)();
        let mut rows = Vec::new();
        let mut line = Vec::new();
        while rows.len() < limit as usize {
            if !next_line(self.reader().await?, &mut line).await? {
                break;
            }
            if !line.trim_ascii().is_empty() {
                rows.push(self.rows.read(&line, now)?);
            }
        }
        Ok(rows)
    }
}

/// False at the end of the file.
async fn next_line(
    reader: &mut BufReader<FileReader>,
    line: &mut Vec<u8>,
) -> Result<bool, &'static str> {
    line.clear();
    let most = LARGEST_RECORD as u64 + 1;
    let read = reader.take(most).read_until(b'\n', line).await;
    if read.map_err(|_| UNREACHABLE)? > LARGEST_RECORD && line.last() != Some(&b'\n') {
        return Err(UNREADABLE);
    }
    Ok(!line.is_empty())
}

fn code(error: &FileError) -> &'static str {
    tracing::error!(%error, "the file of the company's customers cannot be read");
    match error {
        FileError::NotFound => ABSENT,
        error if error.is_transient() => UNREACHABLE,
        _ => UNREADABLE,
    }
}
