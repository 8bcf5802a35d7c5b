//! Dead letters expire, and come back when they are replayed.

use std::time::Duration;

use serde_json::json;
use testkit::{databases, kafka};

use crate::member::{Member, Scene, files};
use crate::outcome::{assert_database, assert_private};
use crate::stream::{Maker, Sent};
use crate::topic::Topic;

const LIMIT: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

fn ended(member: Member) -> (Option<i32>, String) {
    tokio::task::block_in_place(|| member.ended())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refused_comes_back_from_its_letters() {
    let Some(mut scene) = Scene::with_narrow_names().await else {
        return;
    };
    let stream = Maker::new(91, 10, lambda_kit::clock::now().get()).stream(120);
    scene.topic.produce(&stream.sent).await;
    let member = scene.member(None);
    scene.topic.until_consumed(LIMIT).await;
    tokio::task::block_in_place(|| member.terminate());
    let wide = "ALTER TABLE contacts MODIFY name VARCHAR(200)";
    scene.execute(wide).await;
    let unreadable = stream
        .sent
        .iter()
        .filter(|sent| sent.refused.is_some())
        .count();
    assert!(unreadable > 0);
    for _ in 0..2 {
        let (code, told) = tokio::task::block_in_place(|| scene.command("--replay-letters"));
        assert_eq!(
            code,
            Some(1),
            "what nobody can read is still refused: {told}"
        );
        assert!(
            told.contains(&format!("{unreadable} records are still refused")),
            "{told}"
        );
        assert_database(&scene, &stream).await;
    }
    let letters = tokio::task::block_in_place(|| scene.topic.dead_letters());
    assert_private(&scene, &stream, &letters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_have_an_expiry_or_the_process_does_not_run() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    let name = kafka.name("clientes");
    let (days_14, days_30, days_31) = ("1209600000", "2592000000", "2678400000");
    let wrong = [
        ("retention.ms", "-1"),
        ("retention.ms", days_31),
        // With a segment of seven days, as is Kafka's default.
        ("retention.ms", days_30),
        ("cleanup.policy", "compact"),
    ];
    let wrong = wrong.into_iter().map(Some).chain([None]);
    for (place, setting) in wrong.enumerate() {
        let name = format!("{name}-{place}");
        let topic = Topic::with_letters(kafka.brokers(), &name, setting).await;
        let scene = Scene::new(topic, databases().await.remove(0)).await;
        let member = scene.member(None);
        if let Some(setting) = setting {
            let (code, told) = ended(member);
            assert_eq!(code, Some(1), "{setting:?}: {told}");
            assert!(told.contains("retention.ms"), "{told}");
            continue;
        }
        let mut kept = None;
        let began = std::time::Instant::now();
        while kept.is_none() && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(100)).await;
            kept = scene.topic.letters_are_kept_for().await;
        }
        assert_eq!(kept.as_deref(), Some(days_14), "{}", member.told());
        assert!(tokio::task::block_in_place(|| member.terminate()).success());
    }
}

/// SQLite's log and its freed pages hold what was replaced until it is written anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replaced_leaves_the_file_while_the_process_runs() {
    let Some(kafka) = kafka() else {
        eprintln!("FEIRA_KAFKA_BROKERS is not set: no Kafka to consume from");
        return;
    };
    let topic = Topic::create(kafka.brokers(), &kafka.name("clientes")).await;
    let mut scene = Scene::new(topic, databases().await.remove(0)).await;
    let path = scene.database.url().strip_prefix("sqlite://").unwrap();
    let folder = std::path::Path::new(path).parent().unwrap().to_owned();
    let holds = |value: &str| {
        let mut all = files(&folder).into_iter();
        all.any(|(_, bytes)| {
            bytes
                .windows(value.len())
                .any(|part| part == value.as_bytes())
        })
    };
    let member = scene.member(None);
    for (version, name, phone) in [
        (1, "Zulmira Quintanilha", "+5585987654321"),
        (2, "Zulmira Albuquerque", "+5511912345678"),
    ] {
        let value = json!({
            "id_cliente": "zulmira", "versao": version, "nome": name, "telefone": phone,
            "regiao": "SP", "consentimentos": {"televendas": true},
        });
        scene.topic.produce_one(&Sent {
            partition: 0,
            key: Some(b"zulmira".to_vec()),
            value: Some(value.to_string().into_bytes()),
            timestamp_ms: 0,
            refused: None,
        });
        let began = std::time::Instant::now();
        while !holds(phone) {
            assert!(began.elapsed() < SOON, "{}", member.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let began = std::time::Instant::now();
    while holds("Quintanilha") || holds("+5585987654321") {
        assert!(began.elapsed() < SOON, "{}", member.told());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!(
        "gone from the file after {} ms",
        began.elapsed().as_millis()
    );
    assert!(holds("Albuquerque"));
    assert!(tokio::task::block_in_place(|| member.terminate()).success());
}
