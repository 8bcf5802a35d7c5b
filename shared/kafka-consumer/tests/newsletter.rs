//! The example of a second consumer: short, and right on every database.

#[expect(dead_code, reason = "its main needs a Kafka")]
#[path = "../examples/newsletter.rs"]
mod newsletter;

use contracts::changes::{Projection, Record, Shape, read};
use domain::{pseudonym::PseudonymKey, time::UtcMillis};
use newsletter::{MIGRATIONS, Newsletter, Subscriber};
use sql_store::{Store, Tx, migrate::migrate_by, projection::ProjectionTable, values};

#[derive(sql_store::FromQueryResult)]
struct Row {
    emails: i64,
}

#[test]
fn the_example_is_short() {
    let lines = include_str!("../examples/newsletter.rs").lines().count();
    assert!(lines < 60, "{lines} lines");
}

#[test]
fn an_address_under_another_name_deletes_nobody() {
    let shape = Shape::parse::<Newsletter>("").unwrap();
    let now = UtcMillis::new(1_795_132_800_000).unwrap();
    let record = Record {
        key: None,
        value: Some(br#"{"id_cliente":"c1","mail":"a@b.c","consentimentos":["newsletter"]}"#),
        partition: 0,
        offset: 1,
        timestamp_ms: now.get(),
    };
    let refused = read::<Newsletter>(&shape, &record, now).err().unwrap();
    assert_eq!(
        (refused.code, refused.field),
        ("campo_ausente", Some("email"))
    );
}

#[tokio::test]
async fn the_newsletter_keeps_an_address_of_those_who_agreed() {
    for database in testkit::databases().await {
        let now = UtcMillis::new(1_795_132_800_000).unwrap();
        let store = Store::open(database.url()).await.unwrap();
        migrate_by(&store, &MIGRATIONS, now).await.unwrap();
        let key = PseudonymKey::new(&[7; 32]).unwrap();
        let table: ProjectionTable<Subscriber> =
            ProjectionTable::new(store.clone(), key, Newsletter::NAME);
        let shape = Shape::parse::<Newsletter>("").unwrap();
        let change = |offset: i64, agrees: bool| {
            let json = format!(
                r#"{{"id_cliente":"c1","email":"ana@example.com","cpf":"52998224725",
                "consentimentos":{{"newsletter":{agrees}}}}}"#
            );
            let record = Record {
                key: None,
                value: Some(json.as_bytes()),
                partition: 0,
                offset,
                timestamp_ms: now.get(),
            };
            read::<Newsletter>(&shape, &record, now).unwrap()
        };
        for (offset, agrees, expected) in [(1, true, 1), (2, false, 0), (1, true, 0), (3, true, 1)]
        {
            table.apply(&[change(offset, agrees)], now).await.unwrap();
            let sql = "SELECT COUNT(*) AS emails FROM subscribers WHERE email = ?";
            let row: Option<Row> = store
                .transact(async |tx: &Tx| tx.one(sql, values!["ana@example.com"]).await)
                .await
                .unwrap();
            assert_eq!(row.unwrap().emails, expected, "{}", database.label());
        }
    }
}
