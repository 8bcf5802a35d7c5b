//! Quantities and prices as Brazilian and other exports write them. A text that has two readings is
//! refused: `1.234` is a thousand for one and little more than one for another.

use crate::{
    money::Centavos,
    sales::fault::{Column, Fault, Refusal},
};

/// The most units of a line, either way.
pub const MOST_UNITS: i64 = 999_999_999;
/// How far a price that was kept as a binary fraction may lie from whole centavos: 10⁻⁶ reais.
const BINARY_PLACES: u32 = 6;

/// A decimal number as it was written.
struct Decimal {
    is_negative: bool,
    /// Its digits without the point.
    digits: i128,
    /// How many of them stand behind the point.
    places: u32,
}

enum NotDecimal {
    Broken,
    Ambiguous,
}

/// Reads `3`, `-3`, `1.0`, `2,00`, `1.000.000` or `1.000,00`: a whole number.
///
/// # Errors
/// [`Fault::Missing`], [`Fault::QuantityInvalid`] or [`Fault::QuantityAmbiguous`].
pub fn quantity(text: &[u8]) -> Result<i32, Refusal> {
    if let Some((units, 0)) = simple(text)
        && units <= MOST_UNITS
    {
        return i32::try_from(units).map_err(|_| Fault::QuantityInvalid.of(Column::Quantity));
    }
    let decimal = decimal(text.trim_ascii()).map_err(|fault| {
        let fault = match fault {
            _ if text.trim_ascii().is_empty() => Fault::Missing,
            NotDecimal::Broken => Fault::QuantityInvalid,
            NotDecimal::Ambiguous => Fault::QuantityAmbiguous,
        };
        fault.of(Column::Quantity)
    })?;
    whole(&decimal).ok_or(Fault::QuantityInvalid.of(Column::Quantity))
}

/// Reads `39`, `39,9`, `39.90`, `1.234,56` or `1,234.56`: an amount for one unit.
///
/// # Errors
/// [`Fault::Missing`], [`Fault::PriceInvalid`], [`Fault::PriceAmbiguous`] or
/// [`Fault::PriceNegative`].
pub fn price(text: &[u8]) -> Result<Centavos, Refusal> {
    if let Some((digits, places)) = simple(text) {
        let centavos = match places {
            0 => digits * 100,
            1 => digits * 10,
            _ => digits,
        };
        return Centavos::new(centavos).map_err(|_| Fault::PriceInvalid.of(Column::Price));
    }
    let decimal = decimal(text.trim_ascii()).map_err(|fault| {
        let fault = match fault {
            _ if text.trim_ascii().is_empty() => Fault::Missing,
            NotDecimal::Broken => Fault::PriceInvalid,
            NotDecimal::Ambiguous => Fault::PriceAmbiguous,
        };
        fault.of(Column::Price)
    })?;
    if decimal.places > 2 {
        return Err(Fault::PriceInvalid.of(Column::Price));
    }
    amount(&decimal)
}

/// A quantity from a typed column: `unscaled / 10^scale`.
///
/// # Errors
/// [`Fault::QuantityInvalid`] where it is not whole.
pub fn quantity_of(unscaled: i128, scale: u32) -> Result<i32, Refusal> {
    whole(&Decimal::typed(unscaled, scale)).ok_or(Fault::QuantityInvalid.of(Column::Quantity))
}

/// A price from a typed column: `unscaled / 10^scale`.
///
/// # Errors
/// [`Fault::PriceInvalid`] where it is no whole centavos; [`Fault::PriceNegative`].
pub fn price_of(unscaled: i128, scale: u32) -> Result<Centavos, Refusal> {
    amount(&Decimal::typed(unscaled, scale))
}

/// A quantity from the shortest decimal text of a binary number.
///
/// # Errors
/// [`Fault::QuantityInvalid`] where it is not whole.
pub fn binary_quantity(shortest: &str) -> Result<i32, Refusal> {
    plain(shortest.as_bytes())
        .as_ref()
        .and_then(whole)
        .ok_or(Fault::QuantityInvalid.of(Column::Quantity))
}

