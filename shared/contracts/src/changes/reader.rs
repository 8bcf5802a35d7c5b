//! The walk through a record: named fields are taken, everything else is skipped unread.

use std::{borrow::Cow, fmt};

use domain::{Invalid, identity::CustomerId, time::UtcMillis};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{
    Kind, Shape,
    shape::{
        DELETED_ID_SLOT, FIRST_FIELD_SLOT, ID, ID_SLOT, Node, OPERATION_SLOT, UPDATED,
        UPDATED_SLOT, VERSION, VERSION_SLOT,
    },
};
use crate::fields::BadMessage;

/// What a field held.
#[derive(Clone, PartialEq, Eq)]
enum Value<'de> {
    Null,
    Text(Cow<'de, str>),
    /// Yes, or a withdrawal.
    Agreed(bool),
    /// Consents that do not speak of the purpose.
    Unsaid,
    /// Something that no field of its kind holds.
    Wrong,
}

/// The fields that were taken from a record. They borrow from it: nothing outlives it but what the
/// consumer makes of it.
pub struct Taken<'de> {
    slots: Vec<Option<Value<'de>>>,
    shape: &'de Shape,
    is_repeated: bool,
    is_wrong_shape: bool,
}

/// Takes what the shape names from a value.
pub(super) fn take<'de>(shape: &'de Shape, json: &'de [u8]) -> Result<Taken<'de>, BadMessage> {
    let taken = walk(shape, &shape.value, json)?;
    if taken.is_wrong_shape {
        return Err(BadMessage {
            code: "forma_desconhecida",
            field: None,
            rule: "must have the shape that the consumer's mapping tells",
        });
    }
    if taken.is_repeated {
        return Err(BadMessage {
            code: "campo_repetido",
            field: None,
            rule: "must hold each field once",
        });
    }
    Ok(taken)
}

/// The id in a key that is a JSON object.
pub(super) fn take_key(shape: &Shape, json: &[u8]) -> Result<Option<String>, BadMessage> {
    let taken = walk(shape, &shape.key, json)
        .map_err(|_| BadMessage::invalid("chave", "must be the customer's id"))?;
    Ok(taken.optional_text(ID_SLOT, "chave")?.map(str::to_owned))
}

fn walk<'de>(
    shape: &'de Shape,
    node: &'de Node,
    json: &'de [u8],
) -> Result<Taken<'de>, BadMessage> {
    let mut taken = Taken {
        slots: vec![None; FIRST_FIELD_SLOT + shape.fields.len()],
        shape,
        is_repeated: false,
        is_wrong_shape: false,
    };
    let Ok(text) = std::str::from_utf8(json) else {
        return Err(BadMessage {
            code: "utf8_invalido",
            field: None,
            rule: "must be UTF-8",
        });
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Seed {
        node,
        taken: &mut taken,
    };
    let read = seed.deserialize(&mut deserializer);
    // serde's own text quotes what it found, so it is dropped.
    match read.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(taken),
        Err(_) => Err(BadMessage::NOT_JSON),
    }
}

impl<'de> Taken<'de> {
    /// A domain value; `None` where the field is null or blank.
    ///
    /// # Errors
    /// When the field is absent, which is an unknown shape, of another type, or against the rule.
    pub fn parse_present<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, BadMessage> {
        let slot = self.slot(name).ok_or(BadMessage::missing(name))?;
        match self.slots.get(slot) {
            None | Some(None) => Err(BadMessage::missing(name)),
            Some(Some(_)) => self.parse_optional(name, parse),
        }
    }

    /// A domain value; `None` where the field is absent, null or blank.
    ///
    /// # Errors
    /// When it is of another type, or against the domain's rule.
    pub fn parse_optional<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, BadMessage> {
        let slot = self.slot(name).ok_or(BadMessage::missing(name))?;
        let text = self.optional_text(slot, name)?;
        text.map(parse)
            .transpose()
            .map_err(|invalid| BadMessage::invalid(name, invalid.rule))
    }

