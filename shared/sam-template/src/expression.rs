//! Values that may hold intrinsic functions, and how they get a value outside AWS.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ResolveError;

/// A value of the template as it is written, intrinsics unresolved and in their long form.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(pub(crate) Value);

impl Expression {
    /// The value as text; numbers and booleans as CloudFormation writes them. `None` is
    /// `AWS::NoValue`.
    pub fn text(&self, resolver: &Resolver<'_>) -> Result<Option<String>, ResolveError> {
        match resolver.resolve(&self.0)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => plain_text(&value).map(Some),
        }
    }

    /// The value with every intrinsic replaced. `None` is `AWS::NoValue`.
    pub fn value(&self, resolver: &Resolver<'_>) -> Result<Option<Value>, ResolveError> {
        resolver.resolve(&self.0)
    }

    /// The value as written, in the long form of every intrinsic.
    pub fn written(&self) -> &Value {
        &self.0
    }

    /// Every logical id (or parameter) this value refers to, by Ref, `GetAtt` or Sub.
    pub fn references(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_references(&self.0, &mut found);
        found
    }
}

/// What is known when intrinsics are resolved outside AWS.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Parameters and pseudo parameters; lists are JSON arrays of text.
    pub parameters: BTreeMap<String, Value>,
    /// Conditions, already decided.
    pub conditions: BTreeMap<String, bool>,
    /// The `Mappings` section.
    pub mappings: Map<String, Value>,
}

/// Gives intrinsics their values: parameters by name, attributes of resources by a function.
pub struct Resolver<'a> {
    facts: &'a Facts,
    attributes: &'a dyn Fn(&str, &str) -> Option<Value>,
}

impl<'a> Resolver<'a> {
    /// `attributes` gets a logical id and an attribute; what `Ref` gives is asked as `Ref`.
    pub fn new(facts: &'a Facts, attributes: &'a dyn Fn(&str, &str) -> Option<Value>) -> Self {
        Self { facts, attributes }
    }