/// A price from the shortest decimal text of a binary number (`39.900000000000006`): the centavos
/// that it lies within 10⁻⁶ reais of.
///
/// # Errors
/// [`Fault::PriceInvalid`] where there are none; [`Fault::PriceNegative`].
pub fn binary_price(shortest: &str) -> Result<Centavos, Refusal> {
    let broken = Fault::PriceInvalid.of(Column::Price);
    let decimal = plain(shortest.as_bytes()).ok_or(broken)?;
    if decimal.places <= 2 {
        return amount(&decimal);
    }
    let power = |places: u32| 10_i128.checked_pow(places).ok_or(broken);
    let one_centavo = power(decimal.places - 2)?;
    let centavos = (decimal.digits + one_centavo / 2) / one_centavo;
    let off = (decimal.digits - centavos * one_centavo).unsigned_abs();
    // Below six places the number is too coarse to be off by less than a millionth.
    let allowed = match decimal.places.checked_sub(BINARY_PLACES) {
        Some(beyond) => power(beyond)?.unsigned_abs(),
        None => 0,
    };
    if off > allowed {
        return Err(broken);
    }
    amount(&Decimal {
        is_negative: decimal.is_negative,
        digits: centavos,
        places: 2,
    })
}

impl Decimal {
    fn typed(unscaled: i128, scale: u32) -> Self {
        Self {
            is_negative: unscaled < 0,
            digits: unscaled.saturating_abs(),
            places: scale,
        }
    }
}

fn whole(decimal: &Decimal) -> Option<i32> {
    let unit = 10_i128.checked_pow(decimal.places)?;
    if decimal.digits % unit != 0 {
        return None;
    }
    let units = i64::try_from(decimal.digits / unit).ok()?;
    if units > MOST_UNITS {
        return None;
    }
    i32::try_from(if decimal.is_negative { -units } else { units }).ok()
}

fn amount(decimal: &Decimal) -> Result<Centavos, Refusal> {
    let broken = Fault::PriceInvalid.of(Column::Price);
    let centavos = match decimal.places {
        0 => decimal.digits.checked_mul(100),
        1 => decimal.digits.checked_mul(10),
        2 => Some(decimal.digits),
        places => {
            let unit = 10_i128.checked_pow(places - 2).ok_or(broken)?;
            (decimal.digits % unit == 0).then_some(decimal.digits / unit)
        }
    };
    let centavos = centavos.ok_or(broken)?;
    if decimal.is_negative && centavos > 0 {
        return Err(Fault::PriceNegative.of(Column::Price));
    }
    i64::try_from(centavos)
        .ok()
        .and_then(|centavos| Centavos::new(centavos).ok())
        .ok_or(broken)
}

/// Digits with at most one separator and one or two places behind it, as nearly every number is:
/// all digits, and how many of them are places.
fn simple(text: &[u8]) -> Option<(i64, usize)> {
    if text.len() > 15 {
        return None;
    }
    let mut digits = 0;
    let mut point = None;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + i64::from(byte - b'0'),
            b'.' | b',' if point.is_none() && place > 0 => point = Some(place),
            _ => return None,
        }
    }
    match point.map(|place| text.len() - place - 1) {
        None if !text.is_empty() => Some((digits, 0)),
        Some(places @ 1..=2) => Some((digits, places)),
        _ => None,
    }
}

/// Reads a number whose separators may stand for thousands or for the point.
fn decimal(text: &[u8]) -> Result<Decimal, NotDecimal> {
    let (is_negative, text) = signed(text);
    let point = match text.iter().rposition(|byte| matches!(byte, b'.' | b',')) {
        None => None,
        Some(last) => point_at(text, last)?,
    };
    let (whole, fraction) = match point {
        None => (text, &[][..]),
        Some(place) => (
            text.get(..place).unwrap_or_default(),
            text.get(place + 1..).unwrap_or_default(),
        ),
    };
    if whole.is_empty() || (point.is_some() && fraction.is_empty()) {
        return Err(NotDecimal::Broken);
    }
    let digits =
        append_digits(0, whole, true).and_then(|so_far| append_digits(so_far, fraction, false));
    Ok(Decimal {
        is_negative,
        digits: digits.ok_or(NotDecimal::Broken)?,
        places: u32::try_from(fraction.len()).map_err(|_| NotDecimal::Broken)?,
    })
}

