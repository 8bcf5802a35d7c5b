//! What every queue promises, asserted alike on the embedded queue and on ministack.

use crate::support::{VISIBILITY_SECONDS, parts};
use queues::{OutgoingMessage, QueueError, Queues, SendError};

fn fifo(body: &str, group: &str) -> OutgoingMessage {
    OutgoingMessage::fifo(body, group, format!("{group}-{body}"))
}

#[tokio::test]
async fn what_is_sent_arrives_with_the_attributes_of_lambdas_event() {
    for part in parts().await {
        let sent = part
            .queues
            .send(
                &part.standard,
                &[OutgoingMessage::new("{\"id_pedido\":\"ação\"}")],
                part.now_ms,
            )
            .await;
        let sent = sent[0].clone().unwrap();
        let received = part.receive(&part.standard, 10).await;
        assert_eq!(received.len(), 1, "{}", part.name);
        let message = &received[0];
        assert_eq!(message.message_id, sent.message_id, "{}", part.name);
        assert_eq!(message.body, "{\"id_pedido\":\"ação\"}");
        assert_eq!(message.md5_of_body, "b0a25608db2b5c5e1b246090c7128b50");
        assert_eq!(message.approximate_receive_count, 1);
        assert!(message.sent_timestamp_ms > 1_700_000_000_000, "{message:?}");
        assert!(message.approximate_first_receive_timestamp_ms >= message.sent_timestamp_ms);
        assert!(!message.sender_id.is_empty());
        assert_eq!(message.message_group_id, None);
        let names: Vec<&str> = message.attributes().iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"ApproximateReceiveCount") && names.contains(&"SentTimestamp"));
    }
}

