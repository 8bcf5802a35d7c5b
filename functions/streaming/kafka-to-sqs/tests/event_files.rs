//! Every event file of kafka-to-sqs, through embedded queues.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use contracts::envelope::{Carried, Envelope};
use domain::time::UtcMillis;
use files::{FileAddress, Files, FolderFiles};
use kafka_to_sqs::{Bridge, Parts, Settings, TopicQueues};
use lambda_kit::{
    Invocation, InvocationFailed, SealKey, claims::sha256_hex, dead_letter::DeadLetter,
    kafka::EventHandler,
};
use queues::{EmbeddedQueues, QueueDefinition, Queues, ReceivedMessage, embedded_queue_url};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{event_cases, event_text};

const FUNCTION: &str = "kafka-to-sqs";
const QUEUES: [&str; 4] = ["Eventos", "Estoque", "Pedidos.fifo", "Viagens.fifo"];
const LETTERS: &str = "Mortas";

struct Scene {
    bridge: Bridge<Parts>,
    queues: EmbeddedQueues,
    files: Files,
    _folder: TempDir,
}

fn now() -> UtcMillis {
    lambda_kit::clock::now()
}

fn key() -> SealKey {
    SealKey::new(&[7; 32]).unwrap()
}

impl Scene {
    async fn new(message_bytes: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
            .await
            .unwrap();
        let definitions = QUEUES
            .into_iter()
            .chain([LETTERS])
            .map(|name| QueueDefinition {
                name: name.to_owned(),
                fifo: name.ends_with(".fifo"),
                deduplicates_content: false,
                visibility_seconds: 30,
                retention_seconds: 1_209_600,
                delay_seconds: 0,
                redrive: None,
            });
        queues
            .define(&definitions.collect::<Vec<_>>())
            .await
            .unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let [events, stock, orders, trips] = QUEUES.map(embedded_queue_url);
        let table = json!({"eventos_clientes": events, "atualizacoes_estoque": stock,
            "pedidos": orders, "viagens": trips});
        let settings = Settings {
            queues: TopicQueues::parse(&table.to_string()).unwrap(),
            dead_letters_url: embedded_queue_url(LETTERS),
            claims_bucket: "arquivos".to_owned(),
            message_bytes,
            seal_key: key(),
        };
        let parts = Parts::new(Queues::Embedded(queues.clone()), files.clone());
        Self {
            bridge: Bridge::new(settings, parts),
            queues,
            files,
            _folder: folder,
        }
    }

    async fn send(&self, event: &str) -> Result<Value, InvocationFailed> {
        self.bridge.handle(event, &Invocation::at(now())).await
    }

    /// Takes everything that lies in a queue.
    async fn take(&self, queue: &str) -> Vec<ReceivedMessage> {
        let url = embedded_queue_url(queue);
        let mut all = Vec::new();
        loop {
            let some = self.queues.receive(&url, 10, now().get()).await.unwrap();
            if some.is_empty() {
                return all;
            }
            let receipts: Vec<String> = some.iter().map(|one| one.receipt_handle.clone()).collect();
            self.queues.delete(&url, &receipts).await.unwrap();
            all.extend(some);
        }
    }

    async fn envelopes(&self, queue: &str) -> Vec<Envelope> {
        let messages = self.take(queue).await;
        let read = |one: &ReceivedMessage| Envelope::read(&one.body).unwrap();
        messages.iter().map(read).collect()
    }
}

#[tokio::test]
async fn each_event_file_is_taken_or_refused_as_its_name_says() {
    for case in event_cases(FUNCTION) {
        let scene = Scene::new(1_048_576).await;
        let answer = scene.send(&event_text(FUNCTION, &case)).await;
        let letters = scene.take(LETTERS).await;
        let is_accepted = answer == Ok(json!({"batchItemFailures": []})) && letters.is_empty();
        assert_eq!(
            is_accepted,
            case.starts_with("accepted-"),
            "{case}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_record_arrives_byte_for_byte_and_a_tombstone_as_one() {
    let scene = Scene::new(1_048_576).await;
    let event = event_text(FUNCTION, "accepted-tombstone-and-bytes");
    scene.send(&event).await.unwrap();
    let mut envelopes = scene.envelopes("Estoque").await;
    envelopes.sort_by_key(|one| one.coordinates.offset);
    assert_eq!(envelopes[0].value, Carried::Tombstone);
    assert_eq!(envelopes[0].key.as_deref(), Some(b"p-7".as_slice()));
    assert_eq!(envelopes[1].value, Carried::Here((0..=255).collect()));
    assert_eq!(
        envelopes[1].key.as_deref(),
        Some([0, 255, 254, 10].as_slice())
    );
    assert_eq!(envelopes[1].timestamp_type, "CREATE_TIME");
    let headers = [("origem", "loja"), ("autora", "Zoë")]
        .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())));
    assert_eq!(envelopes[1].headers, headers);
}

