//! Reads properties of one resource, resolving intrinsics, and says where something is wrong.

use serde_json::{Map, Value};

use crate::error::TemplateError;
use crate::expression::{Expression, Resolver, plain_text, single_intrinsic};

/// A map of the template together with its place in it.
pub(crate) struct Reader<'a> {
    place: String,
    map: Map<String, Value>,
    resolver: &'a Resolver<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        place: impl Into<String>,
        map: Map<String, Value>,
        resolver: &'a Resolver<'a>,
    ) -> Self {
        Self {
            place: place.into(),
            map,
            resolver,
        }
    }

    pub(crate) fn broken(&self, what: impl Into<String>) -> TemplateError {
        TemplateError::broken(&self.place, what)
    }

    pub(crate) fn raw(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.map.keys()
    }

    /// The value with every intrinsic replaced; `None` when absent or `AWS::NoValue`.
    pub(crate) fn value(&self, key: &str) -> Result<Option<Value>, TemplateError> {
        let Some(written) = self.map.get(key) else {
            return Ok(None);
        };
        self.resolver
            .resolve(written)
            .map_err(|source| self.unresolved(key, source))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, TemplateError> {
        match self.value(key)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => plain_text(&value)
                .map(Some)
                .map_err(|source| self.unresolved(key, source)),
        }
    }

    pub(crate) fn required_text(&self, key: &str, mend: &str) -> Result<String, TemplateError> {
        self.text(key)?
            .ok_or_else(|| self.broken(format!("{key} is missing: {mend}")))
    }

    pub(crate) fn whole_number(&self, key: &str) -> Result<Option<u32>, TemplateError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            self.broken(format!(
                "{key} is {text:?}: write a whole number that is not negative"
            ))
        })
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, TemplateError> {
        match self.text(key)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                Err(self.broken(format!("{key} is {other:?}: write either true or false")))
            }
        }
    }

    /// A list of texts; one text alone counts as a list of one.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, TemplateError> {
        match self.value(key)? {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| plain_text(item).map_err(|source| self.unresolved(key, source)))
                .collect(),
            Some(single) => plain_text(&single)
                .map(|text| vec![text])
                .map_err(|source| self.unresolved(key, source)),
        }
    }

    /// The map under `key`, with `Fn::If` decided at its top and intrinsics kept below.
    pub(crate) fn child(&self, key: &str) -> Result<Option<Reader<'a>>, TemplateError> {
        let place = format!("{}.{key}", self.place);
        let Some(written) = self.map.get(key) else {
            return Ok(None);
        };
        match self.decided(key, written)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Reader::new(place, map, self.resolver))),
            Some(_) => Err(TemplateError::broken(place, "a map is expected here")),
        }
    }

    /// Every entry of the map under `key` that is itself a map.
    pub(crate) fn children(&self, key: &str) -> Result<Vec<(String, Reader<'a>)>, TemplateError> {
        let Some(parent) = self.child(key)? else {
            return Ok(Vec::new());
        };
        let mut children = Vec::new();
        for name in parent.keys() {
            if let Some(child) = parent.child(name)? {
                children.push((name.clone(), child));
            }
        }
        Ok(children)
    }

    /// The items of a list under `key`, each with `Fn::If` decided at its top.
    pub(crate) fn items(&self, key: &str) -> Result<Vec<Value>, TemplateError> {
        let Some(written) = self.map.get(key) else {
            return Ok(Vec::new());
        };
        let list = match self.decided(key, written)? {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(single) => vec![single],
        };
        let mut decided = Vec::with_capacity(list.len());
        for item in &list {
            decided.extend(self.decided(key, item)?);
        }
        Ok(decided)
    }

    pub(crate) fn expressions(&self, key: &str) -> Result<Vec<Expression>, TemplateError> {
        Ok(self.items(key)?.into_iter().map(Expression).collect())
    }

    /// The logical id that `Ref` or `GetAtt` under `key` names.
    pub(crate) fn logical_id(&self, key: &str) -> Result<Option<String>, TemplateError> {
        let Some(written) = self.map.get(key) else {
            return Ok(None);
        };
        let Some(value) = self.decided(key, written)? else {
            return Ok(None);
        };
        Ok(Expression(value).references().into_iter().next())
    }

    pub(crate) fn required_logical_id(
        &self,
        key: &str,
        mend: &str,
    ) -> Result<String, TemplateError> {
        self.logical_id(key)?
            .ok_or_else(|| self.broken(format!("{key} names no resource of the template: {mend}")))
    }

    /// Follows `Fn::If` and `AWS::NoValue` only, so that names of resources stay readable.
    fn decided(&self, key: &str, written: &Value) -> Result<Option<Value>, TemplateError> {
        let Value::Object(map) = written else {
            return Ok(Some(written.clone()));
        };
        match single_intrinsic(map) {
            Some(("Fn::If", Value::Array(parts))) => match parts.as_slice() {
                [Value::String(condition), yes, no] => {
                    let held = self
                        .resolver
                        .condition(condition)
                        .map_err(|source| self.unresolved(key, source))?;
                    self.decided(key, if held { yes } else { no })
                }
                _ => Err(self.broken(format!("{key}: Fn::If takes a condition and two values"))),
            },
            Some(("Ref", Value::String(name))) if name == "AWS::NoValue" => Ok(None),
            _ => Ok(Some(written.clone())),
        }
    }

    fn unresolved(&self, key: &str, source: crate::error::ResolveError) -> TemplateError {
        TemplateError::Unresolved {
            place: format!("{}.{key}", self.place),
            source,
        }
    }
}
