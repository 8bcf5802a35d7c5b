//! When a stock is low, by the template's parameters.

use domain::stock::{LARGEST_LEVEL, Limits};
use lambda_kit::StartError;
use secrets::ProcessEnvironment;

use crate::variable;

const MOST_COVER_DAYS: i64 = 365;

/// STOCK_THRESHOLD, in units, for products without an own one, and STOCK_COVER_DAYS.
///
/// # Errors
/// When one is missing or no such number.
pub fn stock_limits(process: &ProcessEnvironment) -> Result<Limits, StartError> {
    let number = |name, most: i64| -> Result<i64, StartError> {
        let number = variable(process, name)?.parse().ok();
        let number = number.filter(|number| (0..=most).contains(number));
        number.ok_or_else(|| format!("{name} must be a whole number from 0 to {most}").into())
    };
    Ok(Limits {
        threshold_units: number("STOCK_THRESHOLD", LARGEST_LEVEL)?,
        cover_days: number("STOCK_COVER_DAYS", MOST_COVER_DAYS)?,
    })
}
