//! The audit chain: every change of a referral or voucher, linked by hash to the one before it, and
//! a daily anchor over the heads of the chains that changed.
//!
//! Three lies are told apart from the truth: a changed row (its hash no longer fits), a missing
//! tail (the row's own head is further), and a rewritten chain (the day's anchor no longer fits).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::time::{Day, UtcMillis};

/// What a chain belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A referral.
    Referral,
    /// A friend's coupon or a promoter's voucher.
    Voucher,
}

impl Entity {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Referral => "indicacao",
            Self::Voucher => "voucher",
        }
    }
}

/// Why a row changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A purchase became a referral.
    ReferralAccepted,
    /// The friend's order is completed.
    ReferralCompleted,
    /// The promoter's voucher was issued.
    ReferralRewarded,
    /// The order was cancelled or refunded.
    ReferralVoided,
    /// A coupon or voucher was issued.
    VoucherIssued,
    /// A coupon given on arrival got its owner, or its referral.
    VoucherBound,
    /// An order reserved it.
    VoucherReserved,
    /// Its order let it go.
    VoucherReleased,
    /// It paid for an order.
    VoucherUsed,
    /// Its referral was voided before it was used.
    VoucherCancelled,
    /// Its validity ended before it was used.
    VoucherExpired,
    /// Its referral was voided after it had been used.
    VoucherUsedAfterVoid,
}

impl Event {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReferralAccepted => "indicacao_aceita",
            Self::ReferralCompleted => "indicacao_concluida",
            Self::ReferralRewarded => "indicacao_premiada",
            Self::ReferralVoided => "indicacao_anulada",
            Self::VoucherIssued => "voucher_emitido",
            Self::VoucherBound => "voucher_vinculado",
            Self::VoucherReserved => "voucher_reservado",
            Self::VoucherReleased => "voucher_liberado",
            Self::VoucherUsed => "voucher_usado",
            Self::VoucherCancelled => "voucher_cancelado",
            Self::VoucherExpired => "voucher_expirado",
            Self::VoucherUsedAfterVoid => "voucher_usado_apos_anulacao",
        }
    }
}

/// What a change was about: ids, amounts and reasons by name. Never personal data.
///
/// Its text is canonical: a JSON object of strings, sorted by name, without blanks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details(BTreeMap<&'static str, String>);

impl Details {
    /// No details.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more detail.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.insert(name, value.to_string());
        self
    }

    /// With one more detail where there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            text.push_str(if index == 0 { "\"" } else { ",\"" });
            escape(name, &mut text);
            text.push_str("\":\"");
            escape(value, &mut text);
            text.push('"');
        }
        text.push('}');
        text
    }
}

/// JSON string escapes (RFC 8259 §7), in their one canonical form here.
fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            control if u32::from(control) < 0x20 => {
                // Writing into a String can't fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
}

/// The end of a chain, as the referral's or voucher's own row carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many changes there were: the version of the row.
    pub version: i64,
    /// The hash of the last change: 64 hexadecimal digits, none before the first change.
    pub hash: String,
}

impl Head {
    /// Before the first change.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            version: 0,
            hash: String::new(),
        }
    }
}

/// A change that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// What changes.
    pub entity: Entity,
    /// Its id.
    pub id: &'a str,
    /// When, by the clock of the transaction; never a business date, since anchors go by it.
    pub changed: UtcMillis,
    /// Why.
    pub event: Event,
    /// The rest of the story.
    pub details: Details,
}

/// A link of the chain, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What changed.
    pub entity: Entity,
    /// Its id.
    pub id: String,
    /// 1 for the first change.
    pub version: i64,
    /// When.
    pub changed: UtcMillis,
    /// Why.
    pub event: Event,
    /// Canonical details.
    pub details: String,
    /// The hash of the link before, empty for the first.
    pub previous_hash: String,
    /// SHA-256 over all of the above, each with its length before it.
    pub hash: String,
}

impl Entry {
    /// The head of the chain that ends in this link.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            version: self.version,
            hash: self.hash.clone(),
        }
    }
}

