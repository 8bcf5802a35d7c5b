//! Checks of each line.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use domain::time::Day;
use lake::StoredLine;

use crate::{
    failures::Failures,
    plan::{Check, Kind},
};

/// Lines whose hashes are held at a time: the search for repeated ones takes several passes over
/// more.
pub const HELD_LINES: u64 = 8_000_000;
const HEADER: [&str; 5] = ["id_pedido", "id_produto", "dia", "linha", "valor"];

/// What a pass over the lines gathers.
pub struct Lines<'a> {
    checks: &'a [Check],
    window: (i32, i32),
    /// By check.
    pub found: Vec<Failures>,
    /// Lines by day, in days since the epoch.
    pub by_day: BTreeMap<i32, i64>,
    /// The products of the window and how many lines each has.
    pub products: HashMap<String, i64>,
    seen: HashSet<u64>,
    share: (u64, u64),
    wants_products: bool,
}

impl<'a> Lines<'a> {
    /// Of the days of `window`, both included, in days since the epoch. Repeated lines are looked
    /// for in `share.1` passes.
    #[must_use]
    pub fn new(checks: &'a [Check], window: (i32, i32), passes: u64) -> Self {
        Self {
            checks,
            window,
            found: checks.iter().map(|_| Failures::default()).collect(),
            by_day: BTreeMap::new(),
            products: HashMap::new(),
            seen: HashSet::new(),
            share: (0, passes.max(1)),
            wants_products: checks
                .iter()
                .any(|check| matches!(check.kind, Kind::Relacionamento { .. })),
        }
    }

    /// Looks at a line in the first pass.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn line(&mut self, line: &StoredLine<'_>) -> io::Result<()> {
        if let Some(day) = line.day {
            *self.by_day.entry(day).or_default() += 1;
            if !(self.window.0..=self.window.1).contains(&day) {
                return Ok(());
            }
        }
        if self.wants_products
            && let Some(product) = line.product
        {
            match self.products.get_mut(product) {
                Some(count) => *count += 1,
                None => {
                    self.products.insert(product.to_owned(), 1);
                }
            }
        }
        for (check, failures) in self.checks.iter().zip(&mut self.found) {
            let Some(wrong) = judge(&check.kind, line) else {
                continue;
            };
            failures.checked += 1;
            if wrong {
                note(failures, line, &value_of(&check.kind, line))?;
            }
        }
        self.repeated(line)
    }

    /// Begins the next pass for repeated lines; false when there is none left.
    pub fn next_pass(&mut self) -> bool {
        self.seen.clear();
        self.share.0 += 1;
        self.share.0 < self.share.1
    }

    /// Looks whether a line is repeated, where its hash belongs to this pass.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn repeated(&mut self, line: &StoredLine<'_>) -> io::Result<()> {
        let is_inside = line
            .day
            .is_none_or(|day| (self.window.0..=self.window.1).contains(&day));
        let unique = self
            .checks
            .iter()
            .zip(&mut self.found)
            .filter(|(check, _)| check.kind == Kind::Unico);
        let mut hasher = DefaultHasher::new();
        (line.order, line.day, line.line).hash(&mut hasher);
        let hash = hasher.finish();
        if !is_inside || hash % self.share.1 != self.share.0 {
            return Ok(());
        }
        let is_repeated = !self.seen.insert(hash);
        for (_, failures) in unique {
            failures.checked += 1;
            if is_repeated {
                note(failures, line, "repetida")?;
            }
        }
        Ok(())
    }
}

/// Whether a line fails a check of lines; `None` where the check says nothing of it.
fn judge(kind: &Kind, line: &StoredLine<'_>) -> Option<bool> {
    match kind {
        Kind::NaoNulo { coluna } => Some(is_missing(coluna, line)),
        Kind::ValoresAceitos { coluna, valores } => {
            let text = text_of(coluna, line)?;
            Some(!valores.iter().any(|value| value == text))
        }
        Kind::Faixa {
            coluna,
            minimo,
            maximo,
        } => {
            let number = number_of(coluna, line)?;
            Some(!(*minimo..=*maximo).contains(&number))
        }
        _ => None,
    }
}

fn is_missing(column: &str, line: &StoredLine<'_>) -> bool {
    match column {
        "quantidade" | "preco" => number_of(column, line).is_none(),
        "data" => line.sold_us.is_none(),
        _ => text_of(column, line).is_none_or(str::is_empty),
    }
}

fn number_of(column: &str, line: &StoredLine<'_>) -> Option<i64> {
    match column {
        "quantidade" => line.quantity.map(i64::from),
        "preco" => line.price_centavos,
        _ => None,
    }
}

fn text_of<'a>(column: &str, line: &StoredLine<'a>) -> Option<&'a str> {
    match column {
        "id_pedido" => line.order,
        "id_produto" => line.product,
        "regiao" => line.region,
        "categoria" => line.category,
        _ => None,
    }
}

fn value_of(kind: &Kind, line: &StoredLine<'_>) -> String {
    match kind {
        Kind::ValoresAceitos { coluna, .. } => text_of(coluna, line).unwrap_or_default().to_owned(),
        Kind::Faixa { coluna, .. } => {
            let number = number_of(coluna, line);
            number.map_or_else(String::new, |number| number.to_string())
        }
        _ => String::new(),
    }
}

fn note(failures: &mut Failures, line: &StoredLine<'_>, value: &str) -> io::Result<()> {
    let day = line.day.and_then(|day| Day::from_epoch_days(day).ok());
    let day = day.map_or_else(String::new, |day| day.to_string());
    let number = line.line.map_or_else(String::new, |line| line.to_string());
    failures.note(
        &HEADER,
        &[
            line.order.unwrap_or_default(),
            line.product.unwrap_or_default(),
            &day,
            &number,
            value,
        ],
    )
}
