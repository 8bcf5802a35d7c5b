//! What only the embedded queue can be asked: its definitions and the passing of its time.

use queues::{
    EmbeddedQueues, OutgoingMessage, QueueDefinition, QueueError, Redrive, SendError,
    embedded_queue_url,
};

const NOW_MS: i64 = 1_795_200_000_000;
const FIVE_MINUTES_MS: i64 = 300_000;

async fn open(folder: &tempfile::TempDir) -> EmbeddedQueues {
    EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_deduplication_id_is_forgotten_after_five_minutes_even_if_its_message_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    queues
        .define(&[QueueDefinition::new("Viagens.fifo")])
        .await
        .unwrap();
    let url = embedded_queue_url("Viagens.fifo");
    let message = [OutgoingMessage::fifo("a", "g", "d")];
    let first = queues.send(&url, &message, NOW_MS).await.remove(0).unwrap();
    let received = queues.receive(&url, 1, NOW_MS).await.unwrap();
    queues
        .delete(&url, &[received[0].receipt_handle.clone()])
        .await
        .unwrap();
    let again = queues
        .send(&url, &message, NOW_MS + FIVE_MINUTES_MS - 1)
        .await
        .remove(0)
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(queues.peek(&url, 10).await.unwrap().len(), 0);
    let later = queues
        .send(&url, &message, NOW_MS + FIVE_MINUTES_MS)
        .await
        .remove(0)
        .unwrap();
    assert_ne!(later.message_id, first.message_id);
    assert_eq!(queues.peek(&url, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_queue_that_deduplicates_by_content_needs_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    let by_content = QueueDefinition {
        deduplicates_content: true,
        ..QueueDefinition::new("Conteudo.fifo")
    };
    queues
        .define(&[by_content, QueueDefinition::new("Identidade.fifo")])
        .await
        .unwrap();
    let of_group = |body: &str| OutgoingMessage {
        group_id: Some("g".to_owned()),
        ..OutgoingMessage::new(body)
    };
    let url = embedded_queue_url("Conteudo.fifo");
    for outcome in queues
        .send(&url, &[of_group("a"), of_group("a"), of_group("b")], NOW_MS)
        .await
    {
        outcome.unwrap();
    }
    assert_eq!(queues.peek(&url, 10).await.unwrap().len(), 2);
    let url = embedded_queue_url("Identidade.fifo");
    let sent = queues.send(&url, &[of_group("a")], NOW_MS).await;
    assert_eq!(sent, [Err(SendError::MissingDeduplication)]);
}

#[tokio::test]
async fn definitions_that_contradict_themselves_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    let to = |dead: &str, maximum_receives: u32| {
        Some(Redrive {
            dead_letter_queue: dead.to_owned(),
            maximum_receives,
        })
    };
    let good = QueueDefinition::new("Boa");
    for bad in [
        QueueDefinition {
            redrive: to("Ausente", 3),
            ..QueueDefinition::new("Ruim")
        },
        QueueDefinition {
            redrive: to("Boa", 0),
            ..QueueDefinition::new("Ruim")
        },
        QueueDefinition {
            redrive: to("Ruim", 3),
            ..QueueDefinition::new("Ruim")
        },
        QueueDefinition {
            redrive: to("Boa", 3),
            ..QueueDefinition::new("Ruim.fifo")
        },
        QueueDefinition {
            fifo: true,
            ..QueueDefinition::new("Ruim")
        },
        QueueDefinition {
            visibility_seconds: 43_201,
            ..QueueDefinition::new("Ruim")
        },
        QueueDefinition::new("ru/im"),
        QueueDefinition::new(""),
    ] {
        let error = queues
            .define(&[good.clone(), bad.clone()])
            .await
            .unwrap_err();
        assert!(
            matches!(error, QueueError::InvalidDefinition { .. }),
            "{bad:?}"
        );
        let absent = queues
            .counts(&embedded_queue_url("Boa"), NOW_MS)
            .await
            .unwrap_err();
        assert_eq!(
            absent,
            QueueError::UnknownQueue {
                name: "Boa".to_owned()
            }
        );
    }
}

#[tokio::test]
async fn a_new_definition_changes_the_settings_and_keeps_the_messages() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    let url = embedded_queue_url("Compras");
    queues
        .define(&[QueueDefinition::new("Compras")])
        .await
        .unwrap();
    queues
        .send(&url, &[OutgoingMessage::new("a")], NOW_MS)
        .await
        .remove(0)
        .unwrap();
    let slower = QueueDefinition {
        visibility_seconds: 60,
        ..QueueDefinition::new("Compras")
    };
    queues.define(&[slower]).await.unwrap();
    assert_eq!(queues.receive(&url, 1, NOW_MS).await.unwrap().len(), 1);
    assert_eq!(
        queues
            .receive(&url, 1, NOW_MS + 59_999)
            .await
            .unwrap()
            .len(),
        0
    );
    assert_eq!(
        queues
            .receive(&url, 1, NOW_MS + 60_000)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn dead_letters_go_back_only_to_the_queue_they_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    queues
        .define(&[QueueDefinition::new("Uma"), QueueDefinition::new("Outra")])
        .await
        .unwrap();
    let redrive = queues
        .redrive(
            &embedded_queue_url("Uma"),
            &embedded_queue_url("Outra"),
            NOW_MS,
        )
        .await;
    assert!(matches!(redrive, Err(QueueError::InvalidDefinition { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_queue_file_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filas.sqlite");
    std::fs::write(&path, "x".repeat(4_096)).unwrap();
    let error = EmbeddedQueues::open(&path).await.unwrap_err();
    assert!(
        error.to_string().starts_with("the queue file failed: "),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn deliveries_that_were_cut_off_do_not_count_towards_the_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder).await;
    let queue = QueueDefinition {
        redrive: Some(Redrive {
            dead_letter_queue: "Mortas".to_owned(),
            maximum_receives: 2,
        }),
        ..QueueDefinition::new("Vivas")
    };
    let dead = QueueDefinition::new("Mortas");
    queues.define(&[queue, dead]).await.unwrap();
    let url = embedded_queue_url("Vivas");
    for sent in queues
        .send(&url, &[OutgoingMessage::new("a")], NOW_MS)
        .await
    {
        sent.unwrap();
    }
    for _ in 0..5 {
        assert_eq!(queues.receive(&url, 1, NOW_MS).await.unwrap().len(), 1);
        assert_eq!(queues.take_back(&url, NOW_MS).await.unwrap(), 1);
        assert_eq!(queues.take_back(&url, NOW_MS).await.unwrap(), 0);
    }
    // Those that ran out of time do.
    let minute_ms = 60_000;
    for turn in 0..3 {
        let received = queues.receive(&url, 1, NOW_MS + turn * minute_ms).await;
        assert_eq!(received.unwrap().len(), usize::from(turn < 2));
    }
    let dead = embedded_queue_url("Mortas");
    let letters = queues.counts(&dead, NOW_MS + 3 * minute_ms).await;
    assert_eq!(letters.unwrap().visible, 1);
}
