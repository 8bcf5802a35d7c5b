//! Each rule of the check, broken once in a small template that is otherwise right.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::path::Path;

use sam_template::{Finding, Rule, Template, check};

const RIGHT: &str = include_str!("right.yaml");

/// The crates of right.yaml.
const CRATES: [&str; 3] = [
    "identity/authorize",
    "identity/sync-customers",
    "orders/take-order",
];

/// The folder of a project with these crates.
fn project(crates: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in crates {
        let place = folder.path().join("functions").join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("Cargo.toml"), "").unwrap();
        let events = folder
            .path()
            .join("events")
            .join(place.file_name().unwrap());
        std::fs::create_dir_all(&events).unwrap();
        std::fs::write(events.join("one.json"), "{}").unwrap();
    }
    folder
}

fn checked(text: &str, folder: &Path) -> Vec<Finding> {
    let template = Template::parse(text, folder.to_owned(), &BTreeMap::new()).unwrap();
    check(&template)
}

fn told(text: &str, folder: &Path) -> Vec<String> {
    let findings = checked(text, folder);
    findings.iter().map(ToString::to_string).collect()
}

/// What is found when `right` is written as `wrong`.
fn broken(right: &str, wrong: &str) -> Vec<Finding> {
    assert!(RIGHT.contains(right), "{right:?} is not in right.yaml");
    let folder = project(&CRATES);
    checked(&RIGHT.replacen(right, wrong, 1), folder.path())
}

#[track_caller]
fn finds(rule: Rule, place: &str, right: &str, wrong: &str) {
    let findings = broken(right, wrong);
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        findings
            .iter()
            .any(|finding| finding.rule == rule && finding.place == place),
        "{} of {place} is not among {told:#?}",
        rule.name()
    );
    assert!(
        findings.iter().all(|finding| finding.rule == rule),
        "{told:#?}"
    );
}

#[test]
fn a_right_template_has_no_findings() {
    assert_eq!(broken("Resources:", "Resources:"), []);
}

#[test]
fn a_finding_names_rule_place_and_mending() {
    let findings = broken("cron(0 3 * * ? *)", "rate(5 minuts)");
    assert_eq!(
        findings[0].to_string(),
        "schedule-syntax: TakeOrderFunction.Daily: rate(5 minuts) is no rate: \
         write rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day)"
    );
}

#[test]
fn schedules_are_valid_and_pass_their_time() {
    let place = "TakeOrderFunction.Daily";
    finds(
        Rule::ScheduleSyntax,
        place,
        "cron(0 3 * * ? *)",
        "cron(0 3 * * *)",
    );
    finds(
        Rule::ScheduleSyntax,
        place,
        "America/Sao_Paulo",
        "America/Sampa",
    );
    finds(
        Rule::ScheduledTime,
        place,
        "<aws.scheduler.scheduled-time>",
        "2026-11-20T06:00:00Z",
    );
    finds(
        Rule::ScheduledTime,
        place,
        "Input: '{\"horario\":\"<aws.scheduler.scheduled-time>\"}'",
        "",
    );
}

#[test]
fn batches_above_ten_need_a_window_and_fifo_takes_none() {
    let place = "TakeOrderFunction.Orders";
    finds(Rule::BatchSize, place, "BatchSize: 10", "BatchSize: 11");
    finds(
        Rule::BatchSize,
        place,
        "BatchSize: 10",
        "BatchSize: 999999\n            MaximumBatchingWindowInSeconds: 0",
    );
    let windowed = "BatchSize: 11\n            MaximumBatchingWindowInSeconds: 1";
    let wider = RIGHT.replacen("BatchSize: 10", windowed, 1);
    let folder = project(&CRATES);
    let longer = wider.replacen("VisibilityTimeout: 60", "VisibilityTimeout: 61", 1);
    assert_eq!(checked(&longer, folder.path()), []);
    let fifo = longer
        .replacen(
            "      VisibilityTimeout",
            "      FifoQueue: true\n      VisibilityTimeout",
            1,
        )
        .replacen(
            "OrderDeadLetters: { Type: AWS::SQS::Queue }",
            "OrderDeadLetters: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true } }",
            1,
        );
    let findings = checked(&fifo, folder.path());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].rule, findings[0].place.as_str()),
        (Rule::BatchSize, place)
    );
}

#[test]
fn messages_stay_hidden_for_six_timeouts() {
    finds(
        Rule::Visibility,
        "OrderQueue",
        "VisibilityTimeout: 60",
        "VisibilityTimeout: 59",
    );
    finds(Rule::Visibility, "OrderQueue", "Timeout: 10", "Timeout: 11");
}

