//! The project's own template.yaml, as the reader sees it.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sam_template::{KafkaKind, Template};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")
}

fn read(parameters: &[(&str, &str)]) -> Template {
    let parameters: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Template::read_with(&path(), &parameters).unwrap()
}

#[test]
fn routes_carry_their_scopes() {
    let template = read(&[]);
    let route = |key: &str| {
        template
            .routes
            .iter()
            .find(|route| route.key() == key)
            .unwrap()
    };
    assert_eq!(route("POST /mgm/campaigns").scopes, ["mgm:admin"]);
    assert_eq!(
        route("GET /vouchers/{code}").scopes,
        ["customer", "vouchers:service"]
    );
    assert!(route("HEAD /r/{code}").is_public());
    assert!(route("HEAD /r/{code}").authorizer_refused);
    assert_eq!(route("GET /docs").function, "ApiDocsFunction");
    let authorizer = template.apis[0].authorizer.as_ref().unwrap();
    assert_eq!(authorizer.function, "AuthorizeFunction");
    assert_eq!(
        (authorizer.headers.as_slice(), authorizer.context.as_slice()),
        (
            ["Authorization".to_owned()].as_slice(),
            ["routeKey".to_owned()].as_slice()
        )
    );
}

#[test]
fn queues_feed_functions_and_end_in_dead_letters() {
    let template = read(&[]);
    let mapping = template
        .queue_mappings
        .iter()
        .find(|mapping| mapping.queue == "ViagensQueue")
        .unwrap();
    assert_eq!(mapping.function, "IssueTripVoucherFunction");
    assert!(mapping.report_batch_item_failures);
    let queue = template.queue("ViagensQueue").unwrap();
    assert!(queue.fifo && queue.content_based_deduplication);
    assert_eq!(queue.name, "ViagensQueue.fifo");
    assert_eq!(queue.visibility_timeout_seconds, 180);
    assert_eq!(
        queue.redrive.as_ref().unwrap().dead_letter,
        "ViagensDeadLetters"
    );
}

#[test]
fn environment_gets_plausible_names_outside_aws() {
    let template = read(&[("Stage", "dev"), ("AppSecretArn", "app")]);
    let function = template.function("IssueTripVoucherFunction").unwrap();
    let environment = template.environment(function).unwrap();
    assert_eq!(environment["STAGE"], "dev");
    assert_eq!(environment["APP_SECRET_ID"], "app");
    assert_eq!(
        environment["PUBLISH_OUTBOX_FUNCTION"],
        "PublishOutboxFunction"
    );
    assert_eq!(
        environment["DEAD_LETTER_QUEUE_URL"],
        "https://sqs.us-east-1.amazonaws.com/000000000000/ViagensDeadLetters.fifo"
    );
    let publish = template.function("PublishOutboxFunction").unwrap();
    let routes: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&template.environment(publish).unwrap()["EVENT_ROUTES"]).unwrap();
    assert_eq!(
        routes["voucher.emitido"],
        ["https://sqs.us-east-1.amazonaws.com/000000000000/NotificacoesQueue"]
    );
}

