//! Stops of every kind lose nothing, and nothing outlives an instance.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::stage::Stage;

fn numbers(stage: &Stage, function: &str) -> BTreeSet<i64> {
    stage
        .lines("done", function)
        .iter()
        .filter_map(|line| line["n"].as_i64())
        .collect()
}

#[tokio::test]
async fn kill_9_in_the_middle_loses_no_message_and_leaves_no_process() {
    let mut stage = Stage::running();
    let bodies: Vec<Value> = (0..60).map(|n| json!({ "n": n, "do": "sleep" })).collect();
    stage.send("OrdersQueue", &bodies).await;
    stage.until("the first ones", || {
        (numbers(&stage, "OrdersFunction").len() >= 5).then_some(())
    });
    stage.kill();
    let pids: BTreeSet<u64> = stage
        .lines("seen", "OrdersFunction")
        .iter()
        .filter_map(|line| line["pid"].as_u64())
        .collect();
    assert!(!pids.is_empty());
    stage.until("the end of every process", || {
        pids.iter().all(|pid| is_gone(*pid)).then_some(())
    });
    assert!(
        numbers(&stage, "OrdersFunction").len() < 60,
        "some were still to come"
    );
    stage.start();
    stage.until_holds("OrdersQueue", 0).await;
    assert_eq!(numbers(&stage, "OrdersFunction"), (0..60).collect());
    assert_eq!(stage.counts("OrdersDeadLetters").await.visible, 0);
}

#[tokio::test]
async fn a_busy_process_ends_with_its_instance() {
    let mut stage = Stage::running();
    let url = stage.url("/open/x?do=sleep");
    let request = tokio::spawn(reqwest::get(url));
    let pid = async {
        loop {
            let seen = stage.lines("seen", "EchoFunction");
            if let Some(pid) = seen.first().and_then(|line| line["pid"].as_u64()) {
                return pid;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    .await;
    stage.kill();
    stage.until("the end of the process", || is_gone(pid).then_some(()));
    assert!(
        request.await.expect("a task").is_err(),
        "the client is told"
    );
}

#[tokio::test]
async fn a_rebuilt_function_serves_the_next_event_with_its_new_code() {
    let mut stage = Stage::empty();
    let (_, probes) = crate::stage::binaries();
    let binary = stage.project().join("local_probe");
    std::fs::copy(probes.join("local_probe"), &binary).expect("copies");
    let folder = stage.project().display().to_string();
    stage.start_with(&["--binaries", &folder]);
    let mut pids = BTreeSet::new();
    for _twice in 0..2 {
        let answer = reqwest::get(stage.url("/open/x")).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }
    pids.extend(
        stage
            .lines("seen", "EchoFunction")
            .iter()
            .map(|line| line["pid"].to_string()),
    );
    assert_eq!(pids.len(), 1, "a warm process serves again");
    std::fs::remove_file(&binary).expect("removes");
    std::fs::copy(probes.join("local_probe"), &binary).expect("copies");
    let answer = reqwest::get(stage.url("/open/x")).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    pids.extend(
        stage
            .lines("seen", "EchoFunction")
            .iter()
            .map(|line| line["pid"].to_string()),
    );
    assert_eq!(pids.len(), 2, "a new binary is a new process");
}

#[tokio::test]
async fn ctrl_c_lets_what_runs_finish() {
    let mut stage = Stage::running();
    let bodies: Vec<Value> = (0..40).map(|n| json!({ "n": n, "do": "sleep" })).collect();
    stage.send("OrdersQueue", &bodies).await;
    stage.until("the first ones", || {
        (!stage.lines("done", "OrdersFunction").is_empty()).then_some(())
    });
    stage.stop();
    let seen: usize = stage
        .lines("seen", "OrdersFunction")
        .iter()
        .map(|line| line["event"]["Records"].as_array().map_or(0, Vec::len))
        .sum();
    let done = stage.lines("done", "OrdersFunction").len();
    assert_eq!(done, seen, "every message that was handed over was handled");
    let counts = stage.counts("OrdersQueue").await;
    assert_eq!(
        usize::try_from(counts.visible + counts.in_flight).expect("small"),
        40 - done
    );
    assert!(!stage.state().join("instance.json").exists());
    stage.start();
    stage.until_holds("OrdersQueue", 0).await;
    assert_eq!(
        stage.lines("done", "OrdersFunction").len(),
        40,
        "each exactly once"
    );
}

#[tokio::test]
async fn an_accepted_asynchronous_invocation_survives_kill_9() {
    let mut stage = Stage::running();
    for _each in 0..20 {
        let answer = reqwest::get(stage.url("/open/x?do=nudge"))
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 202);
    }
    stage.kill();
    stage.start();
    stage.until("each invocation", || {
        (stage.lines("done", "PlainFunction").len() >= 20).then_some(())
    });
}

#[test]
fn a_second_instance_is_refused() {
    let stage = Stage::running();
    let refused = stage.run(&["--port", "0"]);
    assert_eq!(refused.status.code(), Some(2));
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(sentence.contains("is using the state folder"), "{sentence}");
    assert!(sentence.contains("--state-dir"), "{sentence}");
}

/// Ended; a child of a killed parent may wait for its new parent to notice.
fn is_gone(pid: u64) -> bool {
    match std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z')),
    }
}
