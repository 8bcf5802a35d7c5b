//! Where the fields stand in a record: at the top, in Debezium's envelope, or where a mapping says.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Field, Kind, Projection};

/// Whose record it is.
pub(super) const ID: &str = "id_cliente";
/// The source's own version.
pub(super) const VERSION: &str = "versao";
/// The source's time of the change.
pub(super) const UPDATED: &str = "atualizado_em";

/// Slots of what every consumer needs; the fields it names follow.
pub(super) const ID_SLOT: usize = 0;
pub(super) const VERSION_SLOT: usize = 1;
pub(super) const UPDATED_SLOT: usize = 2;
pub(super) const OPERATION_SLOT: usize = 3;
pub(super) const DELETED_ID_SLOT: usize = 4;
pub(super) const FIRST_FIELD_SLOT: usize = 5;

/// A place in the tree of names that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Names below this one.
    Branch(Vec<(String, Node)>),
    /// A field.
    Leaf(usize, Kind),
}

/// The shape of a topic's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub(super) value: Node,
    pub(super) key: Node,
    pub(super) fields: &'static [Field],
    pub(super) has_envelope: bool,
}

/// The mapping in a consumer's configuration is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadShape {
    /// It is no such JSON.
    #[error(
        "the mapping must be JSON like {{\"envelope\":\"debezium\",\"campos\":{{\"telefone\":\"contato.celular\"}}}}"
    )]
    NotAMapping,
    /// It maps a field that the consumer does not take.
    #[error("the mapping names {0}, which this consumer does not take")]
    UnknownField(String),
    /// Two fields stand in one place, or one within another.
    #[error("the mapping puts {0} where another field stands")]
    Crossing(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mapping {
    envelope: Envelope,
    campos: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Envelope {
    #[default]
    Nenhum,
    Debezium,
}

impl Shape {
    /// From a mapping: `{"envelope": "nenhum" | "debezium", "campos": {"<field>": "<a.b.c>"}}`; an
    /// empty text is the topic's own contract.
    ///
    /// # Errors
    /// What the mapping says wrong.
    pub fn parse<P: Projection>(mapping: &str) -> Result<Self, BadShape> {
        let mapping: Mapping = match mapping.trim() {
            "" => Mapping::default(),
            text => serde_json::from_str(text).map_err(|_| BadShape::NotAMapping)?,
        };
        let has_envelope = mapping.envelope == Envelope::Debezium;
        let standard = [ID, VERSION, UPDATED];
        let fields = P::FIELDS.iter().map(|field| field.name);
        if let Some(unknown) = mapping.campos.keys().find(|name| {
            !standard
                .iter()
                .copied()
                .chain(fields.clone())
                .any(|one| one == *name)
        }) {
            return Err(BadShape::UnknownField(unknown.clone()));
        }
        let path = |name: &'static str| mapping.campos.get(name).map_or(name, String::as_str);
        let mut leaves = vec![
            (path(ID), ID_SLOT, Kind::Text),
            (path(VERSION), VERSION_SLOT, Kind::Text),
            (path(UPDATED), UPDATED_SLOT, Kind::Text),
        ];
        for (place, field) in P::FIELDS.iter().enumerate() {
            leaves.push((path(field.name), FIRST_FIELD_SLOT + place, field.kind));
        }
        let mut value = Node::Branch(Vec::new());
        let mut key = Node::Branch(Vec::new());
        // Debezium's JSON has the envelope alone, or under `payload` beside its schema.
        let roots: &[&str] = if has_envelope {
            &["", "payload."]
        } else {
            &[""]
        };
        for root in roots {
            let after = if has_envelope { "after." } else { "" };
            for (path, slot, kind) in &leaves {
                value.insert(&format!("{root}{after}{path}"), *slot, *kind)?;
            }
            if has_envelope {
                value.insert(&format!("{root}op"), OPERATION_SLOT, Kind::Text)?;
                let deleted = format!("{root}before.{}", path(ID));
                value.insert(&deleted, DELETED_ID_SLOT, Kind::Text)?;
            }
            key.insert(&format!("{root}{}", path(ID)), ID_SLOT, Kind::Text)?;
        }
        Ok(Self {
            value,
            key,
            fields: P::FIELDS,
            has_envelope,
        })
    }
}

impl Node {
    fn insert(&mut self, path: &str, slot: usize, kind: Kind) -> Result<(), BadShape> {
        let crossing = || BadShape::Crossing(path.to_owned());
        let Self::Branch(children) = self else {
            return Err(crossing());
        };
        match path.split_once('.') {
            None => {
                if children.iter().any(|(name, _)| name == path) {
                    return Err(crossing());
                }
                children.push((path.to_owned(), Self::Leaf(slot, kind)));
                Ok(())
            }
            Some((name, rest)) => {
                let place = match children.iter().position(|(known, _)| known == name) {
                    Some(place) => place,
                    None => {
                        children.push((name.to_owned(), Self::Branch(Vec::new())));
                        children.len() - 1
                    }
                };
                let child = children.get_mut(place).ok_or_else(crossing)?;
                child.1.insert(rest, slot, kind)
            }
        }
    }
}
