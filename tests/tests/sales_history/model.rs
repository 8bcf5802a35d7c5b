//! What the lake should hold, worked out the slow way.

use std::collections::{BTreeMap, BTreeSet};

/// A line of a file that is right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub order: String,
    pub product: String,
    pub quantity: i32,
    pub centavos: i64,
    pub sold_ms: i64,
    pub region: String,
    pub category: String,
}

/// A file that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub key: String,
    pub modified_ms: i64,
    pub number: i64,
    pub lines: Vec<Line>,
}

/// The lines of `vendas` with their loads, and the rows of `pedidos_sem_venda`.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub lines: Vec<(Line, i64)>,
    pub without_sale: BTreeSet<(String, i64)>,
}

/// An order belongs to the newest file that ever spoke of it; it has lines unless that file has a
/// newer version, or says quantity 0.
pub fn expected(loaded: &[Loaded]) -> Expected {
    let mut owners: BTreeMap<&str, &Loaded> = BTreeMap::new();
    let rank = |file: &Loaded| (file.modified_ms, file.key.clone(), file.number);
    for file in loaded {
        for line in &file.lines {
            let owner = owners.entry(&line.order).or_insert(file);
            if rank(file) > rank(owner) {
                *owner = file;
            }
        }
    }
    let mut lines = Vec::new();
    let mut without_sale = BTreeSet::new();
    for (order, owner) in owners {
        let has_newer_version = loaded.iter().any(|other| {
            other.key == owner.key
                && (other.modified_ms, other.number) > (owner.modified_ms, owner.number)
        });
        let own: Vec<&Line> = owner
            .lines
            .iter()
            .filter(|line| line.order == order)
            .collect();
        if has_newer_version || own.iter().any(|line| line.quantity == 0) {
            without_sale.insert((order.to_owned(), owner.number));
        } else {
            lines.extend(own.into_iter().map(|line| (line.clone(), owner.number)));
        }
    }
    lines.sort();
    Expected {
        lines,
        without_sale,
    }
}
