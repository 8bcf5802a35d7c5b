//! A line of a sales file: all its fields read and checked, or the first fault.

use crate::{
    money::LARGEST,
    sales::{
        SaleLine,
        date::Dates,
        fault::{Column, Fault, Refusal},
        number, text,
    },
};

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// Something was sold or returned.
    Sale(SaleLine<'a>),
    /// `quantidade` 0: this order has no sale any more.
    NoSale {
        /// `id_pedido`.
        order: &'a str,
    },
}

/// The fields of a line as they were written; `regiao` and `categoria` empty where the file has no
/// such column.
#[derive(Debug, Clone, Copy, Default)]
pub struct WrittenLine<'a> {
    /// `id_pedido`
    pub order: &'a [u8],
    /// `id_produto`
    pub product: &'a [u8],
    /// `quantidade`
    pub quantity: &'a [u8],
    /// `preco`
    pub price: &'a [u8],
    /// `data`
    pub sold: &'a [u8],
    /// `regiao`
    pub region: &'a [u8],
    /// `categoria`
    pub category: &'a [u8],
}

/// Reads a line of text. The first fault counts, in the contract's order of columns.
///
/// # Errors
/// The fault and its column.
pub fn read<'a>(line: &WrittenLine<'a>, dates: &mut Dates) -> Result<Told<'a>, Refusal> {
    let order = id(line.order, Column::Order)?;
    let product = id(line.product, Column::Product)?;
    let quantity = number::quantity(line.quantity)?;
    let unit_price = number::price(line.price)?;
    let sold = dates.parse(line.sold)?;
    let region = name(line.region, Column::Region)?;
    let category = name(line.category, Column::Category)?;
    told(SaleLine {
        order,
        product,
        quantity,
        unit_price,
        sold,
        region,
        category,
    })
}

/// An id from a field.
///
/// # Errors
/// Missing, invalid or too long.
pub fn id(field: &[u8], column: Column) -> Result<&str, Refusal> {
    text::required(field, text::LONGEST_ID).map_err(|fault| fault.of(column))
}

/// A region or category from a field; empty where nobody knows it.
///
/// # Errors
/// Invalid or too long.
pub fn name(field: &[u8], column: Column) -> Result<&str, Refusal> {
    text::optional(field, text::LONGEST_NAME).map_err(|fault| fault.of(column))
}

/// What a line says whose fields are right one by one.
///
/// # Errors
/// [`Fault::WorthTooMuch`]: beyond [`LARGEST`], so that the sums of ten million lines stay right.
pub fn told(line: SaleLine<'_>) -> Result<Told<'_>, Refusal> {
    if line.quantity == 0 {
        return Ok(Told::NoSale { order: line.order });
    }
    let is_bounded = line
        .revenue_centavos()
        .is_some_and(|revenue| revenue.unsigned_abs() <= LARGEST.get().unsigned_abs());
    if is_bounded {
        Ok(Told::Sale(line))
    } else {
        Err(Fault::WorthTooMuch.of(Column::Price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Centavos, time::UtcMillis};

    const LINE: WrittenLine<'_> = WrittenLine {
        order: b" p1 ",
        product: b"x",
        quantity: b"-2",
        price: b"1.234,56",
        sold: b"20/11/2026",
        region: b"SP",
        category: b"",
    };

    fn read_it(line: WrittenLine<'_>) -> Result<Told<'_>, Refusal> {
        let now = UtcMillis::parse("2026-11-21T12:00:00Z").unwrap();
        read(&line, &mut Dates::new(now))
    }

    #[test]
    fn a_line_is_read_whole() {
        let expected = SaleLine {
            order: "p1",
            product: "x",
            quantity: -2,
            unit_price: Centavos::new(123_456).unwrap(),
            sold: UtcMillis::parse("2026-11-20T03:00:00Z").unwrap(),
            region: "SP",
            category: "",
        };
        assert_eq!(read_it(LINE), Ok(Told::Sale(expected)));
        let cancelled = WrittenLine {
            quantity: b"0,0",
            ..LINE
        };
        assert_eq!(read_it(cancelled), Ok(Told::NoSale { order: "p1" }));
    }

    #[test]
    fn the_first_fault_counts() {
        let broken = WrittenLine {
            quantity: b"x",
            price: b"y",
            ..LINE
        };
        assert_eq!(
            read_it(broken),
            Err(Fault::QuantityInvalid.of(Column::Quantity))
        );
        let long = [b'a'; 101];
        let long = WrittenLine {
            category: &long,
            ..LINE
        };
        assert_eq!(read_it(long), Err(Fault::TextTooLong.of(Column::Category)));
        let worth = WrittenLine {
            quantity: b"999999999",
            ..LINE
        };
        assert_eq!(read_it(worth), Err(Fault::WorthTooMuch.of(Column::Price)));
        let missing = WrittenLine { order: b"", ..LINE };
        assert_eq!(read_it(missing), Err(Fault::Missing.of(Column::Order)));
    }
}
