//! What is erased is gone, with a receipt, and no older change brings it back.

use super::*;
use domain::telesales::{CallOutcome, EXPIRED_DAYS, RETENTION_DAYS};
use sql_store::{
    projection::receipts,
    telesales::{
        contacts::{claim, end_call},
        retention::expire_contacts,
    },
};

#[tokio::test]
async fn a_deletion_leaves_a_pseudonym_and_a_receipt_and_only_newer_news_revive() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ana = |version, offset| {
            change(
                "ana",
                version,
                offset,
                Some(contact("Ana Lima", "11964166764")),
            )
        };
        scene.apply(&[ana(5, 1)], at(0)).await;
        scene.apply(&[change("ana", 0, 3, None)], at(1)).await;
        assert_eq!(scene.name_of("ana").await, None);
        let emptied = "contacts WHERE deleted = 1 AND name IS NULL AND phone IS NULL \
                       AND region IS NULL AND phone_mark IS NULL AND version = 5";
        assert_eq!(scene.count(emptied).await, 1, "{}", database.label());
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Ok(1));
        for late in [ana(5, 1), ana(4, 9), ana(5, 9), ana(6, 2)] {
            scene.apply(&[late], at(2)).await;
            assert_eq!(scene.name_of("ana").await, None);
        }
        scene.apply(&[change("ana", 0, 3, None)], at(2)).await;
        assert_eq!(scene.count("erasure_receipts").await, 1, "told twice");
        scene.apply(&[ana(6, 9)], at(3)).await;
        assert_eq!(scene.name_of("ana").await.as_deref(), Some("Ana Lima"));
    }
}

#[tokio::test]
async fn a_receipt_that_is_changed_or_missing_is_found() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        for number in 0..5 {
            let id = format!("c{number}");
            let row = contact("Ana Lima", "11964166764");
            scene
                .apply(
                    &[change(&id, 1, 1, Some(row)), change(&id, 0, 2, None)],
                    at(0),
                )
                .await;
        }
        assert_eq!(
            scene.count("erasure_receipts").await,
            0,
            "never kept, never erased"
        );
        for number in 0..5 {
            let id = format!("c{number}");
            let row = contact("Ana Lima", "11964166764");
            scene.apply(&[change(&id, 2, 3, Some(row))], at(0)).await;
            scene.apply(&[change(&id, 0, 4, None)], at(0)).await;
        }
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Ok(5));
        let forge = "UPDATE erasure_receipts SET erased_ms = 0 WHERE place = 3";
        scene.execute(forge, values![]).await;
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Err(3));
        scene
            .execute("DELETE FROM erasure_receipts WHERE place = 3", values![])
            .await;
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Err(4));
    }
}

#[tokio::test]
async fn what_was_erased_is_in_no_byte_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco2.sqlite");
    let scene = Scene::open(&format!("sqlite://{}", file.display())).await;
    let row = contact("Zulmira Quintanilha", "85987654321");
    scene
        .apply(&[change("zulmira", 1, 1, Some(row))], at(0))
        .await;
    let moved = contact("Zulmira Quintanilha", "11912345678");
    scene
        .apply(&[change("zulmira", 2, 2, Some(moved))], at(0))
        .await;
    assert!(holds(folder.path(), "Zulmira"), "it was there");
    scene.apply(&[change("zulmira", 0, 3, None)], at(1)).await;
    for value in [
        "Zulmira",
        "Quintanilha",
        "5585987654321",
        "5511912345678",
        "zulmira",
    ] {
        assert!(!holds(folder.path(), value), "{value}");
    }
}

/// SQLite zeroes what is deleted where it lies, but a page that was put in order before may hold
/// a copy of a row beside it: only a file that was written anew holds none.
#[tokio::test]
async fn an_erasure_writes_the_file_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco2.sqlite");
    let scene = Scene::open(&format!("sqlite://{}", file.display())).await;
    let kept: Vec<_> = (0..300)
        .map(|number| {
            let row = contact(&format!("Pessoa {number:04}"), "11964166764");
            change(&format!("c{number}"), 1, 1, Some(row))
        })
        .collect();
    scene.apply(&kept, at(0)).await;
    let erase = |number: usize| change(&format!("c{number}"), 0, 2, None);
    scene.apply(&[erase(299)], at(1)).await;
    let before = schema_cookie(&file);
    let erased: Vec<_> = (1..299).map(erase).collect();
    scene.apply(&erased, at(1)).await;
    assert_ne!(
        schema_cookie(&file),
        before,
        "the file was not written anew"
    );
    assert!(holds(folder.path(), "Pessoa 0000"), "who was kept is there");
    assert!(!holds(folder.path(), "Pessoa 01"), "who was erased is not");
}

/// Writing the whole file anew (VACUUM) counts this up.
/// <https://www.sqlite.org/fileformat.html#schema_cookie>
fn schema_cookie(file: &std::path::Path) -> Vec<u8> {
    std::fs::read(file).unwrap()[40..44].to_vec()
}

fn holds(folder: &std::path::Path, value: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes
            .windows(value.len())
            .any(|window| window == value.as_bytes())
    })
}

