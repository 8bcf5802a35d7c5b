//! Figures as bytes: a version, then each part with its length; numbers are little-endian.

use std::collections::BTreeSet;

use super::{Counts, Figures, Users, Views};
use crate::{Invalid, time::UtcMillis};

const VERSION: u8 = 1;
const EXACT: u8 = 0;
const SKETCH: u8 = 1;
const BROKEN: Invalid = Invalid::new("must be figures that this code wrote");

pub fn encode(figures: &Figures) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let counts = &figures.counts;
    let newest = figures
        .newest
        .map_or(0, |newest| newest.get().unsigned_abs());
    for number in [
        counts.events,
        counts.clicks,
        counts.carts,
        counts.purchases,
        newest,
    ] {
        bytes.extend(number.to_le_bytes());
    }
    for users in [
        &figures.active,
        &figures.clicked,
        &figures.carted,
        &figures.bought,
    ] {
        match users {
            Users::Exact(users) => {
                bytes.push(EXACT);
                put_length(&mut bytes, users.len());
                users
                    .iter()
                    .for_each(|user| bytes.extend(user.to_le_bytes()));
            }
            Users::Sketch(registers) => {
                bytes.push(SKETCH);
                put_length(&mut bytes, registers.len());
                bytes.extend(registers);
            }
        }
    }
    bytes.extend(figures.views.missed.to_le_bytes());
    put_length(&mut bytes, figures.views.counts.len());
    for (product, count) in &figures.views.counts {
        bytes.extend(count.to_le_bytes());
        put_length(&mut bytes, product.len());
        bytes.extend(product.as_bytes());
    }
    bytes
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Reads what [`Figures::encode`] wrote.
///
/// # Errors
/// When the bytes are anything else.
pub fn decode(bytes: &[u8]) -> Result<Figures, Invalid> {
    let mut reader = Reader(bytes);
    if reader.byte()? != VERSION {
        return Err(BROKEN);
    }
    let counts = Counts {
        events: reader.number()?,
        clicks: reader.number()?,
        carts: reader.number()?,
        purchases: reader.number()?,
    };
    let newest = i64::try_from(reader.number()?).map_err(|_| BROKEN)?;
    let figures = Figures {
        counts,
        newest: if newest == 0 {
            None
        } else {
            Some(UtcMillis::new(newest)?)
        },
        active: reader.users()?,
        clicked: reader.users()?,
        carted: reader.users()?,
        bought: reader.users()?,
        views: reader.views()?,
    };
    if reader.0.is_empty() {
        Ok(figures)
    } else {
        Err(BROKEN)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Invalid> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(BROKEN)?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Invalid> {
        self.take(1)?.first().copied().ok_or(BROKEN)
    }

    fn number(&mut self) -> Result<u64, Invalid> {
        let bytes = self.take(8)?.try_into().map_err(|_| BROKEN)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn length(&mut self) -> Result<usize, Invalid> {
        let bytes = self.take(4)?.try_into().map_err(|_| BROKEN)?;
        usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| BROKEN)
    }

    fn users(&mut self) -> Result<Users, Invalid> {
        let form = self.byte()?;
        let length = self.length()?;
        match form {
            EXACT => {
                let users: Result<BTreeSet<u64>, Invalid> =
                    (0..length).map(|_| self.number()).collect();
                Ok(Users::Exact(users?))
            }
            SKETCH => Users::from_registers(self.take(length)?),
            _ => Err(BROKEN),
        }
    }

    fn views(&mut self) -> Result<Views, Invalid> {
        let mut views = Views {
            missed: self.number()?,
            ..Views::default()
        };
        for _ in 0..self.length()? {
            let count = self.number()?;
            let length = self.length()?;
            let product = std::str::from_utf8(self.take(length)?).map_err(|_| BROKEN)?;
            views.counts.insert(product.to_owned(), count);
        }
        Ok(views)
    }
}