#[tokio::test]
async fn a_message_is_hidden_then_comes_again_and_is_gone_once_deleted() {
    for mut part in parts().await {
        let sent = part
            .queues
            .send(&part.standard, &[OutgoingMessage::new("a")], part.now_ms)
            .await;
        assert!(sent[0].is_ok());
        let first = part.receive(&part.standard, 10).await;
        assert_eq!(
            part.bodies(&part.standard, 10).await,
            Vec::<String>::new(),
            "{}",
            part.name
        );
        let counts = part
            .queues
            .counts(&part.standard, part.now_ms)
            .await
            .unwrap();
        assert_eq!((counts.visible, counts.in_flight), (0, 1), "{}", part.name);
        part.pass(VISIBILITY_SECONDS + 1).await;
        let second = part.receive(&part.standard, 10).await;
        assert_eq!(second.len(), 1, "{}", part.name);
        assert_eq!(second[0].message_id, first[0].message_id);
        assert_eq!(second[0].approximate_receive_count, 2);
        let receipts = [second[0].receipt_handle.clone()];
        assert_eq!(
            part.queues.delete(&part.standard, &receipts).await.unwrap(),
            vec![true]
        );
        part.pass(VISIBILITY_SECONDS + 1).await;
        assert_eq!(part.bodies(&part.standard, 10).await, Vec::<String>::new());
        assert_eq!(
            part.bodies(&part.standard_dead, 10).await,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter_alone_and_can_come_back() {
    for mut part in parts().await {
        part.queues
            .send(
                &part.standard,
                &[OutgoingMessage::new("poison")],
                part.now_ms,
            )
            .await;
        for _ in 0..2 {
            assert_eq!(
                part.bodies(&part.standard, 10).await,
                vec!["poison"],
                "{}",
                part.name
            );
            part.pass(VISIBILITY_SECONDS + 1).await;
        }
        part.queues
            .send(&part.standard, &[OutgoingMessage::new("good")], part.now_ms)
            .await;
        let received = part.receive(&part.standard, 10).await;
        assert_eq!(received.len(), 1, "{}", part.name);
        assert_eq!(received[0].body, "good");
        part.queues
            .delete(&part.standard, &[received[0].receipt_handle.clone()])
            .await
            .unwrap();
        let counts = part
            .queues
            .counts(&part.standard_dead, part.now_ms)
            .await
            .unwrap();
        assert_eq!(counts.visible, 1, "{}", part.name);
        if matches!(part.queues, Queues::Sqs(_)) {
            // ministack knows no StartMessageMoveTask; partial_failures.rs has the request.
            continue;
        }
        let moved = part
            .queues
            .redrive(&part.standard_dead, &part.standard, part.now_ms)
            .await;
        assert_eq!(moved.unwrap(), Some(1));
        assert_eq!(
            part.bodies(&part.standard, 10).await,
            vec!["poison"],
            "{}",
            part.name
        );
    }
}

#[tokio::test]
async fn a_group_comes_in_order_and_is_locked_while_one_of_it_is_in_flight() {
    for part in parts().await {
        let messages = [
            fifo("a1", "a"),
            fifo("b1", "b"),
            fifo("a2", "a"),
            fifo("a3", "a"),
        ];
        let sent = part.queues.send(&part.fifo, &messages, part.now_ms).await;
        let numbers: Vec<String> = sent
            .into_iter()
            .map(|sent| sent.unwrap().sequence_number.unwrap())
            .collect();
        assert!(
            numbers[0] < numbers[2] && numbers[2] < numbers[3],
            "{}",
            part.name
        );
        let first = part.receive(&part.fifo, 1).await;
        assert_eq!(first[0].body, "a1");
        assert_eq!(first[0].message_group_id.as_deref(), Some("a"));
        assert_eq!(first[0].message_deduplication_id.as_deref(), Some("a-a1"));
        assert_eq!(first[0].sequence_number.as_ref(), Some(&numbers[0]));
        // Group a is locked, group b is not.
        assert_eq!(
            part.bodies(&part.fifo, 10).await,
            vec!["b1"],
            "{}",
            part.name
        );
        let back = part
            .queues
            .change_visibility(&part.fifo, &first[0].receipt_handle, 0, part.now_ms)
            .await;
        assert!(back.unwrap(), "{}", part.name);
        let again = part.receive(&part.fifo, 2).await;
        let bodies: Vec<&str> = again.iter().map(|message| message.body.as_str()).collect();
        assert_eq!(bodies, vec!["a1", "a2"], "{}", part.name);
        let receipts: Vec<String> = again.into_iter().map(|m| m.receipt_handle).collect();
        assert_eq!(
            part.queues.delete(&part.fifo, &receipts).await.unwrap(),
            vec![true, true]
        );
        assert_eq!(
            part.bodies(&part.fifo, 10).await,
            vec!["a3"],
            "{}",
            part.name
        );
    }
}

#[tokio::test]
async fn a_poisoned_head_of_a_group_dies_alone_and_the_group_goes_on() {
    for mut part in parts().await {
        let messages = [fifo("a1", "a"), fifo("a2", "a")];
        part.queues.send(&part.fifo, &messages, part.now_ms).await;
        for _ in 0..2 {
            assert_eq!(
                part.bodies(&part.fifo, 1).await,
                vec!["a1"],
                "{}",
                part.name
            );
            part.pass(VISIBILITY_SECONDS + 1).await;
        }
        let received = part.receive(&part.fifo, 1).await;
        assert_eq!(received.len(), 1, "{}", part.name);
        assert_eq!(received[0].body, "a2", "{}", part.name);
        let dead = part.receive(&part.fifo_dead, 10).await;
        assert_eq!(dead.len(), 1, "{}", part.name);
        assert_eq!(dead[0].body, "a1");
        assert_eq!(dead[0].message_group_id.as_deref(), Some("a"));
    }
}

#[tokio::test]
async fn a_repeated_deduplication_id_is_taken_once() {
    for part in parts().await {
        let first = part
            .queues
            .send(&part.fifo, &[fifo("a1", "a")], part.now_ms)
            .await;
        let second = part
            .queues
            .send(&part.fifo, &[fifo("a1", "a")], part.now_ms)
            .await;
        assert_eq!(
            first[0].clone().unwrap().message_id,
            second[0].clone().unwrap().message_id,
            "{}",
            part.name
        );
        assert_eq!(
            part.bodies(&part.fifo, 10).await,
            vec!["a1"],
            "{}",
            part.name
        );
    }
}

#[tokio::test]
async fn more_than_ten_messages_are_sent_and_all_arrive() {
    for part in parts().await {
        let messages: Vec<OutgoingMessage> = (0..25)
            .map(|number| OutgoingMessage::new(format!("m{number:02}")))
            .collect();
        let sent = part
            .queues
            .send(&part.standard, &messages, part.now_ms)
            .await;
        assert!(sent.iter().all(Result::is_ok), "{}", part.name);
        let mut bodies = Vec::new();
        while bodies.len() < 25 {
            let received = part.bodies(&part.standard, 10).await;
            assert!(!received.is_empty(), "{}: only {}", part.name, bodies.len());
            bodies.extend(received);
        }
        bodies.sort();
        let expected: Vec<String> = messages.into_iter().map(|message| message.body).collect();
        assert_eq!(bodies, expected);
    }
}

#[tokio::test]
async fn a_delayed_message_waits() {
    for mut part in parts().await {
        let delayed = OutgoingMessage::new("later").delayed(2);
        part.queues
            .send(&part.standard, &[delayed], part.now_ms)
            .await;
        assert_eq!(
            part.bodies(&part.standard, 10).await,
            Vec::<String>::new(),
            "{}",
            part.name
        );
        let counts = part
            .queues
            .counts(&part.standard, part.now_ms)
            .await
            .unwrap();
        assert_eq!((counts.visible, counts.delayed), (0, 1), "{}", part.name);
        part.pass(3).await;
        assert_eq!(
            part.bodies(&part.standard, 10).await,
            vec!["later"],
            "{}",
            part.name
        );
    }
}

#[tokio::test]
async fn a_refused_message_is_named_and_its_neighbours_are_sent() {
    for part in parts().await {
        let messages = [
            OutgoingMessage::new("first"),
            OutgoingMessage::new("\u{1}"),
            OutgoingMessage::new("third"),
        ];
        let sent = part
            .queues
            .send(&part.standard, &messages, part.now_ms)
            .await;
        assert!(sent[0].is_ok() && sent[2].is_ok(), "{}", part.name);
        assert_eq!(sent[1], Err(SendError::IllegalCharacter), "{}", part.name);
        let mut bodies = part.bodies(&part.standard, 10).await;
        bodies.sort();
        assert_eq!(bodies, vec!["first", "third"], "{}", part.name);
    }
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_for_every_message() {
    for part in parts().await {
        let absent = part.standard.replace("Compras", "Ausente");
        let messages = [OutgoingMessage::new("a"), OutgoingMessage::new("b")];
        for sent in part.queues.send(&absent, &messages, part.now_ms).await {
            let error = sent.unwrap_err();
            assert!(!error.is_transient(), "{}: {error}", part.name);
        }
        assert!(
            part.queues.receive(&absent, 1, part.now_ms).await.is_err(),
            "{}",
            part.name
        );
    }
}

#[tokio::test]
async fn each_part_refuses_the_other_parts_addresses() {
    let sdk = crate::support::sdk("http://127.0.0.1:9", "test").await;
    let sqs = Queues::Sqs(queues::SqsQueues::new(&sdk, queues::SqsLimits::default()));
    let error = sqs
        .receive("feira://queues/Compras", 1, 0)
        .await
        .unwrap_err();
    assert_eq!(error, QueueError::EmbeddedRefused);
    let embedded = crate::support::embedded().await;
    let url = "https://sqs.sa-east-1.amazonaws.com/1/Compras";
    let sent = embedded
        .queues
        .send(url, &[OutgoingMessage::new("a")], 0)
        .await;
    assert_eq!(sent[0], Err(SendError::Queue(QueueError::NotEmbedded)));
}