    /// A domain value.
    ///
    /// # Errors
    /// When the field is absent, blank, of another type, or against the domain's rule.
    pub fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<T, BadMessage> {
        self.parse_present(name, parse)?
            .ok_or(BadMessage::missing(name))
    }

    /// Whether the field says no to its purpose in so many words.
    #[must_use]
    pub fn withdraws(&self, name: &'static str) -> bool {
        let slot = self.slot(name).and_then(|slot| self.slots.get(slot));
        matches!(slot, Some(Some(Value::Agreed(false))))
    }

    /// Whether the field's purpose was agreed to. What is not said is not agreed to.
    ///
    /// # Errors
    /// When the field is absent, or neither an object of booleans nor a list of texts.
    pub fn agrees(&self, name: &'static str) -> Result<bool, BadMessage> {
        let slot = self.slot(name).ok_or(BadMessage::missing(name))?;
        match self.slots.get(slot).and_then(Option::as_ref) {
            None => Err(BadMessage::missing(name)),
            Some(Value::Null | Value::Unsaid) => Ok(false),
            Some(Value::Agreed(agreed)) => Ok(*agreed),
            Some(Value::Text(_) | Value::Wrong) => Err(BadMessage::invalid(
                name,
                "must be an object of booleans or a list of texts",
            )),
        }
    }

    fn slot(&self, name: &str) -> Option<usize> {
        if name == ID {
            return Some(ID_SLOT);
        }
        let place = self.shape.fields.iter().position(|one| one.name == name);
        place.map(|place| FIRST_FIELD_SLOT + place)
    }

    fn optional_text(&self, slot: usize, name: &'static str) -> Result<Option<&str>, BadMessage> {
        match self.slots.get(slot).and_then(Option::as_ref) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => {
                Ok(Some(text.as_ref()).filter(|text| !text.trim_start().is_empty()))
            }
            Some(Value::Agreed(_) | Value::Unsaid | Value::Wrong) => {
                Err(BadMessage::invalid(name, "must be a text"))
            }
        }
    }

    /// Whether Debezium tells of a deletion.
    pub(super) fn deletes(&self) -> Result<bool, BadMessage> {
        if !self.shape.has_envelope {
            return Ok(false);
        }
        const RULE: BadMessage = BadMessage::invalid("op", "must be one of c, r, u and d");
        match self.optional_text(OPERATION_SLOT, "op")? {
            None => Err(BadMessage::missing("op")),
            Some("d") => Ok(true),
            Some("c" | "r" | "u") => Ok(false),
            Some(_) => Err(RULE),
        }
    }

    /// Whom a deletion names in `before`; nothing where only the key does.
    pub(super) fn deleted_id(&self) -> Result<Option<CustomerId>, BadMessage> {
        let id = self.optional_text(DELETED_ID_SLOT, ID)?;
        id.map(CustomerId::parse)
            .transpose()
            .map_err(|invalid| BadMessage::invalid(ID, invalid.rule))
    }

    /// `versao`, a number or its digits; else `atualizado_em` in milliseconds.
    pub(super) fn version(&self) -> Result<Option<i64>, BadMessage> {
        const WRONG: BadMessage = BadMessage::invalid(VERSION, "must be a whole number from 0 on");
        match self
            .optional_text(VERSION_SLOT, VERSION)
            .map_err(|_| WRONG)?
        {
            None => Ok(self.updated()?.map(UtcMillis::get)),
            Some(digits) => match digits.parse() {
                Ok(version) if version >= 0 => Ok(Some(version)),
                _ => Err(WRONG),
            },
        }
    }

    /// `atualizado_em`: a time, or milliseconds since 1970.
    pub(super) fn updated(&self) -> Result<Option<UtcMillis>, BadMessage> {
        let Some(text) = self.optional_text(UPDATED_SLOT, UPDATED)? else {
            return Ok(None);
        };
        let parsed = match text.parse::<i64>() {
            Ok(millis) => UtcMillis::new(millis),
            Err(_) => UtcMillis::parse(text),
        };
        parsed
            .map(Some)
            .map_err(|invalid| BadMessage::invalid(UPDATED, invalid.rule))
    }

    fn put(&mut self, slot: usize, value: Value<'de>) {
        if let Some(place) = self.slots.get_mut(slot) {
            self.is_repeated |= place.is_some();
            *place = Some(value);
        }
    }
}

