//! Sums from a file's totals.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use domain::sales::{Grouping, Question, Sums};

use super::gather::Gathered;
use super::plan::{Plan, PlannedSection};
use crate::error::LakeError;
use crate::read::TotalsFile;

const COLUMNS: [&str; 4] = ["chave", "quantidade", "receita", "pedidos"];

/// Adds the plan's sections.
pub async fn add(
    totals: &TotalsFile,
    plan: &Plan,
    question: &Question,
    gathered: &mut Gathered,
) -> Result<(), LakeError> {
    let mut planned = plan.sections.clone();
    planned.sort_by_key(|planned| planned.section.first);
    let sections = planned.iter().map(|planned| planned.section).collect();
    let filter = question.product.as_deref();
    let filter = filter.or(question.region.as_deref());
    let mut adding = Adding {
        by_period: matches!(question.grouping, Grouping::Day | Grouping::Month),
        filter: filter.or(question.category.as_deref()),
        sections: planned.into_iter(),
        left: 0,
        period: 0,
        codes: Codes::default(),
        gathered,
    };
    totals
        .read(sections, &COLUMNS, &mut |batch| adding.batch(batch))
        .await
}

/// Groups by the codes of a dictionary; `None` for what the filter leaves out.
#[derive(Default)]
struct Codes {
    dictionary: Option<ArrayRef>,
    groups: Vec<Option<u32>>,
    unknown: Option<u32>,
}

struct Adding<'a> {
    by_period: bool,
    filter: Option<&'a str>,
    sections: std::vec::IntoIter<PlannedSection>,
    /// Rows of the current section that have not come yet.
    left: u64,
    period: u32,
    codes: Codes,
    gathered: &'a mut Gathered,
}

impl Adding<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let [keys, quantities, revenues, orders] = batch.columns() else {
            return Err(LakeError::Unexpected("the totals have other columns"));
        };
        let keys = keys.as_dictionary::<Int32Type>();
        self.read_dictionary(keys.values())?;
        let quantities = quantities.as_primitive::<Int64Type>().values();
        let revenues = revenues.as_primitive::<Int64Type>().values();
        let orders = orders.as_primitive::<Int64Type>().values();
        let sums = quantities.iter().zip(revenues).zip(orders);
        for (key, ((quantity, revenue_centavos), orders)) in keys.keys().iter().zip(sums) {
            self.pass_row();
            let found = match key {
                None => self.codes.unknown,
                Some(code) => {
                    let code = usize::try_from(code).unwrap_or(usize::MAX);
                    self.codes.groups.get(code).copied().flatten()
                }
            };
            let Some(group) = found else {
                continue;
            };
            let group = if self.by_period { self.period } else { group };
            let sums = Sums {
                quantity: *quantity,
                revenue_centavos: *revenue_centavos,
                orders: *orders,
            };
            self.gathered.add(group, sums)?;
        }
        Ok(())
    }

    /// Knows under which period the next row counts.
    fn pass_row(&mut self) {
        while self.left == 0 {
            let Some(planned) = self.sections.next() else {
                return;
            };
            self.left = planned.section.rows;
            if self.by_period {
                self.period = self.gathered.period_group(planned.period);
            }
        }
        self.left -= 1;
    }

    fn read_dictionary(&mut self, values: &ArrayRef) -> Result<(), LakeError> {
        let is_known = |known: &ArrayRef| Arc::ptr_eq(known, values);
        if self.codes.dictionary.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        self.codes.dictionary = Some(Arc::clone(values));
        self.codes.unknown = self.group("")?;
        let texts = values.as_string::<i32>();
        let mut groups = Vec::with_capacity(texts.len());
        for text in texts {
            groups.push(self.group(text.unwrap_or_default())?);
        }
        self.codes.groups = groups;
        Ok(())
    }

    fn group(&mut self, text: &str) -> Result<Option<u32>, LakeError> {
        if self.filter.is_some_and(|wanted| wanted != text) {
            return Ok(None);
        }
        if self.by_period {
            // Which one says the section.
            return Ok(Some(0));
        }
        self.gathered.text_group(text).map(Some)
    }
}