#[test]
fn no_failure_is_lost() {
    finds(
        Rule::DeadLetters,
        "OrderQueue",
        "RedrivePolicy: { deadLetterTargetArn: !GetAtt OrderDeadLetters.Arn, maxReceiveCount: 5 }",
        "DelaySeconds: 0",
    );
    finds(
        Rule::DeadLetters,
        "OrderQueue",
        "OrderDeadLetters: { Type: AWS::SQS::Queue }",
        "OrderDeadLetters: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true } }",
    );
    finds(
        Rule::DeadLetters,
        "OrderDeadLetters",
        "OrderDeadLetters: { Type: AWS::SQS::Queue }",
        "OrderDeadLetters: { Type: AWS::SQS::Queue, Properties: { MessageRetentionPeriod: 60 } }",
    );
    finds(
        Rule::DeadLetters,
        "TakeOrderFunction.Daily",
        "DeadLetterConfig: { Arn: !GetAtt LateDeadLetters.Arn }",
        "State: ENABLED",
    );
    finds(
        Rule::DeadLetters,
        "TakeOrderFunction",
        "DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt LateDeadLetters.Arn } }",
        "MaximumRetryAttempts: 2",
    );
    finds(
        Rule::DeadLetters,
        "SyncCustomersFunction.Clientes",
        "DestinationConfig: { OnFailure: { Type: S3, Destination: !GetAtt FilesBucket.Arn } }",
        "BatchSize: 100",
    );
}

#[test]
fn a_function_invoked_by_another_needs_a_destination_too() {
    finds(
        Rule::DeadLetters,
        "AuthorizeFunction",
        "- { Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: !Ref Secret }",
        "- { Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: !Ref Secret }\n              - { Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt AuthorizeFunction.Arn }",
    );
}

#[test]
fn one_bad_message_fails_alone() {
    let answer = "FunctionResponseTypes: [ReportBatchItemFailures]";
    finds(
        Rule::PartialBatch,
        "TakeOrderFunction.Orders",
        answer,
        "Enabled: true",
    );
    finds(
        Rule::PartialBatch,
        "SyncCustomersFunction.Clientes",
        "ProvisionedPollerConfig: { MinimumPollers: 1 }",
        "BatchSize: 100",
    );
}

#[test]
fn every_route_has_its_scopes() {
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Take",
        "Take: [customer], ",
        "",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction",
        "Take: [customer],",
        "Take: [customer], Gone: [a],",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Show",
        "Show: [public]",
        "Show: [public, customer]",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Show",
        ", Auth: { Authorizer: NONE }",
        "",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Show",
        "Show: [public]",
        "Show: [customer]",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Take",
        "ApiId: !Ref Api, Method: POST",
        "Method: POST",
    );
    finds(
        Rule::Scopes,
        "TakeOrderFunction.Take",
        "Method: POST, Path",
        "Method: GET, Path",
    );
    finds(Rule::Scopes, "Api", "Context: [routeKey], ", "");
    finds(
        Rule::Scopes,
        "Api",
        "EnableSimpleResponses: true",
        "EnableSimpleResponses: false",
    );
}

#[test]
fn reservations_stay_under_the_connections_of_the_database() {
    let connections = "DatabaseConnections";
    finds(Rule::Connections, connections, "Default: 10", "Default: 4");
    finds(Rule::Connections, connections, "MinValue: 8", "MinValue: 4");
    let place = "TakeOrderFunction.Orders";
    finds(
        Rule::Connections,
        place,
        "MaximumConcurrency: 5",
        "MaximumConcurrency: 6",
    );
    finds(
        Rule::Connections,
        place,
        "ScalingConfig: { MaximumConcurrency: 5 }",
        "Enabled: true",
    );
    finds(
        Rule::Connections,
        "TakeOrderFunction",
        "ReservedConcurrentExecutions: 5",
        "MemorySize: 128",
    );
}

#[test]
fn a_function_does_not_start_itself() {
    let place = "TakeOrderFunction.Files";
    finds(Rule::OwnTrigger, place, "/out/*", "/in/done/*");
    finds(Rule::OwnTrigger, place, "Value: in/", "Value: ou");
}

#[test]
fn the_customers_topic_never_lies_in_a_queue() {
    finds(
        Rule::PersonalTopic,
        "SyncCustomersFunction",
        "- { Effect: Allow, Action: s3:PutObject, Resource: !Sub \"${FilesBucket.Arn}/failed/*\" }",
        "- { Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt OrderQueue.Arn }",
    );
}

#[test]
fn policies_name_what_they_allow() {
    let place = "TakeOrderFunction";
    finds(
        Rule::Wildcard,
        place,
        "Action: s3:PutObject",
        "Action: s3:Put*",
    );
    finds(
        Rule::Wildcard,
        place,
        "!Sub \"${FilesBucket.Arn}/out/*\"",
        "\"*\"",
    );
    finds(
        Rule::Wildcard,
        place,
        "Resource: !GetAtt OrderQueue.Arn",
        "Resource: [!GetAtt OrderQueue.Arn, 'arn:aws:sqs:us-east-1:000000000000:*']",
    );
    finds(
        Rule::Wildcard,
        "SyncCustomersFunction",
        "!Sub \"${FilesBucket.Arn}/failed/*\"",
        "!Sub \"${FilesBucket.Arn}/*\"",
    );
}