#[tokio::test]
async fn contacts_expire_after_their_last_update_or_outcome() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let days = |days: u32| at(i64::from(days) * DAY_MS);
        for (id, updated) in [("old", 0), ("called", 0), ("new", 10)] {
            let row = contact("Ana Lima", "11964166764");
            scene
                .apply(&[change(id, 1, 1, Some(row))], days(updated))
                .await;
        }
        let sql = "INSERT INTO calls (subject, agent, claimed_until_ms, outcome, outcome_ms) \
                   VALUES (?, 'a', 0, 'retornar', ?)";
        let called = contact_id("called");
        scene
            .execute(sql, values![called.as_str(), days(5).get()])
            .await;
        let run = async |now: UtcMillis| {
            let counts = expire_contacts(&scene.store, now.day(), true, &Clock(now)).await;
            counts.unwrap().get("contatos").copied().unwrap_or_default()
        };
        assert_eq!(run(days(RETENTION_DAYS - 1)).await, 0);
        assert_eq!(
            run(days(RETENTION_DAYS + 1)).await,
            1,
            "{}",
            database.label()
        );
        assert_eq!(scene.name_of("old").await, None);
        assert_eq!(run(days(RETENTION_DAYS + 6)).await, 1);
        assert_eq!(scene.count("calls").await, 0);
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Ok(2));
        let long_after = RETENTION_DAYS + 8 + EXPIRED_DAYS;
        assert_eq!(run(days(long_after)).await, 1);
        assert_eq!(scene.count("contacts").await, 1, "pseudonyms stay a while");
        run(days(long_after + EXPIRED_DAYS + 1)).await;
        assert_eq!(scene.count("contacts").await, 0, "pseudonyms go too");
    }
}

#[tokio::test]
async fn an_erasure_takes_the_calls_with_it_by_tombstone_and_by_withdrawal() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let ids = ["asked", "kept", "left", "withdrew", "came-back"];
        let known: Vec<_> = (0..)
            .zip(ids)
            .map(|(number, id)| {
                let row = contact("Ana Lima", &format!("1196416676{number}"));
                change(id, 1, 1, Some(row))
            })
            .collect();
        scene.apply(&known, at(0)).await;
        for id in ids {
            let contact = contact_id(id);
            let outcome = match id {
                "asked" => CallOutcome::DoNotCall,
                _ => CallOutcome::CallBack,
            };
            claim(&scene.store, &agent("a"), &contact, at(1))
                .await
                .unwrap();
            end_call(&scene.store, &agent("a"), &contact, outcome, at(2))
                .await
                .unwrap();
        }
        assert_eq!(scene.count("calls").await, 5);
        let mut withdrawal = change("withdrew", 0, 2, None);
        withdrawal.stamp.version = Some(2);
        let back = contact("Ana Reis", "11964166769");
        let changes = [
            change("asked", 0, 2, None),
            change("left", 0, 2, None),
            withdrawal,
            change("came-back", 0, 2, None),
            change("came-back", 3, 3, Some(back)),
        ];
        scene.apply(&changes, at(3)).await;
        let label = database.label();
        assert_eq!(
            scene.count("calls").await,
            1,
            "{label}: only of who was kept"
        );
        assert_eq!(scene.count("do_not_call").await, 1, "{label}");
        assert_eq!(receipts::verify(&scene.store).await.unwrap(), Ok(4));
        assert_eq!(
            scene.name_of("came-back").await.as_deref(),
            Some("Ana Reis")
        );
    }
}

#[tokio::test]
async fn what_was_replaced_leaves_the_file_and_its_log_while_they_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco2.sqlite");
    let scene = Scene::open(&format!("sqlite://{}", file.display())).await;
    let zulmira = |version, offset, name, phone| {
        change("zulmira", version, offset, Some(contact(name, phone)))
    };
    let first = zulmira(1, 1, "Zulmira Quintanilha", "85987654321");
    scene.apply(&[first], at(0)).await;
    let moved = zulmira(2, 2, "Zulmira Albuquerque", "11912345678");
    scene.table.apply(&[moved], at(1)).await.unwrap();
    assert!(holds(folder.path(), "Quintanilha"), "the log has it");
    scene.table.forget().await;
    for value in ["Quintanilha", "5585987654321"] {
        assert!(!holds(folder.path(), value), "{value}");
    }
    assert!(holds(folder.path(), "Albuquerque"));
}

#[tokio::test]
async fn what_expired_leaves_the_file_although_the_job_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banco2.sqlite");
    let scene = Scene::open(&format!("sqlite://{}", file.display())).await;
    let row = contact("Zulmira Quintanilha", "85987654321");
    scene
        .apply(&[change("zulmira", 1, 1, Some(row))], at(0))
        .await;
    let now = at(i64::from(RETENTION_DAYS + 1) * DAY_MS);
    // Of the time to begin and of one page.
    let clock = Hurried::new(now, 2);
    let cut = expire_contacts(&scene.store, now.day(), true, &clock).await;
    assert_eq!(cut.unwrap_err().code(), "out_of_time");
    assert_eq!(scene.name_of("zulmira").await, None);
    for value in ["Quintanilha", "5585987654321"] {
        assert!(!holds(folder.path(), value), "{value}");
    }
}
