//! Sums of lines as they are written.

use domain::time::Day;

use super::sections::Level;
use crate::error::LakeError;
use crate::texts::LineTexts;

/// Sections with no more groups than this are always written.
const ALWAYS_WRITTEN_GROUPS: usize = 64;

/// Sums of a group.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    quantity: i64,
    revenue: i64,
    orders: i64,
    /// The order (counted from 1) that was added last; 0 where the group is empty.
    last_order: u32,
}

/// A row of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Days since 1970; 0 for a file.
    pub period: i32,
    /// The number of the group's text.
    pub key: u32,
    /// Units.
    pub quantity: i64,
    /// Centavos.
    pub revenue: i64,
    /// Distinct pairs of order and day.
    pub orders: i64,
}

/// The sums of a period by group.
#[derive(Debug)]
struct Period {
    cells: Vec<Cell>,
    touched: Vec<u32>,
    lines: usize,
}

impl Period {
    fn new(groups: usize) -> Self {
        Self {
            cells: vec![Cell::default(); groups],
            touched: Vec::new(),
            lines: 0,
        }
    }

    /// Adds sums to a group; those of an order whose number the group has already don't count it
    /// again.
    fn add(
        &mut self,
        key: u32,
        quantity: i64,
        revenue: i64,
        orders: i64,
        order: u32,
    ) -> Option<()> {
        let cell = self.cells.get_mut(key as usize)?;
        if cell.last_order == 0 {
            self.touched.push(key);
        }
        if cell.last_order != order {
            cell.orders = cell.orders.checked_add(orders)?;
            cell.last_order = order;
        }
        cell.quantity = cell.quantity.checked_add(quantity)?;
        cell.revenue = cell.revenue.checked_add(revenue)?;
        Some(())
    }

    fn is_worth_writing(&self) -> bool {
        self.touched.len() <= ALWAYS_WRITTEN_GROUPS || self.touched.len() * 2 <= self.lines
    }

    /// Empties it into `each`, groups in the order of their numbers.
    fn drain(&mut self, mut each: impl FnMut(u32, Cell) -> Option<()>) -> Option<()> {
        self.touched.sort_unstable();
        for key in self.touched.drain(..) {
            let cell = std::mem::take(self.cells.get_mut(key as usize)?);
            each(key, cell)?;
        }
        self.lines = 0;
        Some(())
    }
}

/// The sections of one grouping.
#[derive(Debug)]
pub struct Grouped {
    day: Period,
    month: Period,
    file: Period,
    /// How often periods were added to longer ones: makes each adding an order of its own.
    additions: u32,
    /// Rows of [`Level::Day`].
    pub days: Vec<Row>,
    /// Rows of [`Level::Month`].
    pub months: Vec<Row>,
    /// Rows of [`Level::File`].
    pub whole: Vec<Row>,
}

impl Grouped {
    fn new(groups: usize) -> Self {
        Self {
            day: Period::new(groups),
            month: Period::new(groups),
            file: Period::new(groups),
            additions: 0,
            days: Vec::new(),
            months: Vec::new(),
            whole: Vec::new(),
        }
    }

    fn end_day(&mut self, day: i32) -> Option<()> {
        self.additions += 1;
        let (addition, is_written) = (self.additions, self.day.is_worth_writing());
        let (month, rows) = (&mut self.month, &mut self.days);
        month.lines += self.day.lines;
        self.day.drain(|key, cell| {
            if is_written {
                rows.push(row(day, key, &cell));
            }
            month.add(key, cell.quantity, cell.revenue, cell.orders, addition)
        })
    }

    fn end_month(&mut self, first_day: i32) -> Option<()> {
        self.additions += 1;
        let (addition, is_written) = (self.additions, self.month.is_worth_writing());
        let (file, rows) = (&mut self.file, &mut self.months);
        self.month.drain(|key, cell| {
            if is_written {
                rows.push(row(first_day, key, &cell));
            }
            file.add(key, cell.quantity, cell.revenue, cell.orders, addition)
        })
    }

    fn end_file(&mut self) -> Option<()> {
        let rows = &mut self.whole;
        self.file.drain(|key, cell| {
            rows.push(row(0, key, &cell));
            Some(())
        })
    }

    /// The rows of a level.
    pub fn rows(&self, level: Level) -> &[Row] {
        match level {
            Level::File => &self.whole,
            Level::Month => &self.months,
            Level::Day => &self.days,
        }
    }
}

fn row(period: i32, key: u32, cell: &Cell) -> Row {
    Row {
        period,
        key,
        quantity: cell.quantity,
        revenue: cell.revenue,
        orders: cell.orders,
    }
}

/// A line of an order that spans days, without its sums.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanningLine {
    /// Days since 1970.
    pub day: i32,
    /// Where the order's id begins and ends in [`TotalsBuilder::spanning_orders`].
    pub order: (u32, u32),
    /// Numbers of texts.
    pub product: u32,
    /// As `product`.
    pub region: u32,
    /// As `product`.
    pub category: u32,
}

