//! What customers do in the shop (`eventos_clientes`), and when such an event counts.

use crate::{
    Invalid,
    identity::{ProductId, UserId},
    money::Centavos,
    time::UtcMillis,
};

/// The same event is known as the same for so many days.
pub const DEDUPLICATION_DAYS: u32 = 14;
/// Live figures reach back so many minutes.
pub const LIVE_MINUTES: u32 = 60;
/// A shop's clock may be ahead of ours by so many minutes.
pub const MOST_AHEAD_MINUTES: u32 = 5;
/// Longest word of a kind that we keep as it came.
const LONGEST_KIND: usize = 40;

const MINUTE_MS: i64 = 60_000;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// `clique`: a product was looked at.
    Click,
    /// `carrinho`: a product was put into the cart.
    Cart,
    /// `compra`: the shop says that a product was bought.
    Purchase,
    /// Any other word: kept and counted.
    Other(String),
}

/// One event of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerEvent {
    /// `id_usuario`.
    pub user: UserId,
    /// `tipo_evento`.
    pub kind: EventKind,
    /// `id_produto`; only other kinds may have none.
    pub product: Option<ProductId>,
    /// `timestamp`: when it happened.
    pub occurred: UtcMillis,
    /// `id_evento`.
    pub event_id: Option<String>,
    /// `id_sessao`.
    pub session: Option<String>,
    /// `quantidade`.
    pub quantity: Option<i32>,
    /// `preco` of one.
    pub price: Option<Centavos>,
    /// `ref`: the referral link that brought the customer.
    pub reference: Option<String>,
}

/// Where the time of an event lies, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Within the live window.
    Live,
    /// Before it: live figures have passed it.
    Late,
    /// Further ahead than a clock may be: live figures don't believe it.
    Ahead,
}

/// How far back figures are asked for: 1 to [`LIVE_MINUTES`] minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(u32);

/// A minute, by its first moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl EventKind {
    /// From the word on the wire.
    ///
    /// # Errors
    /// When it is no word of 1 to 40 letters, digits, `_`, `-` and `.`.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        match word {
            "clique" => Ok(Self::Click),
            "carrinho" => Ok(Self::Cart),
            "compra" => Ok(Self::Purchase),
            _ if (1..=LONGEST_KIND).contains(&word.len()) && word.bytes().all(is_plain) => {
                Ok(Self::Other(word.to_owned()))
            }
            _ => Err(Invalid::new(
                "must be clique, carrinho, compra or another word of at most 40 letters",
            )),
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Click => "clique",
            Self::Cart => "carrinho",
            Self::Purchase => "compra",
            Self::Other(word) => word,
        }
    }

    /// Whether an event of this kind says nothing without its product.
    #[must_use]
    pub const fn needs_product(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl CustomerEvent {
    /// Where its time lies, seen from `now`.
    #[must_use]
    pub fn standing(&self, now: UtcMillis) -> Standing {
        let earliest = now.plus_millis(-i64::from(LIVE_MINUTES) * MINUTE_MS);
        let latest = now.plus_millis(i64::from(MOST_AHEAD_MINUTES) * MINUTE_MS);
        if self.occurred < earliest {
            Standing::Late
        } else if self.occurred > latest {
            Standing::Ahead
        } else {
            Standing::Live
        }
    }

    /// What another event with the same identity must say to be the same: every field, in one text.
    #[must_use]
    pub fn content(&self) -> String {
        let text =
            |part: Option<&str>| part.map_or_else(|| "-".to_owned(), |part| format!("{part:?}"));
        let number =
            |part: Option<i64>| part.map_or_else(|| "-".to_owned(), |part| part.to_string());
        [
            text(Some(self.user.as_str())),
            text(Some(self.kind.as_str())),
            text(self.product.as_ref().map(ProductId::as_str)),
            number(Some(self.occurred.get())),
            text(self.session.as_deref()),
            number(self.quantity.map(i64::from)),
            number(self.price.map(Centavos::get)),
            text(self.reference.as_deref()),
        ]
        .join(" ")
    }
}

impl Window {
    /// From a text such as `5m` or `1h`.
    ///
    /// # Errors
    /// When it is none of 1 to 60 minutes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be 1m to 60m, or 1h");
        if text == "1h" {
            return Ok(Self(60));
        }
        let digits = text.strip_suffix('m').filter(|digits| digits.len() <= 2);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let minutes = digits.and_then(|digits| digits.parse().ok()).ok_or(RULE)?;
        if (1..=LIVE_MINUTES).contains(&minutes) {
            Ok(Self(minutes))
        } else {
            Err(RULE)
        }
    }

    /// Its length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// Its first minute, when its last is that of `now`.
    #[must_use]
    pub fn first(self, now: UtcMillis) -> Minute {
        Minute::of(now.plus_millis(-i64::from(self.0 - 1) * MINUTE_MS))
    }
}

