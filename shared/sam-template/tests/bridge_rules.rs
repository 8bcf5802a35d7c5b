//! The table of the bridge, broken in a small template that is otherwise right.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use sam_template::{Rule, Template, check};

/// What is found of these rules with this table at the function that reads `clientes`.
fn found(table: &str) -> Vec<(Rule, String)> {
    let log = "LoggingConfig: { LogGroup: !Ref SyncCustomersLogs }";
    let variables = format!("{{ Variables: {{ TOPIC_QUEUES: '{table}' }} }}");
    let right = include_str!("right.yaml");
    let wrong = right.replacen(log, &format!("{log}\n      Environment: {variables}"), 1);
    assert_ne!(right, wrong);
    let template = Template::parse(&wrong, PathBuf::from("."), &BTreeMap::new()).unwrap();
    check(&template)
        .into_iter()
        .filter(|one| [Rule::PersonalTopic, Rule::TopicQueues].contains(&one.rule))
        .map(|one| (one.rule, one.place))
        .collect()
}

#[test]
fn the_bridge_has_a_queue_for_each_topic_and_none_for_the_customers() {
    let (function, mapping) = ("SyncCustomersFunction", "SyncCustomersFunction.Clientes");
    for (table, rule, place) in [
        (r#"{"clientes":"fila"}"#, Rule::PersonalTopic, function),
        (r#"{"pedidos":"fila"}"#, Rule::TopicQueues, mapping),
        ("[]", Rule::TopicQueues, function),
    ] {
        assert_eq!(found(table), [(rule, place.to_owned())], "{table}");
    }
}
