//! The lake as a source.

use std::sync::{Arc, Mutex, PoisonError};

use domain::lake::{DataFile, Snapshot, SnapshotId, Table};
use domain::sales::{Group, Question};
use files::{FileError, Files};
use lake::{Lake, LakeError, SalesReader};
use sql_store::lake::{FilesError, files_at, latest};
use sql_store::{Store, StoreError};

use crate::source::{SalesSource, SourceError};

/// Versions whose files are remembered: the newest and those of cursors.
const MOST_VERSIONS: usize = 8;

type FileList = Arc<Vec<DataFile>>;

/// Asks the files of the lake that the catalogue names.
pub struct LakeSource {
    store: Store,
    reader: Arc<SalesReader>,
    files: Mutex<Vec<(SnapshotId, FileList)>>,
}

impl LakeSource {
    /// The lake of this bucket.
    #[must_use]
    pub fn new(store: Store, files: Files, bucket: &str) -> Self {
        Self {
            store,
            reader: Arc::new(SalesReader::new(Lake::new(files, bucket))),
            files: Mutex::new(Vec::new()),
        }
    }

    async fn files_of(&self, version: SnapshotId) -> Result<FileList, SourceError> {
        let lock = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().iter().find(|(known, _)| *known == version).cloned();
        if let Some((_, files)) = known {
            return Ok(files);
        }
        let files = files_at(&self.store, Table::Sales, version).await;
        let files = Arc::new(files.map_err(|error| match error {
            FilesError::SnapshotGone => SourceError::Gone,
            FilesError::Store(error) => of_store(&error),
        })?);
        let mut kept = lock();
        if kept.len() >= MOST_VERSIONS {
            kept.remove(0);
        }
        kept.push((version, Arc::clone(&files)));
        Ok(files)
    }
}

impl SalesSource for LakeSource {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        let newest = latest(&self.store, &[Table::Sales]).await;
        newest.map_err(|error| of_store(&error))
    }

    async fn answer(
        &self,
        version: SnapshotId,
        question: &Question,
    ) -> Result<Vec<Group>, SourceError> {
        let files = self.files_of(version).await?;
        let answer = self.reader.answer(&files, question).await;
        answer.map_err(|error| match error {
            // A file of a version that ended more than a day ago was removed meanwhile.
            LakeError::Files(FileError::NotFound) => {
                tracing::warn!(version = version.0, "a file of this version is gone");
                SourceError::Gone
            }
            error if error.is_transient() => {
                tracing::warn!(%error, "the lake can't be read");
                SourceError::Unavailable
            }
            error => {
                tracing::error!(%error, "the lake can't be read");
                SourceError::Failed
            }
        })
    }
}

fn of_store(error: &StoreError) -> SourceError {
    tracing::error!(%error, "the store failed");
    if error.is_transient() {
        SourceError::Unavailable
    } else {
        SourceError::Failed
    }
}
