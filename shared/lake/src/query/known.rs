//! What is remembered of files: they never change, so it holds as long as they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::lake::{DataFile, Table};
use parquet::file::metadata::ParquetMetaData;

use crate::error::LakeError;
use crate::place::Lake;
use crate::read::{RemoteFile, TotalsFile};

/// Memory for footers; when it is full all are forgotten, as the lake may have moved on.
const MOST_BYTES: usize = 48 * 1024 * 1024;

/// Footers by the names of their files.
#[derive(Debug, Default)]
pub struct Known {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    totals: HashMap<String, TotalsFile>,
    data: HashMap<String, Arc<ParquetMetaData>>,
    size_bytes: usize,
}

impl Inner {
    fn make_room(&mut self, bytes: usize) {
        if self.size_bytes + bytes > MOST_BYTES {
            *self = Self::default();
        }
        self.size_bytes += bytes;
    }
}

impl Known {
    /// The totals of a file of `vendas`.
    pub async fn totals(&self, lake: &Lake, file: &DataFile) -> Result<TotalsFile, LakeError> {
        if let Some(totals) = self.with(|inner| inner.totals.get(&file.name).cloned()) {
            return Ok(totals);
        }
        let totals = TotalsFile::open(lake, &file.name).await?;
        self.with(|inner| {
            inner.make_room(totals.size_bytes());
            inner.totals.insert(file.name.clone(), totals.clone());
        });
        Ok(totals)
    }

    /// A file of `vendas` with its metadata.
    pub async fn data(&self, lake: &Lake, file: &DataFile) -> Result<RemoteFile, LakeError> {
        let address = lake.address(Table::Sales, &file.name)?;
        let remote = RemoteFile::new(lake.files(), address, file.size_bytes);
        if let Some(metadata) = self.with(|inner| inner.data.get(&file.name).cloned()) {
            return Ok(remote.with_metadata(metadata));
        }
        let metadata = remote.read_metadata().await?;
        self.with(|inner| {
            inner.make_room(metadata.memory_size());
            inner.data.insert(file.name.clone(), Arc::clone(&metadata));
        });
        Ok(remote.with_metadata(metadata))
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        // What is remembered is whole at every moment: a panic elsewhere leaves nothing half done.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut inner)
    }
}