/// Reads one value, by what the tree says of its place.
struct Seed<'s, 'de> {
    node: &'s Node,
    taken: &'s mut Taken<'de>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Seed<'_, 'de> {
    /// A scalar, or the end of a composite. Below a name that must hold an object only null may
    /// stand, as Debezium's `after` does.
    fn scalar<E>(self, value: Value<'de>) -> Result<(), E> {
        match self.node {
            Node::Leaf(slot, Kind::Consent(_)) if matches!(value, Value::Text(_)) => {
                self.taken.put(*slot, Value::Wrong);
            }
            Node::Leaf(slot, _) => self.taken.put(*slot, value),
            Node::Branch(_) => self.taken.is_wrong_shape |= value != Value::Null,
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Seed<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.scalar(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(Value::Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Value::Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar(Value::Wrong)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar(Value::Wrong)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Value::Null)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        match self.node {
            Node::Branch(children) => {
                while let Some(child) = map.next_key_seed(Name(children))? {
                    match child {
                        Some(node) => map.next_value_seed(Seed {
                            node,
                            taken: &mut *self.taken,
                        })?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
            }
            Node::Leaf(slot, Kind::Consent(purpose)) => {
                let mut told = None;
                while let Some(is_ours) = map.next_key_seed(Is(purpose))? {
                    if !is_ours {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let agreed = map.next_value_seed(Agreement::Said)?;
                    // Yes and no at once is neither.
                    told = Some(if told.is_none() { agreed } else { Value::Wrong });
                }
                self.taken.put(*slot, told.unwrap_or(Value::Unsaid));
            }
            Node::Leaf(slot, Kind::Text) => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                self.taken.put(*slot, Value::Wrong);
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        match self.node {
            Node::Leaf(slot, Kind::Consent(purpose)) => {
                let mut told = Value::Unsaid;
                while let Some(one) = items.next_element_seed(Agreement::Listed(purpose))? {
                    if told != Value::Wrong && one != Value::Unsaid {
                        told = one;
                    }
                }
                self.taken.put(*slot, told);
                Ok(())
            }
            _ => {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                self.scalar(Value::Wrong)
            }
        }
    }
}

/// Finds a name among those below a branch.
struct Name<'s>(&'s [(String, Node)]);

impl<'s, 'de> DeserializeSeed<'de> for Name<'s> {
    type Value = Option<&'s Node>;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Name<'s> {
    type Value = Option<&'s Node>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.0.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, node)| node))
    }
}

/// Whether a name is this one.
struct Is(&'static str);

impl<'de> DeserializeSeed<'de> for Is {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// How a purpose is agreed to.
enum Agreement {
    /// By true or false under its name.
    Said,
    /// By its name in a list.
    Listed(&'static str),
}

impl<'de> DeserializeSeed<'de> for Agreement {
    type Value = Value<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<Value<'de>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Agreement {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false or a purpose's name")
    }

    fn visit_bool<E: Error>(self, agreed: bool) -> Result<Value<'de>, E> {
        Ok(match self {
            Self::Said => Value::Agreed(agreed),
            Self::Listed(_) => Value::Wrong,
        })
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Unsaid)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(match self {
            Self::Said => Value::Wrong,
            Self::Listed(purpose) if text == purpose => Value::Agreed(true),
            Self::Listed(_) => Value::Unsaid,
        })
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Wrong)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Wrong)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Wrong)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Wrong)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value<'de>, S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Wrong)
    }
}
