//! Which contacts the source has, in 16 bytes each: the pseudonyms are 128 bits.

/// More contacts than these (128 MiB) are not compared: the function has 256 MB.
pub(super) const MOST_CONTACTS: usize = 8 * 1024 * 1024;
const TOO_MANY: &str = "contatos_demais";
/// Contacts that came while the source was read; memory grows by these, and never doubles.
const MORE: usize = 65_536;

/// Contacts that the source has. After the last one they are put in order, and asked.
pub(super) struct Seen(Vec<u128>);

impl Seen {
    /// With room for so many contacts.
    pub(super) fn of(contacts: u64) -> Result<Self, &'static str> {
        let contacts = usize::try_from(contacts).unwrap_or(usize::MAX);
        if contacts > MOST_CONTACTS {
            return Err(TOO_MANY);
        }
        let mut seen = Vec::new();
        seen.try_reserve_exact(contacts).map_err(|_| TOO_MANY)?;
        Ok(Self(seen))
    }

    pub(super) fn push(&mut self, subject: &str) -> Result<(), &'static str> {
        if self.0.len() == self.0.capacity() {
            if self.0.len() >= MOST_CONTACTS {
                return Err(TOO_MANY);
            }
            self.0.try_reserve_exact(MORE).map_err(|_| TOO_MANY)?;
        }
        self.0.extend(bits(subject));
        Ok(())
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    pub(super) fn contains(&self, subject: &str) -> bool {
        bits(subject).is_some_and(|bits| self.0.binary_search(&bits).is_ok())
    }
}

fn bits(subject: &str) -> Option<u128> {
    u128::from_str_radix(subject, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pseudonym, as HMACs are: spread over all 128 bits.
    fn subject(number: u128) -> String {
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        format!("{spread:032x}")
    }

    #[test]
    fn a_million_contacts_take_sixteen_megabytes_and_are_told_from_others() {
        const CONTACTS: u128 = 1_000_000;
        let mut seen = Seen::of(CONTACTS as u64).unwrap();
        for number in 0..CONTACTS {
            seen.push(&subject(number)).unwrap();
        }
        seen.sort();
        assert_eq!(seen.0.capacity() * size_of::<u128>(), 16_000_000);
        for number in (0..CONTACTS).step_by(997) {
            assert!(seen.contains(&subject(number)));
            assert!(!seen.contains(&subject(number + CONTACTS)));
        }
        assert!(!seen.contains("no pseudonym"));
    }

    #[test]
    fn more_contacts_than_fit_are_refused() {
        assert_eq!(Seen::of(MOST_CONTACTS as u64 + 1).err(), Some(TOO_MANY));
        let mut seen = Seen::of(2).unwrap();
        for number in 0..3 {
            seen.push(&subject(number)).unwrap();
        }
        assert_eq!(seen.0.capacity(), 2 + MORE, "by little");
        assert!(MOST_CONTACTS * size_of::<u128>() <= 128 * 1024 * 1024);
    }
}
