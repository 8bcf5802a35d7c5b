//! The lines of orders that span days, by which distinct orders are corrected.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type};
use arrow_array::{DictionaryArray, RecordBatch};
use domain::sales::{Grouping, Question};

use super::gather::Gathered;
use super::plan::Range;
use crate::error::LakeError;
use crate::orders::Fingerprints;
use crate::read::TotalsFile;
use crate::totals::{Level, SPANNING, month_of};

const COLUMNS: [&str; 5] = ["periodo", "chave", "id_pedido", "regiao", "categoria"];

/// Notes the lines that the question asks for, of orders that span days.
pub async fn add(
    totals: &TotalsFile,
    range: Range,
    question: &Question,
    gathered: &mut Gathered,
) -> Result<(), LakeError> {
    if question.grouping == Grouping::Day || !range.is_long() {
        return Ok(());
    }
    let sections = totals.sections();
    let days = sections.days().iter().map(|(day, _)| *day);
    let days = days.filter(|day| range.holds(*day));
    let asked = days.filter_map(|day| sections.find(SPANNING, Level::Day, day));
    let asked = asked.collect();
    totals
        .read(asked, &COLUMNS, &mut |batch| {
            note(batch, question, gathered)
        })
        .await
}

fn note(
    batch: &RecordBatch,
    question: &Question,
    gathered: &mut Gathered,
) -> Result<(), LakeError> {
    let [days, products, orders, regions, categories] = batch.columns() else {
        return Err(LakeError::Unexpected("the totals have other columns"));
    };
    let days = days.as_primitive::<Date32Type>().values();
    let products = products.as_dictionary::<Int32Type>();
    let regions = regions.as_dictionary::<Int32Type>();
    let categories = categories.as_dictionary::<Int32Type>();
    let orders = orders.as_string::<i32>();
    let fingerprints = Fingerprints::default();
    for (row, day) in days.iter().enumerate() {
        let product = text(products, row);
        let region = text(regions, row);
        let category = text(categories, row);
        let is_asked = [
            (&question.product, product),
            (&question.region, region),
            (&question.category, category),
        ];
        if !is_asked
            .into_iter()
            .all(|(filter, text)| filter.as_deref().is_none_or(|wanted| wanted == text))
        {
            continue;
        }
        let group = match question.grouping {
            Grouping::Product => gathered.text_group(product)?,
            Grouping::Region => gathered.text_group(region)?,
            Grouping::Category => gathered.text_group(category)?,
            Grouping::Month => gathered.period_group(month_of(*day)),
            Grouping::Day => gathered.period_group(*day),
        };
        gathered.note_spanning(fingerprints.of(orders.value(row)), group, *day);
    }
    Ok(())
}

/// The text of a row; empty where it is null.
fn text(column: &DictionaryArray<Int32Type>, row: usize) -> &str {
    let values = column.values().as_string::<i32>();
    match column.key(row) {
        Some(code) => values.value(code),
        None => "",
    }
}
