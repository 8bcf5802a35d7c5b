//! Sales from CSV.

use std::io::{Read, Write};

use domain::{
    sales::{
        date::Dates,
        fault::{Column, Fault},
        reading::{self, Told, WrittenLine},
    },
    time::UtcMillis,
};

use super::{
    BadFile, Counts, Format, InputError, Lines, Quarantine,
    decode::{read_failed, text},
    fingerprint::fingerprint,
    header::Places,
    records::{Next, Records},
};

/// Reads a CSV file: separated by commas or semicolons, with or without a byte order mark, plain or
/// in gzip or zstd. `source` must fail with ConnectionReset where it breaks off.
///
/// A line whose bytes are broken is quarantined alone. `most_bytes` is the most text, unpacked.
///
/// # Errors
/// When the file as a whole can't be taken, its source or the quarantine fails, or `lines` does.
pub fn read_csv<L: Lines, W: Write>(
    format: Format,
    source: impl Read,
    most_bytes: u64,
    now: UtcMillis,
    lines: &mut L,
    quarantine: &mut Quarantine<W>,
) -> Result<Counts, InputError<L::Error>> {
    let failed = |error| read_failed(format, error);
    let mut records = Records::new(text(format, source).map_err(failed)?, most_bytes);
    records.find_delimiter().map_err(failed)?;
    let places = match records.advance().map_err(failed)? {
        Next::End => return Err(BadFile::Empty.into()),
        Next::Record => Places::find(records.fields())?,
        Next::Broken(_) => {
            let required = Column::ALL.into_iter().filter(|one| one.is_required());
            return Err(BadFile::ColumnsMissing(required.collect()).into());
        }
    };
    quarantine.begin(records.fields());
    let names = records.field_count();
    let place = |column| places.of(column).unwrap_or(usize::MAX);
    let places = Column::ALL.map(place);
    let mut dates = Dates::new(now);
    let mut counts = Counts::default();
    loop {
        let told = match records.advance().map_err(failed)? {
            Next::End => break,
            Next::Broken(fault) => Err(fault.of_line()),
            Next::Record if records.field_count() != names => Err(Fault::FieldCount.of_line()),
            Next::Record => {
                let [order, product, quantity, price, sold, region, category] = places;
                let written = WrittenLine {
                    order: records.field(order),
                    product: records.field(product),
                    quantity: records.field(quantity),
                    price: records.field(price),
                    sold: records.field(sold),
                    region: records.field(region),
                    category: records.field(category),
                };
                reading::read(&written, &mut dates)
            }
        };
        counts.lines += 1;
        match told {
            Ok(told) => {
                match told {
                    Told::Sale(line) => lines.sale(&line, fingerprint(records.raw())),
                    Told::NoSale { order } => lines.no_sale(order),
                }
                .map_err(InputError::Lines)?;
                counts.accepted += 1;
            }
            Err(refusal) => {
                quarantine
                    .put(records.line_number(), refusal, records.fields())
                    .map_err(InputError::Quarantine)?;
                counts.refuse(refusal);
            }
        }
    }
    if records.is_too_long() {
        return Err(BadFile::TooLarge.into());
    }
    Ok(counts)
}
