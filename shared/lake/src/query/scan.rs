//! Sums from a file's lines.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Int32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use domain::sales::{Grouping, Question};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::gather::Gathered;
use super::plan::PlannedRows;
use crate::error::LakeError;
use crate::read::RemoteFile;
use crate::schema;
use crate::totals::month_of;

const BATCH_ROWS: usize = 16_384;
/// A group that no line has: lines of it are left out.
const LEFT_OUT: u32 = u32::MAX;

/// Adds the lines of these rows that the question asks for.
pub async fn add(
    remote: RemoteFile,
    rows: &[PlannedRows],
    question: &Question,
    gathered: &mut Gathered,
) -> Result<(), LakeError> {
    let options = ArrowReaderOptions::new().with_schema(schema::sales());
    let metadata = ArrowReaderMetadata::try_new(remote.read_metadata().await?, options)?;
    let total = metadata.metadata().file_metadata().num_rows();
    let total = usize::try_from(total).unwrap_or(0);
    let mut scan = Scan::of(question, rows, gathered);
    let columns = scan.columns();
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(remote, metadata)
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS);
    let asked: u64 = rows.iter().map(|rows| rows.rows).sum();
    if asked != total as u64 {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let ranges = rows
            .iter()
            .map(|rows| place(rows.first)..place(rows.first + rows.rows));
        builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, total));
    }
    let mut batches = builder.build()?;
    while let Some(batch) = batches.try_next().await? {
        scan.batch(&batch)?;
    }
    Ok(())
}

/// A column of texts that is filtered, grouped by, or both.
struct TextColumn<'a> {
    name: &'static str,
    filter: Option<&'a str>,
    is_group: bool,
    dictionary: Option<ArrayRef>,
    /// By code: the group (0 where the column only filters), or [`LEFT_OUT`].
    groups: Vec<u32>,
    unknown: u32,
}

impl TextColumn<'_> {
    fn read(&mut self, column: &ArrayRef, gathered: &mut Gathered) -> Result<(), LakeError> {
        let column = column
            .as_dictionary_opt::<Int32Type>()
            .ok_or(LakeError::Unexpected("a text has another type"))?;
        let values = column.values();
        let is_known = |known: &ArrayRef| Arc::ptr_eq(known, values);
        if self.dictionary.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        self.dictionary = Some(Arc::clone(values));
        self.unknown = self.group("", gathered)?;
        let texts = values.as_string::<i32>();
        let mut groups = Vec::with_capacity(texts.len());
        for text in texts {
            groups.push(self.group(text.unwrap_or_default(), gathered)?);
        }
        self.groups = groups;
        Ok(())
    }

    fn group(&self, text: &str, gathered: &mut Gathered) -> Result<u32, LakeError> {
        if self.filter.is_some_and(|wanted| wanted != text) {
            return Ok(LEFT_OUT);
        }
        if self.is_group {
            return gathered.text_group(text);
        }
        Ok(0)
    }

    fn group_of(&self, code: i32, is_null: bool) -> u32 {
        if is_null {
            return self.unknown;
        }
        let group = self.groups.get(code.cast_unsigned() as usize);
        group.copied().unwrap_or(LEFT_OUT)
    }
}

struct Scan<'a> {
    texts: Vec<TextColumn<'a>>,
    period: Option<Grouping>,
    rows: std::slice::Iter<'a, PlannedRows>,
    /// Rows of the current day that have not come yet.
    left: u64,
    period_group: u32,
    gathered: &'a mut Gathered,
    /// By row of the batch.
    groups: Vec<u32>,
}

impl<'a> Scan<'a> {
    fn of(question: &'a Question, rows: &'a [PlannedRows], gathered: &'a mut Gathered) -> Self {
        let columns = [
            ("id_produto", &question.product, Grouping::Product),
            ("regiao", &question.region, Grouping::Region),
            ("categoria", &question.category, Grouping::Category),
        ];
        let texts = columns
            .into_iter()
            .filter(|(_, filter, grouping)| filter.is_some() || *grouping == question.grouping)
            .map(|(name, filter, grouping)| TextColumn {
                name,
                filter: filter.as_deref(),
                is_group: grouping == question.grouping,
                dictionary: None,
                groups: Vec::new(),
                unknown: LEFT_OUT,
            });
        let by_period = matches!(question.grouping, Grouping::Day | Grouping::Month);
        Self {
            texts: texts.collect(),
            period: by_period.then_some(question.grouping),
            rows: rows.iter(),
            left: 0,
            period_group: 0,
            gathered,
            groups: Vec::new(),
        }
    }

    fn columns(&self) -> Vec<&'static str> {
        let numbers = ["quantidade", "preco", "linha"];
        self.texts
            .iter()
            .map(|text| text.name)
            .chain(numbers)
            .collect()
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.find_groups(batch)?;
        let column = |name: &str| {
            let column = batch.column_by_name(name);
            column.ok_or(LakeError::Unexpected("a column is missing"))
        };
        let quantities = column("quantidade")?.as_primitive::<Int32Type>().values();
        let prices = column("preco")?.as_primitive::<Decimal64Type>().values();
        let numbers = column("linha")?.as_primitive::<Int32Type>().values();
        let lines = quantities.iter().zip(prices).zip(numbers);
        for (group, ((quantity, price), number)) in self.groups.iter().zip(lines) {
            if *number == 1 {
                self.gathered.begin_order();
            }
            if *group != LEFT_OUT {
                self.gathered
                    .add_line(*group, i64::from(*quantity), *price)
                    .ok_or(LakeError::TooLarge)?;
            }
        }
        Ok(())
    }

    /// The group of each row of the batch.
    fn find_groups(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.groups.clear();
        self.groups.resize(batch.num_rows(), 0);
        if let Some(grouping) = self.period {
            self.find_periods(grouping);
        }
        for text in &mut self.texts {
            let column = batch.column_by_name(text.name);
            let column = column.ok_or(LakeError::Unexpected("a column is missing"))?;
            text.read(column, self.gathered)?;
            let codes = column.as_dictionary::<Int32Type>().keys();
            let nulls = codes.nulls();
            for (row, (group, code)) in self.groups.iter_mut().zip(codes.values()).enumerate() {
                let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
                let found = text.group_of(*code, is_null);
                if found == LEFT_OUT || text.is_group && *group != LEFT_OUT {
                    *group = found;
                }
            }
        }
        Ok(())
    }

    fn find_periods(&mut self, grouping: Grouping) {
        for group in &mut self.groups {
            while self.left == 0 {
                let Some(rows) = self.rows.next() else {
                    break;
                };
                self.left = rows.rows;
                let period = match grouping {
                    Grouping::Month => month_of(rows.day),
                    _ => rows.day,
                };
                self.period_group = self.gathered.period_group(period);
            }
            self.left = self.left.saturating_sub(1);
            *group = self.period_group;
        }
    }
}
