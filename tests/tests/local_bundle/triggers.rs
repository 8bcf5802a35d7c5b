//! Files, topics, schedules and asynchronous invocations through `cargo local`.

use std::process::Command;

use serde_json::{Value, json};

use crate::stage::Stage;

fn done_keys(stage: &Stage) -> Vec<String> {
    let lines = stage.lines("done", "PlainFunction");
    let keys = lines
        .iter()
        .filter_map(|line| line.pointer("/Records/0/s3/object/key"));
    keys.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_new_file_is_handed_over_once_and_again_when_it_changes() {
    let mut stage = Stage::running();
    let folder = stage.state().join("arquivos/files-bucket/vendas");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("são paulo.csv"), "1,2").expect("a file");
    std::fs::write(folder.join("notes.txt"), "no sales").expect("a file");
    stage.until("the file", || (done_keys(&stage).len() == 1).then_some(()));
    assert_eq!(done_keys(&stage), ["vendas/s%C3%A3o+paulo.csv"]);
    let event = stage.lines("done", "PlainFunction").remove(0);
    assert_eq!(event["Records"][0]["eventName"], "ObjectCreated:Put");
    assert_eq!(event["Records"][0]["s3"]["bucket"]["name"], "files-bucket");
    assert_eq!(event["Records"][0]["s3"]["object"]["size"], 3);

    stage.stop();
    std::fs::write(folder.join("b.csv"), "while nothing runs").expect("a file");
    stage.start();
    stage.until("the second file", || {
        (done_keys(&stage).len() == 2).then_some(())
    });
    std::fs::write(folder.join("b.csv"), "a new version of it").expect("a file");
    stage.until("the new version", || {
        (done_keys(&stage).len() == 3).then_some(())
    });
    assert_eq!(done_keys(&stage)[1..], ["vendas/b.csv", "vendas/b.csv"]);
}

#[tokio::test]
async fn an_asynchronous_failure_is_tried_again_and_then_told() {
    let stage = Stage::running();
    let folder = stage.state().join("arquivos/files-bucket/vendas");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("broken.csv"), "x").expect("a file");
    stage.until_holds("AsyncDeadLetters", 1).await;
    assert_eq!(
        stage.lines("seen", "PlainFunction").len(),
        2,
        "once and one retry"
    );
    let queues = stage.queues().await;
    let letters = queues
        .peek("feira://queues/AsyncDeadLetters", 1)
        .await
        .expect("looks");
    let record: Value = serde_json::from_str(&letters[0].body).expect("JSON");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(
        record["requestPayload"]["Records"][0]["eventSource"],
        "aws:s3"
    );
    assert_eq!(record["responsePayload"]["errorMessage"], "as asked");
}

#[tokio::test]
async fn a_topic_is_read_in_order_and_a_poisoned_record_stands_aside_alone() {
    let mut stage = Stage::running();
    let mut lines = String::new();
    for n in 0..40 {
        lines.push_str(&format!("{{\"id\":\"c{}\",\"n\":{n}}}\n", n % 5));
    }
    let file = stage.project().join("clientes.ndjson");
    std::fs::write(&file, lines).expect("a file");
    let file_text = file.display().to_string();
    let produced = stage.run(&["produce", "clientes", "--key", "id", &file_text]);
    assert!(produced.status.success(), "{produced:?}");
    // It ends when the instance has read them.
    assert_eq!(stage.lines("done", "CustomersFunction").len(), 40);
    let event = stage.lines("seen", "CustomersFunction").remove(0)["event"].take();
    assert_eq!(event["eventSource"], "SelfManagedKafka");
    assert!(event.get("eventSourceArn").is_none());
    assert!(event["bootstrapServers"].is_string());
    let (place, records) = event["records"]
        .as_object()
        .expect("a map")
        .iter()
        .next()
        .expect("one");
    assert_eq!(*place, format!("clientes-{}", records[0]["partition"]));
    assert_eq!(records[0]["timestampType"], "CREATE_TIME");
    let mut last = std::collections::BTreeMap::new();
    for record in stage.lines("done", "CustomersFunction") {
        let offset = record["offset"].as_i64().expect("an offset");
        let before = last.insert(record["partition"].as_i64(), offset);
        assert_eq!(
            offset,
            before.map_or(0, |before| before + 1),
            "no gap, no repetition"
        );
    }

    stage.stop();
    std::fs::write(&file, "\"good\"\n\"poison\"\n\"better\"\n").expect("a file");
    assert!(
        stage
            .run(&["produce", "clientes", &file_text])
            .status
            .success()
    );
    stage.start();
    stage.until_holds("AsyncDeadLetters", 1).await;
    stage.until("the others", || {
        (stage.lines("done", "CustomersFunction").len() == 42).then_some(())
    });
    let queues = stage.queues().await;
    let letters = queues
        .peek("feira://queues/AsyncDeadLetters", 1)
        .await
        .expect("looks");
    let record: Value = serde_json::from_str(&letters[0].body).expect("JSON");
    assert_eq!(record["KafkaBatchInfo"]["batchSize"], 1);
    assert_eq!(
        record["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
    assert!(
        record.get("payload").is_none(),
        "a queue gets metadata only"
    );
}

#[tokio::test]
async fn a_firing_that_was_missed_fires_once_at_the_next_start() {
    let mut stage = Stage::running();
    assert_eq!(
        stage.lines("seen", "PlainFunction"),
        Vec::<Value>::new(),
        "nothing is due yet"
    );
    stage.stop();
    // Three days pass, as far as the journal can tell.
    let journal = stage.state().join("local.sqlite");
    let three_days_ago_ms = crate::stage::now_ms() - 3 * 86_400_000;
    set_last_firing(&journal, three_days_ago_ms).await;
    stage.start();
    let seen = stage.until("the missed firing", || {
        stage.lines("done", "PlainFunction").pop()
    });
    let time = seen["horario"].as_str().expect("a time");
    assert!(
        time.ends_with("T06:00:00Z"),
        "three in the morning in São Paulo: {time}"
    );
    stage.stop();
    stage.start();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(stage.lines("done", "PlainFunction").len(), 1, "once");
}

async fn set_last_firing(journal: &std::path::Path, at_ms: i64) {
    let script = format!(
        "import sqlite3; d = sqlite3.connect({:?}); \
         d.execute('UPDATE agendas SET ultima_ms = {at_ms}'); d.commit()",
        journal.display().to_string()
    );
    let status = Command::new("python3")
        .args(["-c", &script])
        .status()
        .expect("python3 runs");
    assert!(status.success(), "{}", json!({ "script": script }));
}