impl Minute {
    /// The minute of a time.
    #[must_use]
    pub const fn of(time: UtcMillis) -> Self {
        Self(time.get() - time.get() % MINUTE_MS)
    }

    /// Its first moment, in epoch milliseconds.
    #[must_use]
    pub const fn start_ms(self) -> i64 {
        self.0
    }

    /// The minute after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + MINUTE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(occurred_ms: i64) -> CustomerEvent {
        CustomerEvent {
            user: UserId::parse("u1").unwrap(),
            kind: EventKind::Click,
            product: Some(ProductId::parse("p1").unwrap()),
            occurred: UtcMillis::new(occurred_ms).unwrap(),
            event_id: None,
            session: None,
            quantity: None,
            price: None,
            reference: None,
        }
    }

    #[test]
    fn known_words_are_kinds_and_others_are_kept() {
        for word in ["clique", "carrinho", "compra", "busca", "add_to.wish-list"] {
            assert_eq!(EventKind::parse(word).unwrap().as_str(), word);
        }
        for word in ["", "dois termos", "çesta", &"x".repeat(41)] {
            assert!(EventKind::parse(word).is_err(), "{word}");
        }
    }

    #[test]
    fn an_event_is_live_for_an_hour_and_five_minutes_ahead() {
        let now = UtcMillis::new(1_795_186_800_000).unwrap();
        let standing = |later_ms: i64| event(now.get() + later_ms).standing(now);
        assert_eq!(standing(-3_600_000), Standing::Live);
        assert_eq!(standing(-3_600_001), Standing::Late);
        assert_eq!(standing(300_000), Standing::Live);
        assert_eq!(standing(300_001), Standing::Ahead);
    }

    #[test]
    fn windows_are_one_minute_to_an_hour() {
        assert_eq!(Window::parse("5m").map(Window::minutes), Ok(5));
        assert_eq!(Window::parse("1h"), Window::parse("60m"));
        for text in ["", "m", "0m", "61m", "5", "5s", "+5m", "005m", "2h"] {
            assert!(Window::parse(text).is_err(), "{text}");
        }
        let now = UtcMillis::parse("2026-11-20T12:04:59Z").unwrap();
        let first = Window::parse("5m").unwrap().first(now);
        let expected = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
        assert_eq!(first.start_ms(), expected.get());
    }

    #[test]
    fn an_event_with_another_field_has_another_content() {
        let plain = event(1_000);
        let others = [
            CustomerEvent {
                user: UserId::parse("u2").unwrap(),
                ..plain.clone()
            },
            CustomerEvent {
                kind: EventKind::Cart,
                ..plain.clone()
            },
            CustomerEvent {
                product: None,
                ..plain.clone()
            },
            CustomerEvent {
                session: Some("-".into()),
                ..plain.clone()
            },
            CustomerEvent {
                quantity: Some(1),
                ..plain.clone()
            },
            CustomerEvent {
                price: Some(Centavos::ZERO),
                ..plain.clone()
            },
            CustomerEvent {
                reference: Some(String::new()),
                ..plain.clone()
            },
            event(1_001),
        ];
        for other in others {
            assert_ne!(other.content(), plain.content(), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn two_sessions_and_references_never_read_the_same(
            left in (".{0,6}", ".{0,6}"),
            right in (".{0,6}", ".{0,6}"),
        ) {
            let of = |(session, reference): &(String, String)| CustomerEvent {
                session: Some(session.clone()),
                reference: Some(reference.clone()),
                ..event(1_000)
            };
            prop_assert_eq!(left == right, of(&left).content() == of(&right).content());
        }
    }
}
