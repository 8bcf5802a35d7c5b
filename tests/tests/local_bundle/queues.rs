//! Queues through `cargo local`: batches, partial answers, redrive, FIFO groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stage::Stage;

fn numbers(lines: &[Value]) -> Vec<i64> {
    let mut numbers: Vec<i64> = lines.iter().filter_map(|line| line["n"].as_i64()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn neighbours_of_a_bad_message_go_on_and_it_ends_in_the_dead_letters() {
    let stage = Stage::running();
    let mut bodies: Vec<Value> = (0..12).map(|n| json!({ "n": n })).collect();
    bodies.push(json!({ "n": 100, "do": "fail" }));
    bodies.push(json!({ "n": 101, "do": "fail_first" }));
    stage.send("OrdersQueue", &bodies).await;
    stage.until_holds("OrdersDeadLetters", 1).await;
    stage.until_holds("OrdersQueue", 0).await;
    let expected: Vec<i64> = (0..12).chain([101]).collect();
    assert_eq!(
        numbers(&stage.lines("done", "OrdersFunction")),
        expected,
        "each exactly once"
    );
    let seen = stage.lines("seen", "OrdersFunction");
    let record = &seen[0]["event"]["Records"][0];
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(
        record["eventSourceARN"],
        "arn:aws:sqs:us-east-1:000000000000:OrdersQueue"
    );
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert!(
        seen.iter()
            .all(|line| line["event"]["Records"].as_array().expect("a list").len() <= 5)
    );
}

#[tokio::test]
async fn an_answer_that_names_no_message_fails_the_whole_batch() {
    let stage = Stage::empty();
    let mut stage = stage;
    // Defined by a start; filled while nothing runs, so that they make one batch.
    stage.start();
    stage.stop();
    stage
        .send(
            "OrdersQueue",
            &[json!({ "n": 2, "do": "malformed" }), json!({ "n": 3 })],
        )
        .await;
    stage.start();
    stage.until_holds("OrdersDeadLetters", 2).await;
    assert_eq!(stage.lines("done", "OrdersFunction"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_process_that_dies_gives_its_batch_back() {
    let stage = Stage::running();
    stage
        .send("OrdersQueue", &[json!({ "n": 1, "do": "exit" })])
        .await;
    stage.until_holds("OrdersQueue", 0).await;
    let done = numbers(&stage.lines("done", "OrdersFunction"));
    let seen = stage.lines("seen", "OrdersFunction");
    let dead = stage.counts("OrdersDeadLetters").await.visible;
    assert_eq!(
        (done, seen.len(), dead),
        (vec![1], 2, 0),
        "{seen:?}\n{}",
        stage.log()
    );
}

#[tokio::test]
async fn groups_keep_their_order_over_failures() {
    let stage = Stage::running();
    let mut bodies = Vec::new();
    for n in 0..10 {
        for group in ["a", "b", "c"] {
            let wish = if n == 3 && group == "b" {
                "fail_first"
            } else {
                "go"
            };
            bodies.push(json!({ "g": group, "n": n, "do": wish }));
        }
    }
    stage.send("TripsQueue.fifo", &bodies).await;
    stage.until_holds("TripsQueue.fifo", 0).await;
    let mut by_group: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in stage.lines("done", "TripsFunction") {
        let group = line["g"].as_str().expect("a group").to_owned();
        by_group
            .entry(group)
            .or_default()
            .push(line["n"].as_i64().expect("a number"));
    }
    let in_order: Vec<i64> = (0..10).collect();
    for group in ["a", "b", "c"] {
        assert_eq!(by_group[group], in_order, "group {group}");
    }
    assert_eq!(stage.counts("TripsDeadLetters.fifo").await.visible, 0);
}
