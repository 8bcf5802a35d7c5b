//! Texts that repeat, kept once and known by number.

use ahash::RandomState;

/// The most distinct texts of a column in one file: what has more is no product, region or
/// category.
pub const MOST_TEXTS: usize = 4_000_000;
/// The most bytes that the distinct texts of a column have together.
pub const MOST_TEXT_BYTES: usize = 96 * 1024 * 1024;
/// The number of the empty text: nobody knows it.
pub const UNKNOWN: u32 = 0;

const FIRST_SLOTS: usize = 64;

/// A column has too many distinct texts to be a column of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a column has more than {MOST_TEXTS} distinct texts, or {MOST_TEXT_BYTES} bytes of them")]
pub struct TooManyTexts;

/// Distinct texts, numbered as they came; the empty one is [`UNKNOWN`].
#[derive(Debug)]
pub struct Texts {
    bytes: String,
    /// Where each text ends in `bytes`.
    ends: Vec<u32>,
    /// The upper half is of the text's hash, the lower its number and 1; 0 is a free slot.
    slots: Vec<u64>,
    hasher: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        let mut texts = Self {
            bytes: String::new(),
            ends: Vec::new(),
            slots: vec![0; FIRST_SLOTS],
            hasher: RandomState::with_seeds(1, 2, 3, 4),
        };
        // The first text never fails.
        let _ = texts.number("");
        texts
    }
}

impl Texts {
    /// The number of this text.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn number(&mut self, text: &str) -> Result<u32, TooManyTexts> {
        let hash = self.hasher.hash_one(text);
        let mask = self.slots.len() - 1;
        let mark = hash & !0xffff_ffff;
        let mut at = low_bits(hash) & mask;
        loop {
            match self.slots.get(at).copied().unwrap_or(0) {
                0 => break,
                slot if slot & !0xffff_ffff == mark => {
                    let number = (slot as u32) - 1;
                    if self.get(number) == text {
                        return Ok(number);
                    }
                }
                _ => {}
            }
            at = (at + 1) & mask;
        }
        self.add(text, at, mark)
    }

    /// The number of a text that is known already.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let mask = self.slots.len() - 1;
        let mut at = low_bits(hash) & mask;
        loop {
            let slot = self.slots.get(at).copied().filter(|slot| *slot != 0)?;
            let number = (slot as u32) - 1;
            if slot & !0xffff_ffff == hash & !0xffff_ffff && self.get(number) == text {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&mut self, text: &str, slot: usize, mark: u64) -> Result<u32, TooManyTexts> {
        let end = self.bytes.len() + text.len();
        if self.ends.len() >= MOST_TEXTS || end > MOST_TEXT_BYTES {
            return Err(TooManyTexts);
        }
        let number = u32::try_from(self.ends.len()).map_err(|_| TooManyTexts)?;
        self.bytes.push_str(text);
        self.ends
            .push(u32::try_from(end).map_err(|_| TooManyTexts)?);
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = mark | (u64::from(number) + 1);
        }
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(number)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0_u64; mask + 1];
        for (number, text) in self.iter().enumerate() {
            let hash = self.hasher.hash_one(text);
            let mut at = low_bits(hash) & mask;
            while slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = (hash & !0xffff_ffff) | (number as u64 + 1);
            }
        }
        self.slots = slots;
    }

    /// The text of this number; empty where no text has it.
    #[must_use]
    pub fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = match number.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let end = self.ends.get(number).copied().unwrap_or(start);
        self.bytes
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// How many there are, the empty one counted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|number| self.get(number as u32))
    }
}

fn low_bits(hash: u64) -> usize {
    (hash & 0xffff_ffff) as usize
}

/// The texts of lines of sales.
#[derive(Debug, Default)]
pub struct LineTexts {
    /// `id_produto`.
    pub products: Texts,
    /// `regiao`.
    pub regions: Texts,
    /// `categoria`.
    pub categories: Texts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let mut texts = Texts::default();
        let names: Vec<String> = (0..5_000).map(|at| format!("produto {at}")).collect();
        for round in 0..2 {
            for (at, name) in names.iter().enumerate() {
                assert_eq!(texts.number(name).unwrap() as usize, at + 1, "{round}");
            }
        }
        assert_eq!(texts.number("").unwrap(), UNKNOWN);
        assert_eq!(texts.count(), 5_001);
        assert_eq!(texts.get(17), "produto 16");
        assert_eq!(texts.get(9_999), "");
        assert_eq!(texts.find("produto 16"), Some(17));
        assert_eq!(texts.find("outro"), None);
    }
}