/// Where the decimal point is, if the last separator (or any) is one; checks the thousands.
fn point_at(text: &[u8], last: usize) -> Result<Option<usize>, NotDecimal> {
    let separator = text.get(last).copied().unwrap_or_default();
    let whole = text.get(..last).unwrap_or_default();
    let behind = text.len() - last - 1;
    let same = whole.iter().filter(|byte| **byte == separator).count();
    let other = whole
        .iter()
        .find(|byte| matches!(byte, b'.' | b',') && **byte != separator);
    match (same, other) {
        // `1.234.567`: all of them stand for thousands.
        (1.., None) => is_grouped(text, separator)
            .then_some(None)
            .ok_or(NotDecimal::Broken),
        // `1.234,56`: the other one does.
        (0, Some(thousands)) => is_grouped(whole, *thousands)
            .then_some(Some(last))
            .ok_or(NotDecimal::Broken),
        (0, None) if behind == 3 && is_grouped(text, separator) => Err(NotDecimal::Ambiguous),
        (0, None) => Ok(Some(last)),
        (1.., Some(_)) => Err(NotDecimal::Broken),
    }
}

/// `1.234.567`: one to three digits, the first not 0, then threes.
fn is_grouped(text: &[u8], separator: u8) -> bool {
    let mut groups = text.split(|byte| *byte == separator);
    let first = groups.next().unwrap_or_default();
    let digits = |group: &[u8]| group.iter().all(u8::is_ascii_digit);
    (1..=3).contains(&first.len())
        && first.first() != Some(&b'0')
        && digits(first)
        && groups.all(|group| group.len() == 3 && digits(group))
}

