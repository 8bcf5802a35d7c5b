//! Columns of a Parquet file, whatever type they have that can be read exactly.

use std::io;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Date64Array, Decimal128Array, Float32Array,
    Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use domain::{
    money::Centavos,
    sales::{
        date::Dates,
        fault::{Column, Fault, Refusal},
        number,
    },
    time::UtcMillis,
};
const MILLIS_PER_DAY: i64 = 86_400_000;

/// A column of a batch.
pub(super) enum Values {
    /// The file has no such column.
    Absent,
    Text(StringArray),
    Bytes(BinaryArray),
    Integers(Int64Array),
    Decimals(Decimal128Array, u32),
    Singles(Float32Array),
    Doubles(Float64Array),
    Days(Date32Array),
    /// Milliseconds since the epoch, of the instant or of what a São Paulo clock shows.
    Times {
        millis: Int64Array,
        is_instant: bool,
    },
}

/// How a type is read; `None` where it can't be read exactly as this column.
fn target(column: Column, kind: &DataType) -> Option<DataType> {
    let is_id = matches!(column, Column::Order | Column::Product);
    let is_number = matches!(column, Column::Quantity | Column::Price);
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Some(DataType::Binary),
        DataType::Dictionary(_, value) => target(column, value),
        DataType::Null => Some(DataType::Utf8),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
            if is_id || is_number =>
        {
            Some(DataType::Int64)
        }
        DataType::UInt64 if is_id || is_number => Some(DataType::Decimal128(20, 0)),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
            if *scale >= 0 && (is_number || (is_id && *scale == 0)) =>
        {
            Some(DataType::Decimal128(38, *scale))
        }
        DataType::Float32 | DataType::Float64 if is_id || is_number => Some(kind.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) if column == Column::Sold => {
            Some(kind.clone())
        }
        _ => None,
    }
}

/// Whether this column can have this type.
pub(super) fn is_readable(column: Column, kind: &DataType) -> bool {
    target(column, kind).is_some()
}

impl Values {
    /// The column of a batch; `None` where it can't be read. `clocks_are_utc`: times without a
    /// zone are instants, as in Spark's old INT96 columns.
    pub(super) fn of(column: Column, array: &ArrayRef, clocks_are_utc: bool) -> Option<Self> {
        let wanted = target(column, array.data_type())?;
        let array = if *array.data_type() == wanted {
            array.clone()
        } else {
            cast(array, &wanted).ok()?
        };
        let any = array.as_any();
        Some(match &wanted {
            DataType::Utf8 => Self::Text(any.downcast_ref::<StringArray>()?.clone()),
            DataType::Binary => Self::Bytes(any.downcast_ref::<BinaryArray>()?.clone()),
            DataType::Int64 => Self::Integers(any.downcast_ref::<Int64Array>()?.clone()),
            DataType::Decimal128(_, scale) => Self::Decimals(
                any.downcast_ref::<Decimal128Array>()?.clone(),
                u32::try_from(*scale).ok()?,
            ),
            DataType::Float32 => Self::Singles(any.downcast_ref::<Float32Array>()?.clone()),
            DataType::Float64 => Self::Doubles(any.downcast_ref::<Float64Array>()?.clone()),
            DataType::Date32 => Self::Days(any.downcast_ref::<Date32Array>()?.clone()),
            DataType::Date64 => {
                let array: &Date64Array = any.downcast_ref()?;
                Self::Times {
                    millis: array.unary(|millis| millis),
                    is_instant: false,
                }
            }
            DataType::Timestamp(unit, zone) => Self::Times {
                millis: millis(&array, *unit)?,
                is_instant: zone.is_some() || clocks_are_utc,
            },
            _ => return None,
        })
    }

    /// The text of a row, written into `scratch` where it is a number; empty for null.
    pub(super) fn text<'a>(&'a self, row: usize, scratch: &'a mut Scratch) -> &'a [u8] {
        if self.is_null(row) {
            return &[];
        }
        match self {
            Self::Text(array) => array.value(row).as_bytes(),
            Self::Bytes(array) => array.value(row),
            Self::Integers(array) => scratch.write(format_args!("{}", array.value(row))),
            Self::Decimals(array, _) => scratch.write(format_args!("{}", array.value(row))),
            Self::Singles(array) => scratch.write(format_args!("{}", array.value(row))),
            Self::Doubles(array) => scratch.write(format_args!("{}", array.value(row))),
            Self::Absent | Self::Days(_) | Self::Times { .. } => &[],
        }
    }

    /// The text of a row that is no number.
    pub(super) fn plain_text(&self, row: usize) -> &[u8] {
        match self {
            Self::Text(array) if !array.is_null(row) => array.value(row).as_bytes(),
            Self::Bytes(array) if !array.is_null(row) => array.value(row),
            _ => &[],
        }
    }