    /// The value without intrinsics; `None` for `AWS::NoValue`.
    pub fn resolve(&self, value: &Value) -> Result<Option<Value>, ResolveError> {
        match value {
            Value::Object(map) => match single_intrinsic(map) {
                Some((name, argument)) => self.intrinsic(name, argument),
                None => self.resolve_map(map).map(Some),
            },
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.extend(self.resolve(item)?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    /// Whether a named condition holds.
    pub fn condition(&self, name: &str) -> Result<bool, ResolveError> {
        let known = self.facts.conditions.get(name).copied();
        known.ok_or_else(|| ResolveError::UnknownCondition(name.to_owned()))
    }

    fn resolve_map(&self, map: &Map<String, Value>) -> Result<Value, ResolveError> {
        let mut resolved = Map::new();
        for (key, value) in map {
            if let Some(value) = self.resolve(value)? {
                resolved.insert(key.clone(), value);
            }
        }
        Ok(Value::Object(resolved))
    }

    fn intrinsic(&self, name: &str, argument: &Value) -> Result<Option<Value>, ResolveError> {
        match name {
            "Ref" => match argument {
                Value::String(id) if id == "AWS::NoValue" => Ok(None),
                Value::String(id) => self.reference(id).map(Some),
                _ => Err(malformed(name, "it takes one name")),
            },
            "Condition" => match argument {
                Value::String(id) => self.condition(id).map(|held| Some(Value::Bool(held))),
                _ => Err(malformed(name, "it takes the name of a condition")),
            },
            "Fn::GetAtt" => self.get_att(argument).map(Some),
            "Fn::Sub" => self.sub(argument).map(Some),
            "Fn::If" => self.branch(argument),
            "Fn::Join" => self.join(argument).map(Some),
            "Fn::Select" => self.select(argument).map(Some),
            "Fn::Split" => self.split(argument).map(Some),
            "Fn::FindInMap" => self.find_in_map(argument).map(Some),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => self
                .decide(name, argument)
                .map(|held| Some(Value::Bool(held))),
            "Fn::ToJsonString" => {
                let value = self.resolve(argument)?.unwrap_or(Value::Null);
                Ok(Some(Value::String(value.to_string())))
            }
            other => Err(ResolveError::Unsupported(other.to_owned())),
        }
    }

    fn reference(&self, id: &str) -> Result<Value, ResolveError> {
        if let Some(value) = self.facts.parameters.get(id) {
            return Ok(value.clone());
        }
        (self.attributes)(id, "Ref").ok_or_else(|| ResolveError::UnknownReference(id.to_owned()))
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Value, ResolveError> {
        (self.attributes)(resource, attribute).ok_or_else(|| ResolveError::UnknownAttribute {
            resource: resource.to_owned(),
            attribute: attribute.to_owned(),
        })
    }

    fn get_att(&self, argument: &Value) -> Result<Value, ResolveError> {
        match argument.as_array().map(Vec::as_slice) {
            Some([Value::String(resource), Value::String(attribute)]) => {
                self.attribute(resource, attribute)
            }
            _ => Err(malformed("Fn::GetAtt", "it takes Resource.Attribute")),
        }
    }

    fn branch(&self, argument: &Value) -> Result<Option<Value>, ResolveError> {
        match argument.as_array().map(Vec::as_slice) {
            Some([Value::String(name), yes, no]) => {
                self.resolve(if self.condition(name)? { yes } else { no })
            }
            _ => Err(malformed("Fn::If", "it takes a condition and two values")),
        }
    }

    fn join(&self, argument: &Value) -> Result<Value, ResolveError> {
        let Some([Value::String(separator), list]) = argument.as_array().map(Vec::as_slice) else {
            return Err(malformed("Fn::Join", "it takes a separator and a list"));
        };
        let Some(Value::Array(items)) = self.resolve(list)? else {
            return Err(malformed("Fn::Join", "its second argument is no list"));
        };
        let texts: Vec<String> = items.iter().map(plain_text).collect::<Result<_, _>>()?;
        Ok(Value::String(texts.join(separator)))
    }

    fn split(&self, argument: &Value) -> Result<Value, ResolveError> {
        let Some([Value::String(separator), text]) = argument.as_array().map(Vec::as_slice) else {
            return Err(malformed("Fn::Split", "it takes a separator and a text"));
        };
        let text = plain_text(&self.resolve(text)?.unwrap_or(Value::Null))?;
        Ok(Value::Array(
            text.split(separator.as_str()).map(Value::from).collect(),
        ))
    }

    fn select(&self, argument: &Value) -> Result<Value, ResolveError> {
        let Some([index, list]) = argument.as_array().map(Vec::as_slice) else {
            return Err(malformed("Fn::Select", "it takes an index and a list"));
        };
        let index = plain_text(&self.resolve(index)?.unwrap_or(Value::Null))?;
        let index: usize = index
            .parse()
            .map_err(|_| malformed("Fn::Select", "its index is no whole number"))?;
        let list = self.resolve(list)?.unwrap_or(Value::Null);
        list.get(index)
            .cloned()
            .ok_or_else(|| malformed("Fn::Select", "its list has no entry at that index"))
    }

    fn find_in_map(&self, argument: &Value) -> Result<Value, ResolveError> {
        let wrong = || malformed("Fn::FindInMap", "it takes a map and two keys that exist");
        let Some([map, first, second]) = argument.as_array().map(Vec::as_slice) else {
            return Err(wrong());
        };
        let mut keys = Vec::with_capacity(3);
        for part in [map, first, second] {
            keys.push(plain_text(&self.resolve(part)?.unwrap_or(Value::Null))?);
        }
        let mut found: Option<&Value> = None;
        for (depth, key) in keys.iter().enumerate() {
            found = if depth == 0 {
                self.facts.mappings.get(key)
            } else {
                found.and_then(|value| value.get(key))
            };
        }
        found.cloned().ok_or_else(wrong)
    }

    /// `${Name}`, `${Name.Attribute}`, and `${!Literal}`, which stays `${Literal}`.
    fn sub(&self, argument: &Value) -> Result<Value, ResolveError> {
        let (template, own) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(text), Value::Object(own)] => (text.as_str(), Some(own)),
                _ => return Err(malformed("Fn::Sub", "it takes a text and a map")),
            },
            _ => return Err(malformed("Fn::Sub", "it takes a text")),
        };
        let mut result = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                return Err(malformed("Fn::Sub", "a ${ is never closed by }"));
            };
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else {
                result.push_str(&self.sub_variable(name, own)?);
            }
            rest = tail;
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }

    fn sub_variable(
        &self,
        name: &str,
        own: Option<&Map<String, Value>>,
    ) -> Result<String, ResolveError> {
        if let Some(value) = own.and_then(|own| own.get(name)) {
            return plain_text(&self.resolve(value)?.unwrap_or(Value::Null));
        }
        let value = match name.split_once('.') {
            Some((resource, attribute)) => self.attribute(resource, attribute)?,
            None => self.reference(name)?,
        };
        plain_text(&value)
    }