/// The link that follows `head`.
#[must_use]
pub fn chain(head: &Head, change: &Change<'_>) -> Entry {
    let version = head.version + 1;
    let details = change.details.canonical();
    let hash = StoredLink {
        previous_hash: &head.hash,
        entity: change.entity.as_str(),
        id: change.id,
        version,
        changed_ms: change.changed.get(),
        event: change.event.as_str(),
        details: &details,
    }
    .hash();
    Entry {
        entity: change.entity,
        id: change.id.to_owned(),
        version,
        changed: change.changed,
        event: change.event,
        details,
        previous_hash: head.hash.clone(),
        hash,
    }
}

/// A link as a verifier reads it: nothing of it is believed.
#[derive(Debug, Clone, Copy)]
pub struct StoredLink<'a> {
    /// The hash of the link before, as stored.
    pub previous_hash: &'a str,
    /// The stored word for the entity.
    pub entity: &'a str,
    /// The id of the entity.
    pub id: &'a str,
    /// The number of the link.
    pub version: i64,
    /// When, in milliseconds since the epoch.
    pub changed_ms: i64,
    /// The stored word for the event.
    pub event: &'a str,
    /// The details, as stored.
    pub details: &'a str,
}

impl StoredLink<'_> {
    /// The hash that belongs to these values.
    #[must_use]
    pub fn hash(&self) -> String {
        let (version, changed) = (self.version.to_string(), self.changed_ms.to_string());
        let mut hasher = LengthPrefixed::new("feira.audit.v1");
        for field in [
            self.previous_hash,
            self.entity,
            self.id,
            &version,
            &changed,
            self.event,
            self.details,
        ] {
            hasher.field(field);
        }
        hasher.finish()
    }
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A number is missing or twice.
    #[error("a link of the chain is missing")]
    Missing,
    /// It does not name the hash of the link before it.
    #[error("the link does not follow the one before it")]
    Unlinked,
    /// Its values do not give its hash.
    #[error("the link was changed after it was written")]
    Changed,
    /// The row's own version or hash is not the end of the chain.
    #[error("the row is not where its chain ends")]
    Head,
    /// The anchor of a day does not fit the chains that changed that day.
    #[error("the chains of the day are not those that were anchored")]
    Anchor,
    /// An anchor between the first and the last is missing.
    #[error("the anchor of a day is missing")]
    AnchorMissing,
}

/// Checks that `link` with its stored `hash` follows `head`, and returns the new head.
///
/// # Errors
/// Tells what is wrong with the link.
pub fn follow(head: &Head, link: &StoredLink<'_>, hash: &str) -> Result<Head, Broken> {
    if link.version != head.version + 1 {
        return Err(Broken::Missing);
    }
    if link.previous_hash != head.hash {
        return Err(Broken::Unlinked);
    }
    if link.hash() != hash {
        return Err(Broken::Changed);
    }
    Ok(Head {
        version: link.version,
        hash: hash.to_owned(),
    })
}

/// The anchor of a day, built from the heads of the chains that changed that day, each as it stood
/// at the day's end, sorted by entity and id.
#[derive(Debug, Clone)]
pub struct AnchorBuilder {
    hasher: LengthPrefixed,
    heads: i64,
}

impl AnchorBuilder {
    /// Starts the anchor of `day` after the anchor whose hash is `previous_hash` (empty for the
    /// first).
    #[must_use]
    pub fn new(previous_hash: &str, day: Day) -> Self {
        let mut hasher = LengthPrefixed::new("feira.anchor.v1");
        hasher.field(previous_hash);
        hasher.field(&day.to_string());
        Self { hasher, heads: 0 }
    }

    /// Adds the head of a chain.
    pub fn head(&mut self, entity: &str, id: &str, version: i64, hash: &str) {
        for field in [entity, id, &version.to_string(), hash] {
            self.hasher.field(field);
        }
        self.heads += 1;
    }

    /// How many heads went in, and the hash of the anchor.
    #[must_use]
    pub fn finish(self) -> (i64, String) {
        (self.heads, self.hasher.finish())
    }
}