#[test]
fn only_actions_that_take_no_arn_stand_with_any() {
    let place = "SyncCustomersFunction";
    let right = "Resource: !Sub \"${FilesBucket.Arn}/failed/*\" }";
    let with = |actions: &str| {
        let statement = format!("{{ Effect: Allow, Action: [{actions}], Resource: \"*\" }}");
        format!("{right}\n              - {statement}")
    };
    let told = broken(right, &with("ec2:DescribeVpcs, ec2:CreateNetworkInterface"));
    assert_eq!(told, []);
    let beside_others = with("ec2:DescribeVpcs, s3:GetObject");
    finds(Rule::Wildcard, place, right, &beside_others);
    finds(Rule::Wildcard, place, right, &with("kafka:DescribeCluster"));
}

#[test]
fn roles_allow_what_triggers_and_variables_need() {
    let place = "TakeOrderFunction";
    finds(Rule::Permission, place, "[sqs:ReceiveMessage, ", "[");
    finds(
        Rule::Permission,
        place,
        "[!GetAtt OrderDeadLetters.Arn, !GetAtt",
        "[!GetAtt",
    );
    finds(
        Rule::Permission,
        place,
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
    );
    let shared = "Role: !GetAtt SyncCustomersRole.Arn";
    finds(
        Rule::Permission,
        "SyncCustomersFunction",
        "Role: !GetAtt AuthorizeRole.Arn",
        shared,
    );
}

#[test]
fn each_function_has_a_log_and_an_alarm_of_its_own() {
    let place = "TakeOrderFunction";
    let logging = "LoggingConfig: { LogGroup: !Ref TakeOrderLogs }";
    finds(Rule::Logs, place, logging, "MemorySize: 128");
    let group = "TakeOrderLogs: { Type: AWS::Logs::LogGroup }";
    finds(Rule::Logs, place, group, "Other: { Type: AWS::SNS::Topic }");
    let shared = RIGHT
        .replacen("  SyncCustomersLogs: {", "  Unused: {", 1)
        .replace("TakeOrderLogs", "SyncCustomersLogs");
    assert_eq!(
        told(&shared, project(&CRATES).path()),
        [
            "logs: TakeOrderFunction: SyncCustomersLogs is the log group of SyncCustomersFunction \
             already: each has its own"
        ]
    );
    let (may, own) = ("[logs:PutLogEvents, ", "!GetAtt TakeOrderLogs.Arn");
    finds(Rule::Permission, place, may, "[");
    finds(Rule::Permission, place, own, "!GetAtt AuthorizeLogs.Arn");
    finds(Rule::Alarms, place, "Value: !Ref TakeOrderF", "Value: F");
    let (errors, first) = ("MetricName: Errors", "AuthorizeFunction");
    finds(Rule::Alarms, first, errors, "MetricName: Throttles");
}

#[test]
fn pages_may_use_the_method_of_every_route() {
    let (methods, place) = ("[GET, post]", "TakeOrderFunction.Take");
    finds(Rule::Cors, place, methods, "[GET]");
    assert_eq!(broken(methods, "['*']"), []);
    let rules = "CorsConfiguration: { AllowMethods: [GET, post] }";
    assert_eq!(broken(rules, "FailOnWarnings: true"), []);
}

#[test]
fn functions_and_crates_match_by_name() {
    let place = "TakeOrderFunction";
    finds(Rule::Crate, place, "Handler: bootstrap", "Handler: main");
    let renamed = RIGHT.replace("TakeOrderFunction", "TakeOrder");
    let folder = project(&CRATES);
    assert_eq!(
        told(&renamed, folder.path()),
        [
            "crate: TakeOrder: the function of functions/orders/take-order is called TakeOrderFunction"
        ]
    );
    let folder = project(&[
        "identity/authorize",
        "identity/sync-customers",
        "orders/drop-order",
    ]);
    assert_eq!(
        told(RIGHT, folder.path()),
        [
            "crate: TakeOrderFunction: CodeUri functions/orders/take-order has no Cargo.toml: \
             it names no crate",
            "crate: functions/orders/drop-order: the template has no DropOrderFunction for it",
            "events: TakeOrderFunction: it has no event files: write events/take-order/<case>.json",
            "events: events/drop-order: no function is called so",
        ]
    );
}

#[test]
fn functions_have_event_files() {
    let folder = project(&CRATES);
    let events = folder.path().join("events");
    std::fs::remove_file(events.join("authorize/one.json")).unwrap();
    std::fs::write(events.join("take-order/bad.json"), "{").unwrap();
    std::fs::create_dir_all(events.join("drop-order")).unwrap();
    assert_eq!(
        told(RIGHT, folder.path()),
        [
            "events: AuthorizeFunction: it has no event files: write events/authorize/<case>.json",
            "events: events/drop-order: no function is called so",
            "events: events/take-order/bad.json: it is no JSON",
        ]
    );
}

#[test]
fn a_stack_holds_five_hundred_resources() {
    let more: String = (0..480)
        .map(|one| format!("  Topic{one}: {{ Type: AWS::SNS::Topic }}\n"))
        .collect();
    let folder = project(&CRATES);
    let findings = checked(&format!("{RIGHT}{more}"), folder.path());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].rule, Rule::ResourceLimit);
}
