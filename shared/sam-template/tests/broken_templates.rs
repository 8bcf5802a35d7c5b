//! A broken template says which resource it is and what to write instead.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sam_template::Template;

fn told(resources: &str) -> String {
    let text = format!("Resources:\n{resources}");
    Template::parse(&text, PathBuf::new(), &BTreeMap::new())
        .unwrap_err()
        .to_string()
}

/// A function with these lines below its Properties.
fn function(properties: &str) -> String {
    let lines: Vec<String> = properties
        .lines()
        .map(|line| format!("      {line}"))
        .collect();
    told(&format!(
        "  TakeOrderFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n{}\n",
        lines.join("\n")
    ))
}

fn event(kind: &str, properties: &str) -> String {
    function(&format!(
        "CodeUri: a\nEvents:\n  E:\n    Type: {kind}\n    Properties: {{ {properties} }}"
    ))
}

#[test]
fn a_missing_file_is_told_with_its_path() {
    let error = Template::read(Path::new("/no/such/template.yaml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/no/such/template.yaml cannot be read"),
        "{error}"
    );
}

#[test]
fn broken_resources_are_told_in_a_sentence() {
    let cases = [
        (
            told("  Queue: 5\n"),
            "Queue: a resource is a map with a Type",
        ),
        (
            told("  Queue: {}\n"),
            "Queue: Type is missing: write its AWS type",
        ),
        (
            told("  Queue: { Type: [\n"),
            "the template is not valid YAML",
        ),
        (
            told("  Q: { Type: AWS::SQS::Queue, Condition: Maybe }\n"),
            "Q: the condition Maybe is not defined under Conditions",
        ),
        (
            told("  Q: { Type: AWS::SQS::Queue, Properties: { VisibilityTimeout: soon } }\n"),
            "Q: VisibilityTimeout is \"soon\": write a whole number that is not negative",
        ),
        (
            told("  Q: { Type: AWS::SQS::Queue, Properties: { FifoQueue: maybe } }\n"),
            "Q: FifoQueue is \"maybe\": write either true or false",
        ),
        (
            told(
                "  Q: { Type: AWS::SQS::Queue, Properties: { RedrivePolicy: { maxReceiveCount: 5 } } }\n",
            ),
            "Q.RedrivePolicy: deadLetterTargetArn names no resource of the template",
        ),
    ];
    for (told, expected) in cases {
        assert!(
            told.contains(expected),
            "{told:?} does not say {expected:?}"
        );
    }
}

#[test]
fn broken_functions_and_events_are_told_in_a_sentence() {
    let cases = [
        (
            function("Timeout: 5"),
            "TakeOrderFunction: CodeUri is missing",
        ),
        (
            function("CodeUri: a\nTimeout: !Ref Nothing"),
            "TakeOrderFunction.Timeout: Ref names Nothing, which is neither",
        ),
        (
            event("Cron", "a: b"),
            "TakeOrderFunction.Events.E: Type Cron is not known here",
        ),
        (
            event("HttpApi", "Method: GET"),
            "TakeOrderFunction.Events.E.Properties: Path is missing",
        ),
        (
            event("HttpApi", "Method: GET, Path: orders"),
            "must begin with a slash",
        ),
        (
            event("SQS", "BatchSize: 5"),
            "Queue names no resource of the template",
        ),
        (
            event("ScheduleV2", "State: ENABLED"),
            "ScheduleExpression is missing",
        ),
        (
            event("S3", "Events: s3:ObjectCreated:*"),
            "Bucket names no resource of the template",
        ),
        (
            event("MSK", "Topics: [a, b]"),
            "Topics is a list with the one topic of this mapping",
        ),
    ];
    for (told, expected) in cases {
        assert!(
            told.contains(expected),
            "{told:?} does not say {expected:?}"
        );
    }
}
