//! Rows of a file of `vendas`, with their texts by number.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use crate::error::LakeError;
use crate::sort::SaleFields;
use crate::texts::{LineTexts, Texts, UNKNOWN};
use crate::write::Line;

/// A batch of rows.
pub struct SaleRows {
    orders: StringArray,
    products: Vec<u32>,
    quantities: Int32Array,
    prices: Decimal64Array,
    sold: TimestampMicrosecondArray,
    regions: Vec<u32>,
    categories: Vec<u32>,
    days: Date32Array,
    loads: Int64Array,
}

/// From the codes of a file's dictionaries to the numbers of texts, from batch to batch.
#[derive(Default)]
pub struct Codes {
    products: Numbers,
    regions: Numbers,
    categories: Numbers,
}

impl SaleRows {
    /// The rows of a batch with all columns, whose texts are among `texts`.
    pub fn of(
        batch: &RecordBatch,
        codes: &mut Codes,
        texts: &LineTexts,
    ) -> Result<Self, LakeError> {
        let [
            orders,
            products,
            quantities,
            prices,
            sold,
            regions,
            categories,
            days,
            _,
            loads,
        ] = batch.columns()
        else {
            return Err(LakeError::Unexpected("it has other columns"));
        };
        Ok(Self {
            orders: orders.as_string().clone(),
            products: codes.products.of(products, &texts.products)?,
            quantities: quantities.as_primitive::<Int32Type>().clone(),
            prices: prices.as_primitive::<Decimal64Type>().clone(),
            sold: sold.as_primitive::<TimestampMicrosecondType>().clone(),
            regions: codes.regions.of(regions, &texts.regions)?,
            categories: codes.categories.of(categories, &texts.categories)?,
            days: days.as_primitive::<Date32Type>().clone(),
            loads: loads.as_primitive::<Int64Type>().clone(),
        })
    }

    /// Day and order of a row; `None` behind the last.
    pub fn key(&self, row: usize) -> Option<(i32, &str)> {
        let day = self.days.values().get(row)?;
        Some((*day, self.orders.value(row)))
    }

    /// A row, not marked as one of an order that spans days; `None` behind the last.
    pub fn line(&self, row: usize) -> Option<Line<'_>> {
        let (day, order) = self.key(row)?;
        Some(Line {
            order,
            day,
            fields: SaleFields {
                product: *self.products.get(row)?,
                region: *self.regions.get(row)?,
                category: *self.categories.get(row)?,
                quantity: *self.quantities.values().get(row)?,
                price_centavos: *self.prices.values().get(row)?,
                sold_ms: self.sold.values().get(row)?.div_euclid(1_000),
            },
            load: *self.loads.values().get(row)?,
            is_spanning: false,
        })
    }

    /// All of them.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        (0..self.orders.len()).filter_map(|row| self.line(row))
    }
}

#[derive(Default)]
struct Numbers {
    dictionary: Option<ArrayRef>,
    by_code: Vec<u32>,
}

impl Numbers {
    fn of(&mut self, column: &ArrayRef, texts: &Texts) -> Result<Vec<u32>, LakeError> {
        let column = column
            .as_dictionary_opt::<Int32Type>()
            .ok_or(LakeError::Unexpected("a text has another type"))?;
        let is_known = |known: &ArrayRef| Arc::ptr_eq(known, column.values());
        if !self.dictionary.as_ref().is_some_and(is_known) {
            let values = column.values().as_string::<i32>();
            let number = |text: Option<&str>| match text {
                None | Some("") => Ok(UNKNOWN),
                Some(text) => texts
                    .find(text)
                    .ok_or(LakeError::Unexpected("its totals lack a text")),
            };
            self.by_code = values.iter().map(number).collect::<Result<_, _>>()?;
            self.dictionary = Some(Arc::clone(column.values()));
        }
        let number = |code: Option<i32>| {
            let code = code.and_then(|code| usize::try_from(code).ok());
            code.and_then(|code| self.by_code.get(code).copied())
                .unwrap_or(UNKNOWN)
        };
        Ok(column.keys().iter().map(number).collect())
    }
}
