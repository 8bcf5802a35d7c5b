//! The commands of `cargo local`, and the sentences that say what to mend.

use std::process::Output;

use serde_json::{Value, json};

use crate::stage::Stage;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn invoke_answers_alone_and_beside_an_instance() {
    let mut stage = Stage::empty();
    let event = stage.project().join("event.json");
    std::fs::write(&event, r#"{"a":1}"#).expect("a file");
    let event = event.display().to_string();
    let expected = json!({ "ok": true, "event": { "a": 1 } });
    let alone = stage.run(&["invoke", "PlainFunction", &event]);
    assert_eq!(json_of(&alone), expected);
    assert!(
        text(&alone.stderr).contains("plain function was here"),
        "its log is shown"
    );
    stage.start();
    assert_eq!(json_of(&stage.run(&["invoke", "Plain", &event])), expected);

    std::fs::write(&event, r#"{"do":"error"}"#).expect("a file");
    let failed = stage.run(&["invoke", "PlainFunction", &event]);
    assert_eq!(failed.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&failed.stdout).expect("JSON");
    assert_eq!(answer["errorMessage"], "as asked");
    let never = stage.run(&["invoke", "NeverFunction", &event]);
    assert_eq!(never.status.code(), Some(1));
    assert!(
        text(&never.stdout).contains("Runtime.ExitError"),
        "{never:?}"
    );
}

#[test]
fn a_job_runs_by_its_name_for_its_date() {
    let stage = Stage::empty();
    let ran = stage.run(&["run", "tick_job", "--date", "2024-02-29"]);
    let shown = text(&ran.stderr);
    assert!(shown.contains("tick_job 2024-02-29 runs"), "{shown}");
    let run = json_of(&ran);
    assert_eq!(run["event"]["data"], "2024-02-29");
    assert!(run["event"]["horario"].is_string());
    let plan = stage.run(&[
        "backfill",
        "tick_job",
        "--from",
        "2026-02-27",
        "--to",
        "2026-03-01",
        "--dry-run",
    ]);
    let plan = text(&plan.stdout);
    assert_eq!(plan.lines().count(), 3, "{plan}");
    assert!(plan.contains("tick_job 2026-02-28: would run"), "{plan}");
    assert_eq!(
        stage.lines("seen", "PlainFunction").len(),
        1,
        "a dry run runs nothing"
    );
    let filled = stage.run(&[
        "backfill",
        "tick_job",
        "--from",
        "2026-02-27",
        "--to",
        "2026-03-01",
    ]);
    assert!(filled.status.success(), "{filled:?}");
    let dates: Vec<Value> = stage
        .lines("done", "PlainFunction")
        .iter()
        .map(|line| line["data"].clone())
        .collect();
    assert_eq!(
        json!(dates),
        json!(["2024-02-29", "2026-02-27", "2026-02-28", "2026-03-01"])
    );
    let unknown = stage.run(&["run", "no_job"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("tick_job"), "{unknown:?}");
}

#[test]
fn messages_are_sent_with_nothing_running_and_handled_by_the_next_start() {
    let mut stage = Stage::empty();
    let file = stage.project().join("m.ndjson");
    std::fs::write(
        &file,
        "{\"n\":1,\"id_cliente\":\"a\"}\n{\"n\":2,\"id_cliente\":\"b\"}\n",
    )
    .expect("a file");
    let file = file.display().to_string();
    for queue in ["OrdersQueue", "TripsQueue"] {
        let sent = stage.run(&["send", queue, &file]);
        assert!(sent.status.success(), "{sent:?}");
        assert!(
            text(&sent.stdout).ends_with("; they wait for the next start"),
            "{sent:?}"
        );
    }
    stage.start();
    for function in ["OrdersFunction", "TripsFunction"] {
        stage.until(function, || {
            (stage.lines("done", function).len() == 2).then_some(())
        });
    }
}

#[test]
fn a_token_has_three_parts_and_what_was_asked_for() {
    let stage = Stage::empty();
    let token = stage.run(&[
        "token",
        "--scope",
        "shop",
        "--scope",
        "mgm:admin",
        "--sub",
        "c9",
    ]);
    let token = text(&token.stdout);
    assert_eq!(token.split('.').count(), 3, "{token}");
    let odd = stage.run(&["token", "--scope", "nope", "--scope", "shop"]);
    assert_eq!(text(&odd.stdout).split('.').count(), 3, "{odd:?}");
    let told = text(&odd.stderr);
    assert_eq!(told, "no route asks for nope; there are shop");
    // `cargo local -- token`: the alias ends in `--` already.
    let (bins, _) = crate::stage::binaries();
    let doubled = std::process::Command::new(bins.join("feira-local"))
        .args(["--", "token", "--help"])
        .output();
    assert!(doubled.expect("runs").status.success());
}

#[test]
fn what_is_broken_is_named_with_exit_code_2() {
    let stage = Stage::empty();
    let refuses = |arguments: &[&str], words: &[&str]| {
        let output = stage.run(arguments);
        let sentence = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {sentence}");
        for word in words {
            assert!(sentence.contains(word), "{arguments:?}: {sentence}");
        }
        sentence
    };
    refuses(&["--template", "/no/template.yaml"], &["/no/template.yaml"]);
    refuses(&["--binaries", "/no/folder"], &["/no/folder"]);
    refuses(
        &["--binaries", "/tmp"],
        &["local_probe", "cargo build --workspace --bins"],
    );
    refuses(&["invoke", "Nobody", "Cargo.toml"], &["Cargo.toml"]);
    refuses(
        &[
            "backfill",
            "tick_job",
            "--from",
            "2026-02-30",
            "--to",
            "2026-03-01",
        ],
        &["2026-02-30"],
    );
    refuses(
        &["send", "NoQueue", "/dev/null"],
        &["NoQueue", "OrdersQueue"],
    );
    refuses(&["token"], &["--scope"]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    refuses(&["--port", &port], &[&port, "--port"]);

    let broken = stage.project().join("broken.yaml");
    std::fs::write(
        &broken,
        "Resources:\n  F: {Type: AWS::Serverless::Function}\n",
    )
    .expect("a file");
    let broken = broken.display().to_string();
    refuses(&["--template", &broken], &["broken.yaml", "CodeUri"]);

    let own_template = stage.own_template();
    std::fs::write(
        stage.project().join(".env"),
        "A=1\nDATABASE_URL_LOCAL=postgres://u:geheim@h/n\n",
    )
    .expect("a file");
    let sentence = refuses(
        &["migrate", "--template", &own_template],
        &["DATABASE_URL_LOCAL", "mysql"],
    );
    assert!(!sentence.contains("geheim"), "{sentence}");
    std::fs::remove_file(stage.project().join(".env")).expect("removes");

    // A log that an earlier command left behind would make a database of any file.
    let state = stage.state();
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir_all(&state).expect("a folder");
    std::fs::write(
        state.join("filas.sqlite"),
        "this is no database, and long enough to be seen as none",
    )
    .expect("a file");
    refuses(&["--port", "0"], &["filas.sqlite"]);
}

#[test]
fn the_dotenv_beside_the_template_counts_in_every_folder() {
    let stage = Stage::empty();
    let own_template = stage.own_template();
    let below = stage.project().join("functions/mgm");
    std::fs::create_dir_all(&below).expect("a folder");
    std::fs::write(below.join(".env"), "no pair\n").expect("a file");
    let dotenv = stage.project().join(".env");
    std::fs::write(dotenv, "DATABASE_URL_LOCAL=sqlite:///outro.sqlite\n").expect("a file");
    let mut migrate = stage.command(&["migrate", "--template", &own_template]);
    let migrated = migrate.current_dir(&below).output().expect("runs");
    let told = text(&migrated.stdout);
    assert!(told.contains("outro.sqlite: migrated"), "{migrated:?}");
}

#[test]
fn help_shows_examples() {
    let stage = Stage::empty();
    let help = text(&stage.run(&["--help"]).stdout);
    for word in [
        "Examples:",
        "token",
        "backfill",
        "--state-dir",
        "DATABASE_URL_LOCAL",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
