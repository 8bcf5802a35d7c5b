//! Parquet files of the lake, read by the byte ranges that are needed.

mod lines;
mod merge;
mod orders;
mod rewrite;
mod sale_rows;
mod totals;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use files::{FileAddress, Files};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

pub use lines::StoredLine;
pub use merge::merge;
pub use orders::orders_of;
pub(crate) use rewrite::open;
pub use rewrite::{Drops, Rewritten, rewrite};
pub(crate) use totals::TotalsFile;

use crate::error::LakeError;

/// Ranges closer than this are read as one.
const GAP_BYTES: u64 = 128 * 1024;
/// Ranges read at the same time.
const PARALLEL_RANGES: usize = 4;
/// Read from the end of a file, in the hope to hold the footer and where the pages are.
const TAIL_BYTES: usize = 256 * 1024;

/// A file that Parquet's reader reads.
#[derive(Debug, Clone)]
pub struct RemoteFile {
    files: Files,
    address: FileAddress,
    size_bytes: u64,
    metadata: Option<Arc<ParquetMetaData>>,
}

impl RemoteFile {
    /// The file of this size.
    pub fn new(files: &Files, address: FileAddress, size_bytes: u64) -> Self {
        Self {
            files: files.clone(),
            address,
            size_bytes,
            metadata: None,
        }
    }

    /// With metadata that are known already.
    pub fn with_metadata(mut self, metadata: Arc<ParquetMetaData>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Reads the footer and where its pages are.
    pub async fn read_metadata(&self) -> Result<Arc<ParquetMetaData>, LakeError> {
        let mut file = self.clone();
        Ok(file.get_metadata(None).await?)
    }

    async fn bytes(&self, range: Range<u64>) -> ParquetResult<Bytes> {
        let length = range.end.saturating_sub(range.start);
        let read = self
            .files
            .get_range(&self.address, range.start, length)
            .await;
        let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
        if read.len() as u64 != length {
            return Err(ParquetError::EOF("the file ends too soon".to_owned()));
        }
        Ok(Bytes::from(read))
    }
}

impl AsyncFileReader for RemoteFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.bytes(range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let this = self.clone();
        async move {
            let joined = join(&ranges);
            let reads = joined.iter().cloned().map(|range| {
                let this = this.clone();
                async move { this.bytes(range).await }
            });
            let read: Vec<Bytes> = stream::iter(reads)
                .buffered(PARALLEL_RANGES)
                .try_collect()
                .await?;
            ranges
                .iter()
                .map(|range| slice(&joined, &read, range))
                .collect()
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            if let Some(metadata) = &self.metadata {
                return Ok(Arc::clone(metadata));
            }
            let size_bytes = self.size_bytes;
            let metadata = ParquetMetaDataReader::new()
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_prefetch_hint(Some(TAIL_BYTES))
                .load_and_finish(&mut *self, size_bytes)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

/// Ranges that hold all of these, in order, with no small gaps between.
fn join(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

fn slice(joined: &[Range<u64>], read: &[Bytes], range: &Range<u64>) -> ParquetResult<Bytes> {
    let place = joined.partition_point(|whole| whole.start <= range.start);
    let whole = place.checked_sub(1).and_then(|place| {
        let from = usize::try_from(range.start - joined.get(place)?.start).ok()?;
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let bytes = read.get(place)?;
        (from + length <= bytes.len()).then(|| bytes.slice(from..from + length))
    });
    whole.ok_or_else(|| ParquetError::EOF("the file ends too soon".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_read_as_one() {
        let far = 10 * GAP_BYTES;
        let joined = join(&[far..far + 5, 0..10, 20..30]);
        assert_eq!(joined, vec![0..30, far..far + 5]);
        let read = vec![
            Bytes::from((0..30).collect::<Vec<u8>>()),
            Bytes::from_static(b"abcde"),
        ];
        let found = slice(&joined, &read, &(20..30)).unwrap();
        assert_eq!(found, (20..30).collect::<Vec<u8>>());
        let found = slice(&joined, &read, &(far + 1..far + 3)).unwrap();
        assert_eq!(found, b"bc".as_slice());
        assert!(slice(&joined, &read, &(far..far + 6)).is_err());
    }
}
