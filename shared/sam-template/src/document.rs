//! CloudFormation's YAML, with its short tags turned into the long form.

use serde_json::{Map, Number, Value};
use serde_yaml_ng::Value as Yaml;

use crate::error::TemplateError;

/// Reads YAML text into JSON in which every intrinsic has its long form:
/// `!Ref X` becomes `{"Ref": "X"}` and `!GetAtt A.Arn` becomes `{"Fn::GetAtt": ["A", "Arn"]}`.
pub(crate) fn parse(text: &str) -> Result<Value, TemplateError> {
    let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|error| TemplateError::NotYaml {
        reason: error.to_string(),
    })?;
    convert(yaml)
}

fn convert(yaml: Yaml) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => convert_number(&number)?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(mapping) => {
            let mut map = Map::new();
            for (key, value) in mapping {
                map.insert(convert_key(key)?, convert(value)?);
            }
            normalize_long_form(map)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            intrinsic(tag.trim_start_matches('!'), convert(tagged.value)?)
        }
    })
}

fn convert_number(number: &serde_yaml_ng::Number) -> Result<Value, TemplateError> {
    if let Some(whole) = number.as_i64() {
        return Ok(Value::Number(whole.into()));
    }
    number
        .as_f64()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| TemplateError::NotYaml {
            reason: format!("the number {number} cannot be used"),
        })
}

fn convert_key(key: Yaml) -> Result<String, TemplateError> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(flag) => Ok(flag.to_string()),
        _ => Err(TemplateError::NotYaml {
            reason: "a key of a map is not plain text".to_owned(),
        }),
    }
}

/// `Ref` and `Condition` keep their names; every other short tag is `Fn::` and its name.
fn intrinsic(tag: &str, argument: Value) -> Value {
    let name = match tag {
        "Ref" | "Condition" => tag.to_owned(),
        other => format!("Fn::{other}"),
    };
    let mut map = Map::new();
    map.insert(name, argument);
    normalize_long_form(map)
}

/// `Fn::GetAtt: A.Arn` is also written as one text; afterwards it is always a pair.
fn normalize_long_form(mut map: Map<String, Value>) -> Value {
    if map.len() == 1
        && let Some(Value::String(text)) = map.get("Fn::GetAtt")
        && let Some((resource, attribute)) = text.split_once('.')
    {
        let pair = Value::Array(vec![resource.into(), attribute.into()]);
        map.insert("Fn::GetAtt".to_owned(), pair);
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_and_long_forms_read_alike() {
        let short = parse("a: !Ref X\nb: !GetAtt Q.Arn\nc: !Sub '${X}-y'\nd: !If [C, 1, !Ref Z]\n");
        let long = parse(
            "a: {Ref: X}\nb: {'Fn::GetAtt': Q.Arn}\nc: {'Fn::Sub': '${X}-y'}\nd: {'Fn::If': [C, 1, {Ref: Z}]}\n",
        );
        let expected = json!({
            "a": {"Ref": "X"},
            "b": {"Fn::GetAtt": ["Q", "Arn"]},
            "c": {"Fn::Sub": "${X}-y"},
            "d": {"Fn::If": ["C", 1, {"Ref": "Z"}]},
        });
        assert_eq!(short.unwrap(), expected);
        assert_eq!(long.unwrap(), expected);
    }

    #[test]
    fn broken_yaml_names_its_line() {
        let error = parse("a: [1\nb: 2\n").unwrap_err().to_string();
        assert!(error.contains("line"), "{error}");
    }
}
