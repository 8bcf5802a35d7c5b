use super::*;
use crate::document;
use serde_json::json;

fn facts() -> Facts {
    Facts {
        parameters: BTreeMap::from([
            ("Stage".to_owned(), json!("prod")),
            ("Origins".to_owned(), json!(["a", "b"])),
            ("Connections".to_owned(), json!("90")),
        ]),
        conditions: BTreeMap::from([("Yes".to_owned(), true), ("No".to_owned(), false)]),
        mappings: document::parse("Sizes: { prod: { Memory: 256 } }")
            .unwrap()
            .as_object()
            .unwrap()
            .clone(),
    }
}

fn attributes(id: &str, attribute: &str) -> Option<Value> {
    (id == "Queue").then(|| json!(format!("{id}/{attribute}")))
}

fn resolved(yaml: &str) -> Result<Option<Value>, ResolveError> {
    let facts = facts();
    let value = document::parse(yaml).unwrap();
    Resolver::new(&facts, &attributes).resolve(&value)
}

#[test]
fn intrinsics_get_the_values_that_cloudformation_gives() {
    let cases = [
        ("!Ref Stage", json!("prod")),
        ("!Ref Queue", json!("Queue/Ref")),
        ("!GetAtt Queue.Arn", json!("Queue/Arn")),
        (
            "!Sub '${Stage}-${Queue.Arn}-${!Kept}'",
            json!("prod-Queue/Arn-${Kept}"),
        ),
        (
            "!Sub ['${Own}-${Stage}', { Own: !Ref Queue }]",
            json!("Queue/Ref-prod"),
        ),
        ("!If [Yes, 1, 2]", json!(1)),
        ("!If [No, 1, !Ref Stage]", json!("prod")),
        ("!Join [',', !Ref Origins]", json!("a,b")),
        ("!Join ['-', [!Ref Stage, 5, true]]", json!("prod-5-true")),
        ("!Split [':', 'a:b']", json!(["a", "b"])),
        ("!Select [1, !Split [':', 'a:b']]", json!("b")),
        ("!Select ['0', !Ref Origins]", json!("a")),
        ("!FindInMap [Sizes, !Ref Stage, Memory]", json!(256)),
        ("!Not [!Condition No]", json!(true)),
        (
            "!And [!Condition Yes, !Equals [!Ref Stage, prod]]",
            json!(true),
        ),
        (
            "!Or [!Condition No, !Equals [!Ref Connections, 91]]",
            json!(false),
        ),
        ("!ToJsonString { a: !Ref Stage }", json!("{\"a\":\"prod\"}")),
        (
            "{ a: !Ref AWS::NoValue, b: [1, !If [No, 2, !Ref AWS::NoValue]] }",
            json!({"b": [1]}),
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(resolved(yaml), Ok(Some(expected)), "{yaml}");
    }
    assert_eq!(resolved("!Ref AWS::NoValue"), Ok(None));
}

#[test]
fn a_policy_condition_is_no_intrinsic() {
    let written = "Condition: { Bool: { 'aws:SecureTransport': 'false' } }";
    assert_eq!(
        resolved(written),
        Ok(Some(
            json!({"Condition": {"Bool": {"aws:SecureTransport": "false"}}})
        ))
    );
}

#[test]
fn what_has_no_value_is_told() {
    let cases = [
        ("!Ref Nothing", "Ref names Nothing"),
        ("!GetAtt Nothing.Arn", "GetAtt Nothing.Arn"),
        ("!GetAtt Nothing", "Resource.Attribute"),
        ("!Sub '${Nothing}'", "Ref names Nothing"),
        ("!Sub '${Stage'", "never closed"),
        ("!Sub '${Origins}'", "text is needed"),
        ("!If [Maybe, 1, 2]", "the condition Maybe"),
        ("!If [Yes, 1]", "a condition and two values"),
        ("!Select [7, [a]]", "no entry"),
        ("!Select [x, [a]]", "no whole number"),
        ("!FindInMap [Sizes, dev, Memory]", "two keys"),
        ("!Join [',', a]", "no list"),
        ("!Equals [1]", "wrong number"),
        ("!Base64 a", "Fn::Base64 is not supported"),
    ];
    for (yaml, says) in cases {
        let error = resolved(yaml).unwrap_err().to_string();
        assert!(error.contains(says), "{yaml}: {error}");
    }
}

#[test]
fn conditions_are_decided_in_any_order_and_never_in_a_circle() {
    let decided = |yaml: &str| {
        let mut facts = Facts {
            conditions: BTreeMap::new(),
            ..facts()
        };
        let written = document::parse(yaml).unwrap();
        decide_conditions(written.as_object().unwrap(), &mut facts).map(|()| facts.conditions)
    };
    assert_eq!(
        decided("A: !Not [!Condition B]\nB: !Equals [!Ref Stage, prod]\n"),
        Ok(BTreeMap::from([
            ("A".to_owned(), false),
            ("B".to_owned(), true)
        ]))
    );
    assert_eq!(
        decided("A: !Not [!Condition B]\nB: !Not [!Condition A]\n"),
        Err(ResolveError::CircularCondition("A".to_owned()))
    );
    assert_eq!(
        decided("A: !Not [!Condition Gone]\n"),
        Err(ResolveError::UnknownCondition("Gone".to_owned()))
    );
    assert!(decided("A: !Ref Stage\n").is_err());
}

#[test]
fn references_name_resources_and_no_variables_of_ones_own() {
    let references = |yaml: &str| Expression(document::parse(yaml).unwrap()).references();
    assert_eq!(references("!GetAtt Queue.Arn"), ["Queue"]);
    assert_eq!(
        references("!Sub ['${Own}-${Bucket.Arn}-${!No}', { Own: !Ref Queue }]"),
        ["Bucket", "Queue"]
    );
    assert_eq!(
        references("!If [Yes, !Ref Queue, [!Ref Bucket]]"),
        ["Queue", "Bucket"]
    );
}
