//! Several openers of one queue file at once, as `cargo local` and its functions are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use queues::{EmbeddedQueues, OutgoingMessage, embedded_queue_url};
use tokio::sync::Barrier;

const OPENERS: usize = 8;
const MESSAGES_EACH: usize = 20;
const NOW_MS: i64 = 1_795_200_000_000;

/// Opens the file, sends its own messages, then receives and deletes until the queue is empty.
async fn work(path: PathBuf, number: usize, together: Arc<Barrier>) -> Vec<String> {
    let url = embedded_queue_url("Compras");
    let queues = EmbeddedQueues::open(&path).await.unwrap();
    queues.define(&crate::support::definitions()).await.unwrap();
    together.wait().await;
    for message in 0..MESSAGES_EACH {
        let message = OutgoingMessage::new(format!("{number}-{message}"));
        queues
            .send(&url, &[message], NOW_MS)
            .await
            .remove(0)
            .unwrap();
    }
    together.wait().await;
    let mut seen = Vec::new();
    loop {
        let received = queues.receive(&url, 10, NOW_MS).await.unwrap();
        if received.is_empty() {
            return seen;
        }
        let receipts: Vec<String> = received.iter().map(|m| m.receipt_handle.clone()).collect();
        seen.extend(received.into_iter().map(|message| message.body));
        let deleted = queues.delete(&url, &receipts).await.unwrap();
        assert!(deleted.into_iter().all(|deleted| deleted));
    }
}

#[test]
fn openers_at_once_lose_nothing_and_take_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("estado").join("filas.sqlite");
    let together = Arc::new(Barrier::new(OPENERS));
    // A runtime each, so that openers share no more than processes do.
    let openers: Vec<_> = (0..OPENERS)
        .map(|number| {
            let (path, together) = (path.clone(), Arc::clone(&together));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    tokio::time::timeout(Duration::from_secs(120), work(path, number, together))
                        .await
                        .expect("an opener is stuck")
                })
            })
        })
        .collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for opener in openers {
        for body in opener.join().unwrap() {
            *seen.entry(body).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), OPENERS * MESSAGES_EACH);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

#[tokio::test]
async fn messages_outlive_the_process_that_sent_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filas.sqlite");
    let url = embedded_queue_url("Compras");
    let queues = EmbeddedQueues::open(&path).await.unwrap();
    queues.define(&crate::support::definitions()).await.unwrap();
    queues
        .send(&url, &[OutgoingMessage::new("a")], NOW_MS)
        .await
        .remove(0)
        .unwrap();
    drop(queues);
    let queues = EmbeddedQueues::open(&path).await.unwrap();
    assert_eq!(queues.peek(&url, 10).await.unwrap()[0].body, "a");
    assert_eq!(queues.receive(&url, 10, NOW_MS).await.unwrap()[0].body, "a");
}