#[test]
fn schedules_pass_the_scheduled_time() {
    let template = read(&[]);
    assert_eq!(template.schedules.len(), 13);
    for schedule in &template.schedules {
        let input = schedule.input.as_deref().unwrap();
        assert!(
            input.starts_with(r#"{"horario":"<aws.scheduler.scheduled-time>""#),
            "{input}"
        );
        assert_eq!(schedule.dead_letter.as_deref(), Some("ScheduleDeadLetters"));
        assert!(schedule.enabled);
    }
    assert!(
        read(&[("SchedulesState", "DISABLED")])
            .schedules
            .iter()
            .all(|one| !one.enabled)
    );
}

#[test]
fn kafka_is_there_by_choice() {
    let seen = |template: Template| -> Vec<(KafkaKind, bool)> {
        let mappings = template.topic_mappings.iter();
        mappings
            .filter(|mapping| mapping.function == "SyncCustomersFunction")
            .map(|mapping| (mapping.kind, mapping.present))
            .collect()
    };
    assert_eq!(
        seen(read(&[])),
        [(KafkaKind::Msk, false), (KafkaKind::SelfManaged, false)]
    );
    let arn = "arn:aws:kafka:sa-east-1:000000000000:cluster/c/1";
    let msk = read(&[("Kafka", "msk"), ("MskClusterArn", arn)]);
    assert_eq!(
        seen(msk),
        [(KafkaKind::Msk, true), (KafkaKind::SelfManaged, false)]
    );
    let template = read(&[
        ("Kafka", "self-managed"),
        ("KafkaBootstrapServers", "a:9092,b:9092"),
    ]);
    let mut mappings = template.topic_mappings.iter();
    let mapping = mappings.find(|one| one.present && one.function == "SyncCustomersFunction");
    let mapping = mapping.unwrap();
    assert_eq!(
        (mapping.topic.as_str(), mapping.batch_size),
        ("clientes", 500)
    );
    assert_eq!(mapping.on_failure.as_deref(), Some("FilesBucket"));
    assert!(mapping.present && mapping.report_batch_item_failures && mapping.provisioned);
}

#[test]
fn telesales_is_there_by_choice() {
    let present = |parameters: &[(&str, &str)]| {
        let template = read(parameters);
        let mappings = template.topic_mappings.iter();
        let of_telesales = |name: &str| name.starts_with("functions/telesales/");
        let functions = template.functions.iter();
        let functions = functions.filter(|one| one.present && of_telesales(&one.code_uri));
        let reads = mappings.filter(|one| one.present && one.function == "ProjectCustomerFunction");
        let letters = template.queue("TelesalesDeadLetters").unwrap();
        (functions.count(), reads.count(), letters.present)
    };
    assert_eq!(present(&[]), (0, 0, false));
    let secret = ("TelesalesSecretArn", "telesales");
    assert_eq!(present(&[secret]), (4, 0, true));
    let kafka = [
        ("Kafka", "self-managed"),
        ("KafkaBootstrapServers", "a:9092"),
    ];
    assert_eq!(present(&kafka), (0, 0, false));
    assert_eq!(present(&[secret, kafka[0], kafka[1]]), (4, 1, true));
    let template = read(&[secret]);
    let command = template.function("RunCommandFunction").unwrap();
    let environment = template.environment(command).unwrap();
    let jobs: BTreeMap<String, String> =
        serde_json::from_str(&environment["TELESALES_JOB_FUNCTIONS"]).unwrap();
    assert_eq!(jobs["televendas_reconciliar"], "ReconcileCustomersFunction");
    let without = read(&[]);
    let command = without.function("RunCommandFunction").unwrap();
    let environment = without.environment(command).unwrap();
    assert_eq!(environment["TELESALES_JOB_FUNCTIONS"], "{}");
    assert_eq!(environment["TELESALES_SECRET_ID"], "");
}

/// A variable of run-command.
fn names(template: &Template, variable: &str) -> String {
    let command = template.function("RunCommandFunction").unwrap();
    let environment = template.environment(command).unwrap();
    environment.get(variable).unwrap().clone()
}

#[test]
fn whatever_failed_for_good_can_be_replayed_by_an_operator() {
    let template = read(&[
        ("TelesalesSecretArn", "telesales"),
        ("Kafka", "self-managed"),
        ("KafkaBootstrapServers", "a:9092"),
    ]);
    let both = |shop: &str, telesales: &str| names(&template, shop) + &names(&template, telesales);
    let buckets = both("FAILED_BATCHES", "TELESALES_FAILED_BATCHES");
    let functions = both("BATCH_FUNCTIONS", "TELESALES_BATCH_FUNCTIONS");
    for mapping in template.topic_mappings.iter().filter(|one| one.present) {
        let bucket = mapping.on_failure.as_deref().unwrap().to_lowercase();
        let named = buckets.replace('-', "").to_lowercase();
        assert!(named.contains(&bucket), "{bucket} in {buckets}");
        assert!(functions.contains(&format!("\"{}\"", mapping.function)));
    }
    let routes = both("DEAD_LETTER_ROUTES", "TELESALES_DEAD_LETTER_ROUTES");
    // Lambda writes a failed asynchronous invocation, the scheduler a run that never began.
    let without_reader = ["InvocationDeadLetters", "ScheduleDeadLetters"];
    for queue in template.queues.iter().filter(|queue| queue.present) {
        let id = queue.logical_id.as_str();
        let is_letters = id.contains("DeadLetters") || id.ends_with("Falhadas");
        if is_letters && !without_reader.contains(&id) {
            assert!(routes.contains(&format!("\"{id}\"")), "{id}");
        }
    }
}

#[test]
fn each_variable_that_a_function_must_have_is_given_to_it() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let template = read(&[]);
    let mut seen = 0;
    for function in &template.functions {
        let source = format!("{root}/{}/src/main.rs", function.code_uri);
        let source = std::fs::read_to_string(&source).unwrap();
        for found in source.split("variable(\"").skip(1) {
            let name = found.split('"').next().unwrap();
            let id = &function.logical_id;
            assert!(function.environment.contains_key(name), "{id}: {name}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn customers_leave_for_kafka_where_feira_is_their_master_and_come_from_it_where_not() {
    let seen = |parameters: &[(&str, &str)]| {
        let template = read(parameters);
        let publish = template.function("PublishOutboxFunction").unwrap();
        let environment = template.environment(publish).unwrap();
        let routes: BTreeMap<String, Vec<String>> =
            serde_json::from_str(&environment["EVENT_ROUTES"]).unwrap();
        let mut mappings = template.topic_mappings.iter();
        let syncs = mappings.any(|one| one.present && one.function == "SyncCustomersFunction");
        let brokers = environment["KAFKA_BROKERS"].clone();
        (routes["cliente.alterado"].clone(), brokers, syncs)
    };
    let kafka = [
        ("Kafka", "self-managed"),
        ("KafkaBootstrapServers", "a:9092"),
    ];
    let ours = ("CustomersMaster", "feira");
    let nowhere = (vec![], String::new());
    let (routes, brokers, syncs) = seen(&kafka);
    assert_eq!(((routes, brokers), syncs), (nowhere.clone(), true));
    let (routes, brokers, syncs) = seen(&[ours]);
    assert_eq!(((routes, brokers), syncs), (nowhere, false));
    let there = (vec!["kafka:clientes".to_owned()], "a:9092".to_owned());
    let arn = "arn:aws:kafka:sa-east-1:000000000000:cluster/c/1";
    let msk = [("Kafka", "msk"), ("MskClusterArn", arn), kafka[1], ours];
    let (routes, brokers, syncs) = seen(&msk);
    assert_eq!(((routes, brokers), syncs), (there.clone(), false));
    let template = read(&msk);
    let publish = template.function("PublishOutboxFunction").unwrap();
    let environment = template.environment(publish).unwrap();
    let iam = ["KAFKA_SECURITY", "KAFKA_SASL_MECHANISM"].map(|name| environment[name].as_str());
    assert_eq!(iam, ["sasl_tls", "AWS_MSK_IAM"]);
    let (routes, brokers, syncs) = seen(&[kafka[0], kafka[1], ours]);
    assert_eq!(((routes, brokers), syncs), (there, false));
}

#[test]
fn alerts_of_stock_go_into_their_queue_and_with_a_topic_to_it_too() {
    let topic = ("StockAlertTopicArn", "arn:aws:sns:sa-east-1:000000000000:t");
    for (parameters, queues) in [
        (vec![], vec!["AlertasEstoqueQueue"]),
        (
            vec![topic],
            vec!["AlertasEstoqueQueue", "AvisosEstoqueQueue"],
        ),
    ] {
        let template = read(&parameters);
        let publish = template.function("PublishOutboxFunction").unwrap();
        let routes: BTreeMap<String, Vec<String>> =
            serde_json::from_str(&template.environment(publish).unwrap()["EVENT_ROUTES"]).unwrap();
        for event in ["estoque.baixo", "estoque.reposto"] {
            let names = routes[event]
                .iter()
                .filter_map(|url| url.rsplit('/').next());
            assert_eq!(names.collect::<Vec<_>>(), queues, "{event}");
        }
    }
}

#[test]
fn functions_over_one_database_read_its_secret_alone() {
    let template = read(&[("TelesalesSecretArn", "telesales")]);
    for function in &template.functions {
        if function.logical_id == "RunCommandFunction" {
            continue;
        }
        let refers = |id: &str| {
            let resources = function.statements.iter().flat_map(|one| &one.resources);
            let mut all = resources.flat_map(|one| one.references());
            all.any(|one| one == id) || {
                let mut values = function.environment.values();
                values.any(|value| value.references().iter().any(|one| one == id))
            }
        };
        let is_telesales = function.code_uri.starts_with("functions/telesales/");
        let forbidden = if is_telesales {
            "AppSecretArn"
        } else {
            "TelesalesSecretArn"
        };
        assert!(!refers(forbidden), "{}", function.logical_id);
    }
}

#[test]
fn who_keeps_documents_reads_their_secret_where_there_is_one() {
    let keeping = |parameters: &[(&str, &str)]| -> BTreeSet<String> {
        let template = read(parameters);
        let functions = template.functions.iter();
        let readers = functions.filter(|one| {
            let resources = one.statements.iter().flat_map(|one| &one.resources);
            let mut all = resources.flat_map(|one| one.references());
            all.any(|id| id == "DocumentsSecretArn")
        });
        readers.map(|one| one.logical_id.clone()).collect()
    };
    let all = [
        "CompactLakeFunction",
        "IngestCustomerEventsFunction",
        "RunCommandFunction",
        "SyncCustomersFunction",
    ];
    let secret = ("DocumentsSecretArn", "documents");
    assert_eq!(keeping(&[secret]), all.map(str::to_owned).into());
    let template = read(&[]);
    for id in all {
        let function = template.function(id).unwrap();
        let environment = template.environment(function).unwrap();
        assert_eq!(environment["DOCUMENTS_SECRET_ID"], "", "{id}");
    }
}

#[test]
fn an_operators_commands_may_replay_dead_letters_and_no_more_of_queues() {
    let template = read(&[]);
    let mut functions = template.functions.iter();
    let function = functions.find(|one| one.logical_id == "RunCommandFunction");
    let statements = &function.unwrap().statements;
    let mut actions: Vec<&str> = statements
        .iter()
        .flat_map(|one| &one.actions)
        .map(String::as_str)
        .filter(|action| action.starts_with("sqs:"))
        .collect();
    actions.sort_unstable();
    actions.dedup();
    assert_eq!(
        actions,
        ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
    );
}

#[test]
fn wrong_parameters_are_told_in_a_sentence() {
    let told = |name: &str, value: &str| {
        let parameters = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Template::read_with(&path(), &parameters)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told("Stage", "test"),
        "Parameters.Stage: \"test\" is none of prod, dev"
    );
    assert_eq!(
        told("Nothing", "x"),
        "Parameters: there is no parameter Nothing: leave it out or declare it"
    );
}

#[test]
fn the_template_of_the_project_is_right() {
    let findings = sam_template::check(&read(&[]));
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}