/// Adds lines up, in the order in which they are written.
#[derive(Debug)]
pub struct TotalsBuilder {
    /// By `agrupamento`: all, product, region, category.
    pub groupings: [Grouped; 4],
    /// Lines of orders that span days.
    pub spanning: Vec<SpanningLine>,
    /// The ids of these orders, one after the other.
    pub spanning_orders: String,
    /// Days that had lines, and how many.
    pub days: Vec<(i32, u64)>,
    month: i32,
    order: u32,
}

/// What the totals need to know of a line.
#[derive(Debug, Clone, Copy)]
pub struct Added<'a> {
    /// The order.
    pub order: &'a str,
    /// Days since 1970.
    pub day: i32,
    /// Numbers of texts.
    pub product: u32,
    /// As `product`.
    pub region: u32,
    /// As `product`.
    pub category: u32,
    /// Units.
    pub quantity: i32,
    /// Centavos for all units.
    pub revenue: i64,
    /// Whether it is the order's first line of its day.
    pub is_first: bool,
    /// Whether the order has lines on more than one day.
    pub is_spanning: bool,
}

impl TotalsBuilder {
    /// For lines with these texts.
    pub fn new(texts: &LineTexts) -> Self {
        let (products, regions) = (texts.products.count(), texts.regions.count());
        Self {
            groupings: [1, products, regions, texts.categories.count()].map(Grouped::new),
            spanning: Vec::new(),
            spanning_orders: String::new(),
            days: Vec::new(),
            month: 0,
            order: 0,
        }
    }

    /// Adds a line.
    pub fn add(&mut self, line: &Added<'_>) -> Result<(), LakeError> {
        match self.days.last_mut() {
            Some((day, lines)) if *day == line.day => *lines += 1,
            _ => self.begin_day(line.day)?,
        }
        if line.is_first {
            self.order = self.order.checked_add(1).ok_or(LakeError::TooLarge)?;
        }
        let keys = [0, line.product, line.region, line.category];
        for (grouped, key) in self.groupings.iter_mut().zip(keys) {
            let day = &mut grouped.day;
            day.lines += 1;
            day.add(key, i64::from(line.quantity), line.revenue, 1, self.order)
                .ok_or(LakeError::TooLarge)?;
        }
        if line.is_spanning {
            self.note_spanning(line)?;
        }
        Ok(())
    }

    fn note_spanning(&mut self, line: &Added<'_>) -> Result<(), LakeError> {
        let place = |at: usize| u32::try_from(at).map_err(|_| LakeError::TooLarge);
        let order = match self.spanning.last() {
            Some(last) if !line.is_first => last.order,
            _ => {
                let start = place(self.spanning_orders.len())?;
                self.spanning_orders.push_str(line.order);
                (start, place(self.spanning_orders.len())?)
            }
        };
        let noted = SpanningLine {
            day: line.day,
            order,
            product: line.product,
            region: line.region,
            category: line.category,
        };
        if self.spanning.last() != Some(&noted) {
            self.spanning.push(noted);
        }
        Ok(())
    }

    fn begin_day(&mut self, day: i32) -> Result<(), LakeError> {
        let month = month_of(day);
        if let Some((last, _)) = self.days.last().copied() {
            self.end_day(last, month != self.month)?;
        }
        self.month = month;
        self.days.push((day, 1));
        Ok(())
    }

    fn end_day(&mut self, day: i32, ends_month: bool) -> Result<(), LakeError> {
        for grouped in &mut self.groupings {
            grouped.end_day(day).ok_or(LakeError::TooLarge)?;
            if ends_month {
                grouped.end_month(self.month).ok_or(LakeError::TooLarge)?;
            }
        }
        Ok(())
    }

    /// Ends the adding. What one month or one day has is what the file has, and is left out.
    pub fn finish(&mut self) -> Result<(), LakeError> {
        if let Some((last, _)) = self.days.last().copied() {
            self.end_day(last, true)?;
        }
        let month = |day: Option<&(i32, u64)>| day.map(|(day, _)| month_of(*day));
        let has_one_month = month(self.days.first()) == month(self.days.last());
        for grouped in &mut self.groupings {
            grouped.end_file().ok_or(LakeError::TooLarge)?;
            if has_one_month {
                grouped.months.clear();
            }
            if self.days.len() <= 1 {
                grouped.days.clear();
            }
        }
        Ok(())
    }
}

/// The first day of the day's month, both in days since 1970.
pub fn month_of(day: i32) -> i32 {
    let text = Day::from_epoch_days(day).map(|day| format!("{}-01", day.month()));
    let first = text.and_then(|text| Day::parse(&text));
    first.map_or(0, Day::epoch_days)
}