#[tokio::test]
async fn records_of_one_key_are_one_group_and_come_once() {
    let scene = Scene::new(1_048_576).await;
    let event = event_text(FUNCTION, "accepted-self-managed");
    for _ in 0..2 {
        scene.send(&event).await.unwrap();
    }
    let messages = scene.take("Pedidos.fifo").await;
    let group = |place: usize| messages[place].message_group_id.clone().unwrap();
    let offset = |one: &ReceivedMessage| Envelope::read(&one.body).unwrap().coordinates.offset;
    assert_eq!(messages.len(), 3);
    let ana: Vec<i64> = messages
        .iter()
        .filter(|one| one.message_group_id.as_ref() == Some(&group(0)))
        .map(offset)
        .collect();
    assert_eq!(ana, [40, 42]);
}

#[tokio::test]
async fn what_cannot_be_read_lies_sealed_with_its_coordinates_and_the_rest_goes_on() {
    let scene = Scene::new(1_048_576).await;
    let event = event_text(FUNCTION, "refused-records-among-good-ones");
    let answer = scene.send(&event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let sent = scene.envelopes("Viagens.fifo").await;
    let offsets: Vec<i64> = sent.iter().map(|one| one.coordinates.offset).collect();
    assert_eq!(offsets, [1, 5]);
    let letters = scene.take(LETTERS).await;
    let read = |one: &ReceivedMessage| serde_json::from_str::<DeadLetter>(&one.body).unwrap();
    let mut letters: Vec<DeadLetter> = letters.iter().map(read).collect();
    letters.sort_by(|one, other| one.id_mensagem.cmp(&other.id_mensagem));
    let ids: Vec<&str> = letters.iter().map(|one| one.id_mensagem.as_str()).collect();
    assert_eq!(ids, ["viagens-0@2", "viagens-0@3", "viagens-0@?"]);
    assert_eq!(letters[0].campo.as_deref(), Some("value"));
    let original = String::from_utf8(letters[0].open(&key()).unwrap()).unwrap();
    assert!(original.contains("segredo!"));
    assert!(!serde_json::to_string(&letters).unwrap().contains("segredo"));
}

#[tokio::test]
async fn a_topic_without_a_queue_fails_the_batch_and_sends_nothing() {
    let scene = Scene::new(1_048_576).await;
    let event = event_text(FUNCTION, "refused-topic-without-queue");
    assert_eq!(
        scene.send(&event).await,
        Err(InvocationFailed::new("topico_sem_fila"))
    );
    assert!(scene.take(LETTERS).await.is_empty());
}

#[tokio::test]
async fn a_large_value_lies_in_the_bucket_and_its_claim_in_the_queue() {
    let scene = Scene::new(2_000).await;
    let event = event_text(FUNCTION, "accepted-msk");
    let mut event: Value = serde_json::from_str(&event).unwrap();
    let large = vec![b'x'; 3_000];
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&large)
    };
    event["records"]["eventos_clientes-0"][0]["value"] = json!(base64);
    scene.send(&event.to_string()).await.unwrap();
    let envelopes = scene.envelopes("Eventos").await;
    assert_eq!(envelopes.len(), 3);
    let claims = envelopes.iter().filter_map(|one| match &one.value {
        Carried::Elsewhere(claim) => Some(claim.clone()),
        Carried::Here(_) | Carried::Tombstone => None,
    });
    let claims: Vec<_> = claims.collect();
    assert_eq!(claims.len(), 1);
    assert_eq!(
        (claims[0].bytes, claims[0].sha256.as_str()),
        (3_000, sha256_hex(&large).as_str())
    );
    let address = FileAddress::new(&claims[0].bucket, &claims[0].key).unwrap();
    assert_eq!(scene.files.get(&address, 3_000).await.unwrap(), large);
}