/// SHA-256 over fields with their lengths before them, so that no two lists of fields look alike.
#[derive(Debug, Clone)]
struct LengthPrefixed(Sha256);

impl LengthPrefixed {
    fn new(purpose: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.field(purpose);
        hasher
    }

    fn field(&mut self, field: &str) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field.as_bytes());
    }

    fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing into a String can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(details: Details) -> Change<'static> {
        Change {
            entity: Entity::Voucher,
            id: "01V",
            changed: UtcMillis::new(1_000).unwrap(),
            event: Event::VoucherIssued,
            details,
        }
    }

    fn stored(entry: &Entry) -> StoredLink<'_> {
        StoredLink {
            previous_hash: &entry.previous_hash,
            entity: entry.entity.as_str(),
            id: &entry.id,
            version: entry.version,
            changed_ms: entry.changed.get(),
            event: entry.event.as_str(),
            details: &entry.details,
        }
    }

    #[test]
    fn details_have_one_text_whatever_the_order_of_writing() {
        let one = Details::new()
            .with("valor", "10.00")
            .with("id_pedido", "a\"b\n");
        let other = Details::new()
            .with("id_pedido", "a\"b\n")
            .with("valor", "10.00");
        assert_eq!(
            one.canonical(),
            r#"{"id_pedido":"a\"b\u000a","valor":"10.00"}"#
        );
        assert_eq!(one.canonical(), other.canonical());
        assert_eq!(
            Details::new().with_some("nada", None::<&str>).canonical(),
            "{}"
        );
    }

    #[test]
    fn a_chain_follows_itself_and_notices_every_change() {
        let first = chain(&Head::none(), &change(Details::new()));
        let second = chain(&first.head(), &change(Details::new().with("valor", "1.00")));
        let head = follow(&Head::none(), &stored(&first), &first.hash).unwrap();
        assert_eq!(
            follow(&head, &stored(&second), &second.hash).unwrap(),
            second.head()
        );
        assert_eq!(
            follow(&Head::none(), &stored(&second), &second.hash),
            Err(Broken::Missing)
        );
        let changed = StoredLink {
            details: r#"{"valor":"9.00"}"#,
            ..stored(&second)
        };
        assert_eq!(follow(&head, &changed, &second.hash), Err(Broken::Changed));
        let rehashed = changed.hash();
        assert!(
            follow(&head, &changed, &rehashed).is_ok(),
            "only the anchor finds this one"
        );
        let elsewhere = StoredLink {
            previous_hash: "00",
            ..stored(&second)
        };
        assert_eq!(
            follow(&head, &elsewhere, &second.hash),
            Err(Broken::Unlinked)
        );
    }

    #[test]
    fn an_anchor_depends_on_each_head_and_on_the_anchor_before() {
        let day = Day::parse("2026-11-20").unwrap();
        let anchor = |previous: &str, heads: &[(&str, i64, &str)]| {
            let mut anchor = AnchorBuilder::new(previous, day);
            for (id, version, hash) in heads {
                anchor.head("voucher", id, *version, hash);
            }
            anchor.finish()
        };
        let right = anchor("", &[("a", 1, "h1"), ("b", 2, "h2")]);
        assert_eq!(right.0, 2);
        assert_eq!(right, anchor("", &[("a", 1, "h1"), ("b", 2, "h2")]));
        assert_ne!(right, anchor("00", &[("a", 1, "h1"), ("b", 2, "h2")]));
        assert_ne!(right, anchor("", &[("a", 1, "h1"), ("b", 3, "h2")]));
        assert_ne!(right.1, anchor("", &[("a", 1, "h1")]).1);
    }

    proptest! {
        #[test]
        fn fields_can_not_be_shifted_into_each_other(left in "[ab]{0,4}", right in "[ab]{0,4}") {
            let whole = format!("{left}{right}");
            let hash = |fields: [&str; 2]| {
                let mut hasher = LengthPrefixed::new("test");
                fields.iter().for_each(|field| hasher.field(field));
                hasher.finish()
            };
            prop_assume!(!right.is_empty());
            prop_assert_ne!(hash([&left, &right]), hash([&whole, ""]));
        }
    }
}
