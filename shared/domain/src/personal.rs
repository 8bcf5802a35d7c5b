//! Personal data. Each type redacts `Debug` and has no `Display`: it can't reach a log by accident.

use std::fmt;

use crate::Invalid;

macro_rules! redacted {
    ($name:ident) => {
        impl $name {
            /// The value itself. It must not reach a log, an error, a metric, a queue or an event.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

/// A person's name: 1 to 200 characters, none of them control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);
redacted!(PersonName);

/// A CPF: 11 digits with right check digits. It identifies and does not authenticate.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cpf(String);
redacted!(Cpf);

/// An e-mail address, in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);
redacted!(Email);

/// A Brazilian telephone number in E.164 (+55, DDD, 8 or 9 digits).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);
redacted!(Phone);

/// A Brazilian state (UF), the `regiao` of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(&'static str);

const STATES: [&str; 27] = [
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE",
    "PI", "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
];

/// DDDs that exist, and their states (Anatel's numbering plan).
const AREA_CODES: [(&str, &[u8]); 27] = [
    ("SP", &[11, 12, 13, 14, 15, 16, 17, 18, 19]),
    ("RJ", &[21, 22, 24]),
    ("ES", &[27, 28]),
    ("MG", &[31, 32, 33, 34, 35, 37, 38]),
    ("PR", &[41, 42, 43, 44, 45, 46]),
    ("SC", &[47, 48, 49]),
    ("RS", &[51, 53, 54, 55]),
    ("DF", &[61]),
    ("GO", &[62, 64]),
    ("TO", &[63]),
    ("MT", &[65, 66]),
    ("MS", &[67]),
    ("AC", &[68]),
    ("RO", &[69]),
    ("BA", &[71, 73, 74, 75, 77]),
    ("SE", &[79]),
    ("PE", &[81, 87]),
    ("AL", &[82]),
    ("PB", &[83]),
    ("RN", &[84]),
    ("CE", &[85, 88]),
    ("PI", &[86, 89]),
    ("PA", &[91, 93, 94]),
    ("AM", &[92, 97]),
    ("RR", &[95]),
    ("AP", &[96]),
    ("MA", &[98, 99]),
];

/// The state of a DDD.
fn state_of(area: &str) -> Option<Region> {
    let area: u8 = area.parse().ok()?;
    let (state, _) = AREA_CODES.iter().find(|(_, areas)| areas.contains(&area))?;
    Some(Region(state))
}

impl PersonName {
    /// From a name; blanks around it are cut off.
    ///
    /// # Errors
    /// When it is empty, too long, or holds control characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let name = text.trim();
        let length = name.chars().count();
        if (1..=200).contains(&length) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Invalid::new("must be a name of 1 to 200 characters"))
        }
    }
}

impl Cpf {
    /// From 11 digits, with or without points and hyphen. Leading zeros count: it is text.
    ///
    /// # Errors
    /// When digits are missing, all equal, or a check digit is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a CPF with right check digits");
        if text.len() > 14
            || text
                .bytes()
                .any(|b| !b.is_ascii_digit() && !matches!(b, b'.' | b'-'))
        {
            return Err(RULE);
        }
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
        let [first, .., tenth, eleventh] = *digits.as_slice() else {
            return Err(RULE);
        };
        let check = |count: usize| {
            let sum: u32 = digits
                .iter()
                .take(count)
                .zip((2..=count as u32 + 1).rev())
                .map(|(d, w)| d * w)
                .sum();
            sum * 10 % 11 % 10
        };
        let all_equal = digits.iter().all(|&digit| digit == first);
        if digits.len() != 11 || all_equal || check(9) != tenth || check(10) != eleventh {
            return Err(RULE);
        }
        Ok(Self(
            digits
                .iter()
                .filter_map(|&digit| char::from_digit(digit, 10))
                .collect(),
        ))
    }
}

impl Email {
    /// From an address: one `@`, a domain with a point, at most 254 bytes (RFC 5321). Case is
    /// folded, since no mailbox provider tells addresses apart by it.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be an e-mail address");
        let address = text.trim().to_lowercase();
        let (local, domain) = address.rsplit_once('@').ok_or(RULE)?;
        let plain = address
            .chars()
            .all(|c| !c.is_whitespace() && !c.is_control());
        let dotted = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
        if address.len() > 254 || local.is_empty() || local.contains('@') || !plain || !dotted {
            return Err(RULE);
        }
        Ok(Self(address))
    }
}

