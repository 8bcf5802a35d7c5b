//! The bridge on SQS and S3 as the AWS clients speak them; only where ministack is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::envelope::{Carried, Envelope};
use files::{FileAddress, Files, S3Files};
use kafka_to_sqs::{Bridge, Parts, Settings, TopicQueues};
use lambda_kit::{Invocation, SealKey, kafka::EventHandler};
use queues::{Queues, SqsLimits, SqsQueues};
use serde_json::{Value, json};

const MESSAGE_BYTES: usize = 4_000;
const BUCKET: &str = "feira-ponte";
const RECORDS: usize = 60;

async fn sdk(ministack: &testkit::Ministack) -> SdkConfig {
    let credentials = Credentials::new(ministack.account_id(), "test", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("sa-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(ministack.endpoint_url())
        .load()
        .await
}

async fn create(client: &aws_sdk_sqs::Client, name: &str) -> String {
    let mut request = client.create_queue().queue_name(name);
    if name.ends_with(".fifo") {
        request = request.attributes(QueueAttributeName::FifoQueue, "true");
    }
    let output = request.send().await.unwrap();
    output.queue_url().unwrap().to_owned()
}

/// Records of five keys; the last one is too large for a message.
fn event() -> String {
    let record = |offset: usize| {
        let value = if offset + 1 == RECORDS {
            vec![7; 9_000]
        } else {
            vec![200, 0, 10]
        };
        json!({
            "topic": "pedidos", "partition": 0, "offset": offset, "timestamp": 5,
            "timestampType": "CREATE_TIME", "headers": [{"origem": [-61, -85]}],
            "key": STANDARD.encode([255, u8::try_from(offset % 5).unwrap()]),
            "value": STANDARD.encode(value),
        })
    };
    let records: Vec<Value> = (0..RECORDS).map(record).collect();
    json!({"eventSource": "aws:kafka", "records": {"pedidos-0": records}}).to_string()
}

#[tokio::test]
async fn records_arrive_in_order_of_their_keys_and_large_values_by_claim() {
    let Some(ministack) = testkit::ministack().await else {
        println!("ministack took no part: FEIRA_MINISTACK_URL is not set");
        return;
    };
    let sdk = sdk(&ministack).await;
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let orders = create(&sqs, "PontePedidos.fifo").await;
    let letters = create(&sqs, "PonteMortas").await;
    let s3 = aws_sdk_s3::config::Builder::from(&sdk)
        .force_path_style(true)
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::SaEast1)
        .build();
    let bucket = s3
        .create_bucket()
        .bucket(BUCKET)
        .create_bucket_configuration(place);
    bucket.send().await.unwrap();
    let queues = Queues::Sqs(SqsQueues::new(&sdk, SqsLimits::default()));
    let files = Files::S3(S3Files::new(&sdk, true));
    let settings = Settings {
        queues: TopicQueues::parse(&json!({"pedidos": orders}).to_string()).unwrap(),
        dead_letters_url: letters,
        claims_bucket: BUCKET.to_owned(),
        message_bytes: MESSAGE_BYTES,
        seal_key: SealKey::new(&[1; 32]).unwrap(),
    };
    let bridge = Bridge::new(settings, Parts::new(queues.clone(), files.clone()));
    // Twice: the second time every message is a repetition that the queue drops.
    for _ in 0..2 {
        let now = lambda_kit::clock::now();
        let answer = bridge.handle(&event(), &Invocation::at(now)).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}));
    }
    let mut offsets: Vec<Vec<i64>> = vec![Vec::new(); 5];
    let mut claimed = 0;
    loop {
        let some = queues.receive(&orders, 10, 0).await.unwrap();
        if some.is_empty() {
            break;
        }
        for message in &some {
            let envelope = Envelope::read(&message.body).unwrap();
            let key = envelope.key.unwrap();
            offsets[usize::from(key[1])].push(envelope.coordinates.offset);
            if let Carried::Elsewhere(claim) = envelope.value {
                let address = FileAddress::new(&claim.bucket, &claim.key).unwrap();
                assert_eq!(
                    files.get(&address, claim.bytes).await.unwrap(),
                    vec![7; 9_000]
                );
                claimed += 1;
            }
        }
        let receipts: Vec<String> = some.iter().map(|one| one.receipt_handle.clone()).collect();
        queues.delete(&orders, &receipts).await.unwrap();
    }
    assert_eq!(claimed, 1);
    assert_eq!(offsets.iter().map(Vec::len).sum::<usize>(), RECORDS);
    assert!(
        offsets.iter().all(|of_key| of_key.is_sorted()),
        "{offsets:?}"
    );
}
