//! Sales as the history keeps them: lines of orders, which file's word counts, and sums of lines.

use crate::{
    money::Centavos,
    time::{Day, UtcMillis},
};

pub mod date;
pub mod fault;
pub mod number;
pub mod reading;
pub mod text;

/// A line of an order, checked. The texts are as they came, trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleLine<'a> {
    /// `id_pedido`.
    pub order: &'a str,
    /// `id_produto`.
    pub product: &'a str,
    /// `quantidade`: negative for a return, never 0 (that line says that the order has no sale).
    pub quantity: i32,
    /// `preco`, for one unit.
    pub unit_price: Centavos,
    /// `data`.
    pub sold: UtcMillis,
    /// `regiao`; empty where nobody knows it.
    pub region: &'a str,
    /// `categoria`; empty where nobody knows it.
    pub category: &'a str,
}

/// Which of two files has the last word on an order: the later one, then the one with the greater
/// key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRank {
    /// When the file was last changed (S3's LastModified), epoch milliseconds.
    pub modified_ms: i64,
    /// Its key.
    pub key: String,
}

/// What a group of lines comes to. Sums of disjoint groups add up, `orders` included as long as no
/// order has lines in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Units sold less units returned.
    pub quantity: i64,
    /// Quantity times unit price, in centavos; negative where more was returned than sold.
    pub revenue_centavos: i64,
    /// Distinct orders.
    pub orders: i64,
}

impl Sums {
    /// Both together; `None` beyond what an i64 holds.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            revenue_centavos: self.revenue_centavos.checked_add(other.revenue_centavos)?,
            orders: self.orders.checked_add(other.orders)?,
        })
    }
}

impl SaleLine<'_> {
    /// What the line is worth; `None` beyond what an i64 holds.
    #[must_use]
    pub fn revenue_centavos(&self) -> Option<i64> {
        self.unit_price.get().checked_mul(i64::from(self.quantity))
    }
}

/// By what sales are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grouping {
    /// `id_produto`.
    Product,
    /// `regiao`.
    Region,
    /// `categoria`.
    Category,
    /// The São Paulo day.
    Day,
    /// The São Paulo month.
    Month,
}

/// What is asked of the sales.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// By what the answer is grouped.
    pub grouping: Grouping,
    /// The first day that counts.
    pub from: Option<Day>,
    /// The last day that counts.
    pub to: Option<Day>,
    /// Lines of this region only; of none, where it is empty.
    pub region: Option<String>,
    /// Lines of this category only; of none, where it is empty.
    pub category: Option<String>,
    /// Lines of this product only.
    pub product: Option<String>,
}

/// A group of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its product, region, category, day (2026-11-20) or month (2026-11); `None` where nobody knows
    /// the region or the category.
    pub key: Option<String>,
    /// What its lines come to.
    pub sums: Sums,
}