impl Phone {
    /// From a Brazilian number with DDD, in any usual spelling, with or without +55.
    ///
    /// # Errors
    /// When the DDD does not exist or the number is neither mobile (9 digits, the first a 9) nor
    /// fixed (8 digits, the first 2 to 5), or the country is another one.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a Brazilian telephone number with DDD");
        let text = text.trim();
        if text.len() > 30
            || text
                .bytes()
                .any(|b| !b.is_ascii_digit() && !b" +()-.".contains(&b))
        {
            return Err(RULE);
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let national = match (text.starts_with('+'), digits.len()) {
            (true, _) => digits.strip_prefix("55").ok_or(RULE)?,
            (false, 12 | 13) if digits.starts_with("55") => {
                digits.strip_prefix("55").ok_or(RULE)?
            }
            (false, _) => digits.strip_prefix('0').unwrap_or(&digits),
        };
        let (area, number) = national.split_at_checked(2).ok_or(RULE)?;
        let area_exists = state_of(area).is_some();
        let mobile = number.len() == 9 && number.starts_with('9');
        let fixed = number.len() == 8 && number.starts_with(['2', '3', '4', '5']);
        if area_exists && (mobile || fixed) {
            Ok(Self(["+55", national].concat()))
        } else {
            Err(RULE)
        }
    }

    /// The state that its DDD belongs to.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.0.get(3..5).and_then(state_of)
    }
}

impl Region {
    /// From a state's two letters.
    ///
    /// # Errors
    /// When there is no such state.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = STATES.iter().find(|state| text.eq_ignore_ascii_case(state));
        found
            .map(|state| Self(state))
            .ok_or(Invalid::new("must be a Brazilian state such as SP"))
    }

    /// The two letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpf_needs_right_check_digits() {
        assert_eq!(
            Cpf::parse("529.982.247-25").unwrap().expose(),
            "52998224725"
        );
        assert_eq!(Cpf::parse("00000000191").unwrap().expose(), "00000000191");
        for wrong in [
            "52998224724",
            "11111111111",
            "5299822472",
            "529982247250",
            "",
            "5299822472A",
        ] {
            assert!(Cpf::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn phones_become_e164() {
        for text in [
            "+55 (11) 96416-6764",
            "11964166764",
            "5511964166764",
            "011964166764",
        ] {
            assert_eq!(
                Phone::parse(text).unwrap().expose(),
                "+5511964166764",
                "{text}"
            );
        }
        assert_eq!(
            Phone::parse("(61) 3333-4444").unwrap().expose(),
            "+556133334444"
        );
        for wrong in [
            "+1 202 555 0143",
            "20964166764",
            "1196416676",
            "11 8123 4567",
            "",
            "abc",
        ] {
            assert!(Phone::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ddd_tells_the_state() {
        for (phone, state) in [
            ("11964166764", "SP"),
            ("2133334444", "RJ"),
            ("99912345678", "MA"),
        ] {
            let region = Phone::parse(phone).unwrap().region();
            assert_eq!(region.unwrap().as_str(), state);
        }
        let all: Vec<u8> = AREA_CODES
            .iter()
            .flat_map(|(_, areas)| *areas)
            .copied()
            .collect();
        assert_eq!(all.len(), 67);
        assert!(
            STATES
                .iter()
                .all(|state| AREA_CODES.iter().any(|(one, _)| one == state))
        );
    }

    #[test]
    fn e_mail_addresses_are_folded_and_checked() {
        assert_eq!(
            Email::parse(" Ana@Example.COM ").unwrap().expose(),
            "ana@example.com"
        );
        for wrong in [
            "ana",
            "@example.com",
            "ana@example",
            "a b@example.com",
            "a@b@example.com",
        ] {
            assert!(Email::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_never_shows_personal_data() {
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            Cpf::parse("52998224725").unwrap(),
            Email::parse("ana@example.com").unwrap(),
            Phone::parse("11964166764").unwrap(),
            PersonName::parse("Ana").unwrap()
        );
        assert_eq!(shown, "Cpf(…) Email(…) Phone(…) PersonName(…)");
    }
}
