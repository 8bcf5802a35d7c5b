//! Reading JSON field by field, so that a refusal names the field and never shows its value.

use domain::Invalid;
use serde_json::{Map, Value};

/// Why a message can't be read. It holds no value of the message, so it may be logged and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMessage {
    /// A stable code: `json_invalido`, `campo_ausente`, `campo_invalido`, `versao_desconhecida`,
    /// `sem_valor`.
    pub code: &'static str,
    /// The field, by its name on the wire ("itens.preco"), where one is to blame.
    pub field: Option<&'static str>,
    /// The rule that was broken, as a clause that follows the field's name.
    pub rule: &'static str,
}

/// The fields of a JSON object.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields(Map<String, Value>);

impl BadMessage {
    /// The text is no JSON object.
    pub const NOT_JSON: Self = Self {
        code: "json_invalido",
        field: None,
        rule: "must be a JSON object",
    };

    /// A field that must be there is not, or is null.
    #[must_use]
    pub const fn missing(field: &'static str) -> Self {
        Self {
            code: "campo_ausente",
            field: Some(field),
            rule: "must be given",
        }
    }

    /// A field holds what no rule allows.
    #[must_use]
    pub const fn invalid(field: &'static str, rule: &'static str) -> Self {
        Self {
            code: "campo_invalido",
            field: Some(field),
            rule,
        }
    }
}

impl Fields {
    /// From the text of a JSON object. Unknown fields are allowed: contracts grow.
    ///
    /// # Errors
    /// [`BadMessage::NOT_JSON`].
    pub fn read(json: &[u8]) -> Result<Self, BadMessage> {
        serde_json::from_slice(json)
            .map(Self)
            .map_err(|_| BadMessage::NOT_JSON)
    }

    /// From a JSON value.
    ///
    /// # Errors
    /// When it is no object: `field` is to blame.
    pub fn of(value: &Value, field: &'static str) -> Result<Self, BadMessage> {
        match value {
            Value::Object(fields) => Ok(Self(fields.clone())),
            _ => Err(BadMessage::invalid(field, "must be a JSON object")),
        }
    }

    /// Refuses fields that a request does not have, so that a typing error is noticed.
    ///
    /// # Errors
    /// When there is another field than `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), BadMessage> {
        if self.0.keys().all(|name| known.contains(&name.as_str())) {
            Ok(())
        } else {
            let rule = "must hold no field that this request does not have";
            Err(BadMessage::invalid("body", rule))
        }
    }

    /// The field's value; `None` when it is absent or null.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text, when it is given.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn optional_text(&self, name: &'static str) -> Result<Option<&str>, BadMessage> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadMessage::invalid(name, "must be a text")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn text(&self, name: &'static str) -> Result<&str, BadMessage> {
        self.optional_text(name)?.ok_or(BadMessage::missing(name))
    }

    /// A whole number, when it is given.
    ///
    /// # Errors
    /// When it is of another type, has a fraction, or does not fit.
    pub fn optional_integer(&self, name: &'static str) -> Result<Option<i64>, BadMessage> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or(BadMessage::invalid(name, "must be a whole number")),
        }
    }

    /// A domain value from a text.
    ///
    /// # Errors
    /// When it is missing, of another type, or against the domain's rule.
    pub fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<T, BadMessage> {
        parse(self.text(name)?).map_err(|invalid| BadMessage::invalid(name, invalid.rule))
    }

    /// A domain value from a text, when it is given.
    ///
    /// # Errors
    /// When it is of another type or against the domain's rule.
    pub fn parse_optional<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, BadMessage> {
        let parsed = self.optional_text(name)?.map(parse).transpose();
        parsed.map_err(|invalid| BadMessage::invalid(name, invalid.rule))
    }
}