    fn decide(&self, name: &str, argument: &Value) -> Result<bool, ResolveError> {
        let Some(arguments) = argument.as_array() else {
            return Err(malformed(name, "it takes a list"));
        };
        let text = |value: &Value| plain_text(&self.resolve(value)?.unwrap_or(Value::Null));
        let flag = |value: &Value| match self.resolve(value)? {
            Some(Value::Bool(held)) => Ok(held),
            _ => Err(malformed(name, "each argument is a condition")),
        };
        match (name, arguments.as_slice()) {
            ("Fn::Equals", [left, right]) => Ok(text(left)? == text(right)?),
            ("Fn::Not", [only]) => Ok(!flag(only)?),
            ("Fn::And", all) => all
                .iter()
                .try_fold(true, |held, value| Ok(flag(value)? && held)),
            ("Fn::Or", all) => all
                .iter()
                .try_fold(false, |held, value| Ok(flag(value)? || held)),
            _ => Err(malformed(name, "it has the wrong number of arguments")),
        }
    }
}

/// Decides every condition of the template, each once, refusing circles.
pub(crate) fn decide_conditions(
    written: &Map<String, Value>,
    facts: &mut Facts,
) -> Result<(), ResolveError> {
    // Each round decides the conditions whose own references are decided already.
    for _ in 0..=written.len() {
        let undecided: Vec<&String> = written
            .keys()
            .filter(|name| !facts.conditions.contains_key(*name))
            .collect();
        let Some(first) = undecided.first() else {
            return Ok(());
        };
        let before = facts.conditions.len();
        let mut missing = None;
        for name in &undecided {
            let Some(condition) = written.get(*name) else {
                continue;
            };
            let no_attributes = |_: &str, _: &str| None;
            match Resolver::new(facts, &no_attributes).resolve(condition) {
                Ok(Some(Value::Bool(held))) => {
                    facts.conditions.insert((*name).clone(), held);
                }
                Ok(_) => return Err(malformed(name, "a condition is Equals, And, Or or Not")),
                Err(ResolveError::UnknownCondition(other)) => missing = Some(other),
                Err(error) => return Err(error),
            }
        }
        if facts.conditions.len() == before {
            return Err(match missing {
                Some(other) if !written.contains_key(&other) => {
                    ResolveError::UnknownCondition(other)
                }
                _ => ResolveError::CircularCondition((*first).clone()),
            });
        }
    }
    Ok(())
}

/// Text as CloudFormation writes numbers and booleans.
pub(crate) fn plain_text(value: &Value) -> Result<String, ResolveError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) | Value::Object(_) => Err(ResolveError::NotText),
    }
}

/// The one entry of a map that is an intrinsic function.
pub(crate) fn single_intrinsic(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, argument) = entries.next()?;
    if entries.next().is_some() {
        return None;
    }
    // A statement's `Condition: {StringEquals: …}` is no intrinsic: that one names a condition.
    let is_intrinsic =
        name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string());
    is_intrinsic.then_some((name.as_str(), argument))
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => match single_intrinsic(map) {
            Some(("Ref", Value::String(id))) => found.push(id.clone()),
            Some(("Fn::GetAtt", Value::Array(pair))) => {
                found.extend(pair.first().and_then(Value::as_str).map(str::to_owned));
            }
            Some(("Fn::Sub", argument)) => collect_sub_references(argument, found),
            Some(("Condition", _)) => {}
            Some(("Fn::If", Value::Array(parts))) => {
                parts
                    .iter()
                    .skip(1)
                    .for_each(|part| collect_references(part, found));
            }
            _ => map
                .values()
                .for_each(|inner| collect_references(inner, found)),
        },
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

fn collect_sub_references(argument: &Value, found: &mut Vec<String>) {
    let (text, own) = match argument {
        Value::Array(parts) => (parts.first().and_then(Value::as_str), parts.get(1)),
        other => (other.as_str(), None),
    };
    for piece in text.unwrap_or_default().split("${").skip(1) {
        let name = piece.split('}').next().unwrap_or_default();
        let is_own = own.is_some_and(|own| own.get(name).is_some());
        if !name.starts_with('!') && !is_own {
            found.extend(name.split('.').next().map(str::to_owned));
        }
    }
    if let Some(own) = own {
        collect_references(own, found);
    }
}

fn malformed(intrinsic: &str, expected: &str) -> ResolveError {
    ResolveError::Malformed {
        intrinsic: intrinsic.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