    /// The id of a row. A number with a fraction is none.
    pub(super) fn id<'a>(
        &'a self,
        column: Column,
        row: usize,
        scratch: &'a mut Scratch,
    ) -> Result<&'a str, Refusal> {
        let is_binary_number = matches!(self, Self::Singles(_) | Self::Doubles(_));
        let text = self.text(row, scratch);
        let is_whole = text
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-');
        // Up to 2⁵³ a double holds every whole number.
        if is_binary_number && !text.is_empty() && !(is_whole && text.len() <= 15) {
            return Err(Fault::TextInvalid.of(column));
        }
        domain::sales::reading::id(text, column)
    }

    /// The quantity of a row.
    pub(super) fn quantity(&self, row: usize, scratch: &mut Scratch) -> Result<i32, Refusal> {
        if self.is_null(row) {
            return Err(Fault::Missing.of(Column::Quantity));
        }
        match self {
            Self::Integers(array) => number::quantity_of(i128::from(array.value(row)), 0),
            Self::Decimals(array, scale) => number::quantity_of(array.value(row), *scale),
            Self::Singles(_) | Self::Doubles(_) => {
                number::binary_quantity(utf8(self.text(row, scratch)))
            }
            _ => number::quantity(self.text(row, scratch)),
        }
    }

    /// The price of a row.
    pub(super) fn price(&self, row: usize, scratch: &mut Scratch) -> Result<Centavos, Refusal> {
        if self.is_null(row) {
            return Err(Fault::Missing.of(Column::Price));
        }
        match self {
            Self::Integers(array) => number::price_of(i128::from(array.value(row)), 0),
            Self::Decimals(array, scale) => number::price_of(array.value(row), *scale),
            Self::Singles(_) | Self::Doubles(_) => {
                number::binary_price(utf8(self.text(row, scratch)))
            }
            _ => number::price(self.text(row, scratch)),
        }
    }

    /// When the row was sold.
    pub(super) fn sold(
        &self,
        row: usize,
        dates: &mut Dates,
        scratch: &mut Scratch,
    ) -> Result<UtcMillis, Refusal> {
        if self.is_null(row) {
            return Err(Fault::Missing.of(Column::Sold));
        }
        match self {
            Self::Days(array) => dates.clock(array.value(row), 0),
            Self::Times {
                millis,
                is_instant: true,
            } => dates.instant(millis.value(row)),
            Self::Times {
                millis,
                is_instant: false,
            } => {
                let millis = millis.value(row);
                let day = i32::try_from(millis.div_euclid(MILLIS_PER_DAY))
                    .map_err(|_| Fault::DateInvalid.of(Column::Sold))?;
                dates.clock(day, millis.rem_euclid(MILLIS_PER_DAY))
            }
            _ => dates.parse(self.text(row, scratch)),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::Integers(array) | Self::Times { millis: array, .. } => array.is_null(row),
            Self::Decimals(array, _) => array.is_null(row),
            Self::Singles(array) => array.is_null(row),
            Self::Doubles(array) => array.is_null(row),
            Self::Days(array) => array.is_null(row),
        }
    }

    /// The value as it stands in a quarantine file.
    pub(super) fn shown(&self, row: usize) -> Vec<u8> {
        match self {
            Self::Decimals(array, _) if !array.is_null(row) => {
                array.value_as_string(row).into_bytes()
            }
            Self::Days(array) if !array.is_null(row) => array
                .value_as_date(row)
                .map_or_else(|| array.value(row).to_string(), |date| date.to_string())
                .into_bytes(),
            Self::Times { millis, is_instant } if !millis.is_null(row) => {
                let suffix = if *is_instant { "Z" } else { "" };
                let shown = UtcMillis::new(millis.value(row)).map_or_else(
                    |_| millis.value(row).to_string(),
                    |at| format!("{}{suffix}", at.to_string().trim_end_matches('Z')),
                );
                shown.into_bytes()
            }
            other => {
                let mut scratch = Scratch::default();
                other.text(row, &mut scratch).to_vec()
            }
        }
    }
}

/// Text of a number; the same memory for each row.
#[derive(Default)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    fn write(&mut self, text: std::fmt::Arguments<'_>) -> &[u8] {
        self.0.clear();
        // Writing to a Vec does not fail.
        let _ = io::Write::write_fmt(&mut self.0, text);
        &self.0
    }
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// Times in milliseconds; what is finer is cut off, what overflows is null.
fn millis(array: &ArrayRef, unit: TimeUnit) -> Option<Int64Array> {
    let any = array.as_any();
    Some(match unit {
        TimeUnit::Second => any
            .downcast_ref::<TimestampSecondArray>()?
            .unary(|seconds| seconds.saturating_mul(1000)),
        TimeUnit::Millisecond => any
            .downcast_ref::<TimestampMillisecondArray>()?
            .unary(|millis| millis),
        TimeUnit::Microsecond => any
            .downcast_ref::<TimestampMicrosecondArray>()?
            .unary(|micros| micros.div_euclid(1000)),
        TimeUnit::Nanosecond => any
            .downcast_ref::<TimestampNanosecondArray>()?
            .unary(|nanos| nanos.div_euclid(1_000_000)),
    })
}
