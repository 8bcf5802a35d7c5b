//! A batch of records, what became of each, and what the mapping is told.

use std::collections::BTreeMap;

use contracts::{
    fields::BadMessage,
    kafka_event::{Partition, Record, offset_of},
};
use lambda_kit::InvocationFailed;

/// A record of the event.
pub(crate) struct Source<'e> {
    /// As it stands in the event.
    pub json: &'e str,
    pub record: Result<Record<'e>, BadMessage>,
    partition: usize,
    offset: Option<i64>,
    /// It was sent, or lies in dead letters: it need not come again.
    is_settled: bool,
}

/// All records of an event, by partition and there in order.
pub(crate) struct Batch<'e> {
    names: Vec<&'e str>,
    pub sources: Vec<Source<'e>>,
}

impl<'e> Batch<'e> {
    /// Reads each record alone.
    pub(crate) fn read(partitions: &'e [Partition<'e>]) -> Self {
        let mut sources = Vec::with_capacity(partitions.iter().map(|one| one.records.len()).sum());
        for (partition, list) in partitions.iter().enumerate() {
            sources.extend(list.records.iter().map(|raw| {
                let json = raw.get();
                let record = Record::read(json);
                let offset = match &record {
                    Ok(record) => Some(record.offset),
                    Err(_) => offset_of(json),
                };
                Source {
                    json,
                    record,
                    partition,
                    offset,
                    is_settled: false,
                }
            }));
        }
        Self {
            names: partitions.iter().map(|one| one.name.as_ref()).collect(),
            sources,
        }
    }

    pub(crate) fn settle(&mut self, place: usize) {
        if let Some(source) = self.sources.get_mut(place) {
            source.is_settled = true;
        }
    }

    /// How a dead letter or a log line names a record.
    pub(crate) fn id(&self, source: &Source<'_>) -> String {
        let name = self
            .names
            .get(source.partition)
            .copied()
            .unwrap_or_default();
        match source.offset {
            Some(offset) => format!("{name}@{offset}"),
            None => format!("{name}@?"),
        }
    }

    pub(crate) fn unsettled(&self) -> usize {
        self.sources.iter().filter(|one| !one.is_settled).count()
    }

    /// Per partition the first offset that must come again.
    ///
    /// # Errors
    /// When no offset can be told: then the whole batch has to come again.
    pub(crate) fn first_unsent(&self) -> Result<BTreeMap<&'e str, i64>, InvocationFailed> {
        let mut first: BTreeMap<&'e str, i64> = BTreeMap::new();
        let mut before: Option<(usize, i64)> = None;
        for source in &self.sources {
            // A record that hides its offset comes again with the one before it.
            let earlier = before.filter(|(partition, _)| *partition == source.partition);
            let offset = source.offset.or(earlier.map(|(_, offset)| offset));
            if !source.is_settled {
                let name = self
                    .names
                    .get(source.partition)
                    .copied()
                    .unwrap_or_default();
                let offset =
                    offset.ok_or_else(|| InvocationFailed::new("record_without_offset"))?;
                let lowest = first.entry(name).or_insert(offset);
                *lowest = offset.min(*lowest);
            }
            before = offset.map(|offset| (source.partition, offset)).or(before);
        }
        Ok(first)
    }
}
