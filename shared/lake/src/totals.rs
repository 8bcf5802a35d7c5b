//! The totals beside a file of `vendas`: a Parquet file of the same name in `vendas_totais/`.
//!
//! Rows `agrupamento` (0 all, 1 product, 2 region, 3 category), `nivel` (0 file, 1 month, 2 day),
//! `periodo` (the month's first day, the day, or null), `chave` (null where unknown), `quantidade`,
//! `receita` in centavos and `pedidos`, the distinct pairs of order and day. A section (one
//! `agrupamento`, `nivel` and `periodo`) is contiguous; where each begins stands in the footer
//! under [`SECTIONS_KEY`].
//!
//! A section whose groups are more than half of its lines is left out, as reading the lines costs
//! no more; so are months of a file that has one month, and days of one that has one day.
//!
//! `agrupamento` 255 holds the orders that have lines on more than one day: `periodo` the day,
//! `id_pedido`, `chave` the product, `regiao`, `categoria`. By them a query over several days takes
//! off what `pedidos` counts too often.

mod accumulate;
mod file;
mod sections;

pub use accumulate::{Added, TotalsBuilder, month_of};
pub use file::{TextArrays, text_column, write};
pub use sections::{Level, SECTIONS_KEY, Section, Sections};

/// `agrupamento` of the lines of orders that span days.
pub const SPANNING: u8 = 255;