/// Reads digits with at most one point: what a binary number's own text has.
fn plain(text: &[u8]) -> Option<Decimal> {
    let (is_negative, text) = signed(text);
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next().unwrap_or_default());
    if whole.is_empty() {
        return None;
    }
    let digits = append_digits(append_digits(0, whole, false)?, fraction, false)?;
    Some(Decimal {
        is_negative,
        digits,
        places: u32::try_from(fraction.len()).ok()?,
    })
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Thirty digits are more than any number here has, and an i128 holds them.
fn append_digits(mut number: i128, digits: &[u8], skips_separators: bool) -> Option<i128> {
    if digits.len() > 30 {
        return None;
    }
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                number = number
                    .checked_mul(10)?
                    .checked_add(i128::from(byte - b'0'))?;
            }
            b'.' | b',' if skips_separators => {}
            _ => return None,
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_with_a_sign_are_quantities() {
        for (text, units) in [
            ("3", 3),
            ("+3", 3),
            ("-12", -12),
            (" 7 ", 7),
            ("1.0", 1),
            ("2,00", 2),
            ("-2,0", -2),
            ("0", 0),
            ("0,000", 0),
            ("1.0000", 1),
            ("1234.000", 1234),
            ("1.000.000", 1_000_000),
            ("1.000,00", 1000),
            ("1,000.00", 1000),
            ("999999999", 999_999_999),
        ] {
            assert_eq!(quantity(text.as_bytes()), Ok(units), "{text}");
        }
        for (text, fault) in [
            ("", Fault::Missing),
            ("  ", Fault::Missing),
            ("1.5", Fault::QuantityInvalid),
            ("0,500", Fault::QuantityInvalid),
            ("1e3", Fault::QuantityInvalid),
            ("um", Fault::QuantityInvalid),
            ("1,", Fault::QuantityInvalid),
            (",5", Fault::QuantityInvalid),
            ("-", Fault::QuantityInvalid),
            ("--1", Fault::QuantityInvalid),
            ("1 000", Fault::QuantityInvalid),
            ("1.00.000", Fault::QuantityInvalid),
            ("1000000000", Fault::QuantityInvalid),
            (
                "99999999999999999999999999999999999",
                Fault::QuantityInvalid,
            ),
            ("1.000", Fault::QuantityAmbiguous),
            ("12,000", Fault::QuantityAmbiguous),
            ("-1.000", Fault::QuantityAmbiguous),
        ] {
            assert_eq!(
                quantity(text.as_bytes()),
                Err(fault.of(Column::Quantity)),
                "{text}"
            );
        }
    }

    #[test]
    fn amounts_are_read_with_point_or_comma() {
        for (text, centavos) in [
            ("39", 3900),
            ("39,9", 3990),
            ("39.90", 3990),
            ("1234.56", 123_456),
            ("1.234,56", 123_456),
            ("1,234.56", 123_456),
            ("1.234.567", 123_456_700),
            ("1.234.567,8", 123_456_780),
            ("0", 0),
            ("-0,00", 0),
            ("+1", 100),
        ] {
            assert_eq!(
                price(text.as_bytes()).map(Centavos::get),
                Ok(centavos),
                "{text}"
            );
        }
        for (text, fault) in [
            ("", Fault::Missing),
            ("1.234", Fault::PriceAmbiguous),
            ("12,345", Fault::PriceAmbiguous),
            ("1234.567", Fault::PriceInvalid),
            ("0.125", Fault::PriceInvalid),
            ("1.2345", Fault::PriceInvalid),
            ("1.234,567", Fault::PriceInvalid),
            ("1.23,45", Fault::PriceInvalid),
            ("1,2,3", Fault::PriceInvalid),
            ("R$ 5", Fault::PriceInvalid),
            ("NaN", Fault::PriceInvalid),
            ("10000000000", Fault::PriceInvalid),
            ("-1", Fault::PriceNegative),
            ("-0,01", Fault::PriceNegative),
        ] {
            assert_eq!(
                price(text.as_bytes()),
                Err(fault.of(Column::Price)),
                "{text}"
            );
        }
    }

    #[test]
    fn typed_columns_are_read_where_they_are_exact() {
        assert_eq!(price_of(399_000, 4).map(Centavos::get), Ok(3990));
        assert!(price_of(399_001, 4).is_err());
        assert_eq!(price_of(-1, 2), Err(Fault::PriceNegative.of(Column::Price)));
        assert_eq!(quantity_of(-3000, 3), Ok(-3));
        assert!(quantity_of(1500, 3).is_err());
        for (text, centavos) in [
            ("39.9", 3990),
            ("39.900000000000006", 3990),
            ("39.89999999999999", 3990),
            ("39.900001", 3990),
            ("0.005", -1),
            ("39.90001", -1),
            ("39.905", -1),
            ("NaN", -1),
            ("inf", -1),
            ("-39.9", -1),
        ] {
            let found = binary_price(text).map_or(-1, Centavos::get);
            assert_eq!(found, centavos, "{text}");
        }
        assert_eq!(binary_quantity("-3"), Ok(-3));
        assert!(binary_quantity("2.5").is_err());
        assert!(binary_quantity(&"9".repeat(300)).is_err());
    }

    proptest! {
        #[test]
        fn every_amount_is_read_from_each_way_to_write_it(centavos in 0..=999_999_999_999_i64) {
            let plain = Centavos::new(centavos).unwrap().to_string();
            let (whole, cents) = plain.split_once('.').unwrap();
            let mut grouped = String::new();
            for (place, digit) in whole.chars().enumerate() {
                if place > 0 && (whole.len() - place) % 3 == 0 {
                    grouped.push('.');
                }
                grouped.push(digit);
            }
            for text in [plain.clone(), plain.replace('.', ","), format!("{grouped},{cents}")] {
                prop_assert_eq!(price(text.as_bytes()).map(Centavos::get), Ok(centavos), "{}", text);
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,20}") {
            let _ = price(text.as_bytes());
            let _ = quantity(text.as_bytes());
            let _ = binary_price(&text);
        }
    }
}
