//! Sections of a totals file.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::RemoteFile;
use crate::error::LakeError;
use crate::orders::{FingerprintSet, Fingerprints};
use crate::place::Lake;
use crate::schema;
use crate::texts::{LineTexts, Texts};
use crate::totals::{Level, SECTIONS_KEY, SPANNING, Section, Sections};

const BATCH_ROWS: usize = schema::TOTALS_PAGE_ROWS;

/// A totals file whose sections are known.
#[derive(Debug, Clone)]
pub struct TotalsFile {
    remote: RemoteFile,
    metadata: Arc<ParquetMetaData>,
    sections: Arc<Sections>,
}

impl TotalsFile {
    /// Opens the totals of a file of `vendas`.
    pub async fn open(lake: &Lake, name: &str) -> Result<Self, LakeError> {
        let address = lake.totals_address(name)?;
        let size_bytes = lake.files().head(&address).await?.size_bytes;
        let remote = RemoteFile::new(lake.files(), address, size_bytes);
        let metadata = remote.read_metadata().await?;
        let texts = metadata.file_metadata().key_value_metadata();
        let text = texts
            .and_then(|texts| texts.iter().find(|text| text.key == SECTIONS_KEY))
            .and_then(|text| text.value.as_deref());
        let sections = text
            .and_then(Sections::parse)
            .ok_or(LakeError::Unexpected("its totals have no sections"))?;
        Ok(Self {
            remote: remote.with_metadata(Arc::clone(&metadata)),
            metadata,
            sections: Arc::new(sections),
        })
    }

    /// Where its sections are.
    pub fn sections(&self) -> &Sections {
        &self.sections
    }

    /// Memory held for what is known of it, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.metadata.memory_size() + self.sections.size_bytes()
    }

    /// Reads these columns of these sections, in the schema's order.
    pub async fn read(
        &self,
        mut sections: Vec<Section>,
        columns: &[&str],
        visit: &mut (dyn FnMut(&RecordBatch) -> Result<(), LakeError> + Send),
    ) -> Result<(), LakeError> {
        sections.retain(|section| section.rows > 0);
        if sections.is_empty() {
            return Ok(());
        }
        sections.sort_by_key(|section| section.first);
        let rows = self.metadata.file_metadata().num_rows();
        let rows = usize::try_from(rows).unwrap_or(0);
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let ranges = sections
            .iter()
            .map(|section| place(section.first)..place(section.first + section.rows));
        let options = ArrowReaderOptions::new().with_schema(schema::totals());
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)?;
        let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
        let builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.remote.clone(), metadata);
        let mut batches = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_row_selection(RowSelection::from_consecutive_ranges(ranges, rows))
            .build()?;
        while let Some(batch) = batches.try_next().await? {
            visit(&batch)?;
        }
        Ok(())
    }

    /// The sections of orders that span days.
    pub fn spanning_sections(&self) -> Vec<Section> {
        let days = self.sections.days().iter();
        days.filter_map(|(day, _)| self.sections.find(SPANNING, Level::Day, *day))
            .collect()
    }

    /// The orders that span days.
    pub async fn spanning_orders(&self) -> Result<FingerprintSet, LakeError> {
        let mut found = FingerprintSet::default();
        let fingerprints = Fingerprints::default();
        self.read(self.spanning_sections(), &["id_pedido"], &mut |batch| {
            for order in batch.column(0).as_string::<i32>().iter().flatten() {
                found.insert(fingerprints.of(order));
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Adds every text of the file's lines to those that are known.
    pub async fn add_texts(&self, known: &mut LineTexts) -> Result<(), LakeError> {
        self.add_keys(1, &mut known.products).await?;
        self.add_keys(2, &mut known.regions).await?;
        self.add_keys(3, &mut known.categories).await
    }

    async fn add_keys(&self, grouping: u8, known: &mut Texts) -> Result<(), LakeError> {
        let section = self.sections.find(grouping, Level::File, 0);
        self.read(section.into_iter().collect(), &["chave"], &mut |batch| {
            let keys = batch.column(0).as_dictionary::<Int32Type>();
            let values = keys.values().as_string::<i32>();
            for code in keys.keys().iter().flatten() {
                let code = usize::try_from(code).unwrap_or(0);
                known.number(values.value(code))?;
            }
            Ok(())
        })
        .await
    }
}
