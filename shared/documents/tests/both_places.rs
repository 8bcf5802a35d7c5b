//! The same assertions where documents are rows of the SQL database and where MongoDB has them.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use documents::{Documents, DocumentsError, UriError};
use domain::{
    customers::{News, Place},
    events::{CustomerEvent, EventKind},
    identity::{CustomerId, ProductId, UserId},
    profiles::{BuyerProfile, Segment},
    time::UtcMillis,
};
use mongodb::{Client, Database, bson::Document, bson::doc};
use secrets::Stage;
use sql_store::{
    FromQueryResult, Store, StoreError, Tx,
    events::{self, Batch, EventKey, Incoming},
    housekeeping::purge_events,
    values,
};
use testkit::{TestDatabase, databases};

const HOUR_MS: i64 = 3_600_000;

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

struct Kept {
    label: String,
    store: Store,
    documents: Documents,
    mongodb: Option<Database>,
    _database: TestDatabase,
}

#[derive(FromQueryResult)]
struct Number {
    found: i64,
}

impl Kept {
    async fn each() -> Vec<Self> {
        let mut places = Vec::new();
        for database in databases().await {
            let store = migrated(&database).await;
            places.push(Self {
                label: database.label().to_owned(),
                documents: Documents::in_sql(store.clone()),
                store,
                mongodb: None,
                _database: database,
            });
        }
        if let Some(uri) = testkit::mongodb() {
            let database = databases().await.remove(0);
            let store = migrated(&database).await;
            let documents = Documents::in_mongodb(store.clone(), &uri, Stage::Dev)
                .await
                .unwrap();
            // Twice is once.
            documents.migrate().await.unwrap();
            documents.migrate().await.unwrap();
            let client = Client::with_uri_str(&uri).await.unwrap();
            places.push(Self {
                label: "MongoDB".to_owned(),
                store,
                documents,
                mongodb: client.default_database(),
                _database: database,
            });
        }
        places
    }

    async fn run(&self, sql: &str) {
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        self.store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    /// How many clicks, or profiles, of this user there are, of everybody without one.
    async fn count(&self, sql: &str, collection: &str, field: &str, user: Option<&str>) -> i64 {
        if let Some(mongodb) = &self.mongodb {
            let filter = user.map_or_else(Document::new, |user| doc! {field: user});
            let found = mongodb.collection::<Document>(collection);
            let found = found.count_documents(filter).await.unwrap();
            return i64::try_from(found).unwrap();
        }
        let user = user.map_or(String::new(), |user| format!("WHERE user_id = '{user}'"));
        let sql = format!("SELECT COUNT(*) AS found FROM {sql} {user}");
        let work = async |tx: &Tx| tx.one::<Number>(&sql, values![]).await;
        let row = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        row.unwrap().found
    }

    async fn clicks(&self, user: Option<&str>) -> i64 {
        self.count("click_log", "cliques", "id_usuario", user).await
    }

    async fn kept_profiles(&self) -> i64 {
        self.count("profiles", "perfis", "_id", None).await
    }

    async fn customer(&self, id: &str) {
        self.run(&format!(
            "INSERT INTO customers (customer_id, version, deleted, region, registered_ms, \
             updated_ms) VALUES ('{id}', 1, 0, 'BA', 0, 0)"
        ))
        .await;
    }

    async fn buys(&self, order: &str, customer: &str) {
        self.run(&format!(
            "INSERT INTO purchases (order_id, customer_id, status, total_centavos, approved_ms, \
             updated_ms) VALUES ('{order}', '{customer}', 'pago', 1000, {}, 0)",
            now().minus_days(1).get()
        ))
        .await;
    }

    async fn profiles(&self, at: UtcMillis) -> BTreeMap<String, BuyerProfile> {
        let users = ["ana", "ninguem", "rui"].into();
        self.documents.profiles(&users, at).await.unwrap()
    }

    /// A batch of events, as ingest-customer-events ingests it.
    async fn ingest(&self, incoming: &[Incoming], at: UtcMillis) {
        let users = incoming.iter().map(|one| one.event.user.as_str()).collect();
        let profiles = self.documents.profiles(&users, at).await.unwrap();
        let sorted = events::sort(&self.store, incoming).await.unwrap();
        self.documents
            .log_clicks(incoming, &sorted, &profiles, at)
            .await
            .unwrap();
        let batch = Batch {
            incoming,
            sorted: &sorted,
            profiles: &profiles,
            file: None,
            logs_clicks: self.documents.are_in_sql(),
        };
        events::commit(&self.store, &batch, at).await.unwrap();
    }
}

async fn migrated(database: &TestDatabase) -> Store {
    let store = Store::open(database.url()).await.unwrap();
    sql_store::migrate::migrate(&store, now()).await.unwrap();
    store
}

fn click(id: &str, user: &str, product: &str) -> Incoming {
    Incoming {
        key: EventKey::of(id),
        event: CustomerEvent {
            user: UserId::parse(user).unwrap(),
            kind: EventKind::Click,
            product: Some(ProductId::parse(product).unwrap()),
            occurred: now(),
            event_id: Some(id.to_owned()),
            session: None,
            quantity: None,
            price: None,
            reference: None,
        },
    }
}

fn deletion(id: &str) -> News {
    News {
        customer: CustomerId::parse(id).unwrap(),
        version: Some(2),
        place: Place {
            partition: 0,
            offset: 1,
            recorded: now(),
        },
        profile: None,
    }
}

#[tokio::test]
async fn a_profile_is_kept_for_an_hour_and_then_made_anew() {
    for place in Kept::each().await {
        let label = &place.label;
        for customer in ["ana", "rui"] {
            place.customer(customer).await;
        }
        place.buys("p1", "ana").await;
        let first = place.profiles(now()).await;
        let ana = BuyerProfile {
            region: Some("BA".to_owned()),
            segment: Segment::New,
            orders: 1,
            last_purchase: Some(now().minus_days(1)),
            favourite_category: None,
        };
        assert_eq!(first.get("ana"), Some(&ana), "{label}");
        assert_eq!(first.len(), 2, "{label}");
        place.buys("p2", "ana").await;
        let later = now().plus_millis(HOUR_MS);
        assert_eq!(place.profiles(later).await, first, "{label}");
        let anew = place.profiles(later.plus_millis(1)).await;
        assert_eq!(anew["ana"].segment, Segment::Returning, "{label}");
        assert_eq!(place.kept_profiles().await, 2, "{label}");
    }
}

#[tokio::test]
async fn clicks_are_noted_once_and_those_of_another_content_are_taken_back() {
    for place in Kept::each().await {
        let label = &place.label;
        let batch = [click("e1", "ana", "p"), click("e2", "rui", "p")];
        for _ in 0..2 {
            place.ingest(&batch, now()).await;
            assert_eq!(place.clicks(None).await, 2, "{label}");
        }
        let other = [click("e1", "eva", "q"), click("e3", "eva", "q")];
        // Another instance noted it before it knew, and died.
        let unaware = events::Sorted {
            fresh: vec![0, 1],
            ..Default::default()
        };
        let none = BTreeMap::new();
        let noted = place.documents.log_clicks(&other, &unaware, &none, now());
        noted.await.unwrap();
        place.ingest(&other, now()).await;
        assert_eq!(place.clicks(None).await, 3, "{label}");
        assert_eq!(place.clicks(Some("eva")).await, 1, "{label}");
    }
}

#[tokio::test]
async fn an_erasure_takes_profile_and_clicks_and_none_come_again() {
    for place in Kept::each().await {
        let label = &place.label;
        for customer in ["ana", "rui"] {
            place.customer(customer).await;
        }
        let batch = [click("e1", "ana", "p"), click("e2", "rui", "p")];
        place.ingest(&batch, now()).await;
        // Twice: the second time SQL knows it already.
        for _ in 0..2 {
            place
                .documents
                .sync_customers(&[deletion("ana")], now())
                .await
                .unwrap();
            assert_eq!(place.clicks(Some("ana")).await, 0, "{label}");
            assert_eq!(place.clicks(Some("rui")).await, 1, "{label}");
            assert_eq!(place.kept_profiles().await, 1, "{label}");
        }
        place.ingest(&[click("e3", "ana", "p")], now()).await;
        assert_eq!(place.clicks(Some("ana")).await, 0, "{label}");
        assert_eq!(place.kept_profiles().await, 1, "{label}");
    }
}

#[tokio::test]
async fn what_is_past_its_time_is_deleted_in_portions() {
    for place in Kept::each().await {
        let label = &place.label;
        place.customer("ana").await;
        let old = now().minus_days(30);
        for (at, number) in (-3..3).zip(0_i64..) {
            let batch = [click(&format!("e{number}"), "ana", "p")];
            place.ingest(&batch, old.plus_millis(at)).await;
        }
        let mut portions = Vec::new();
        loop {
            purge_events(&place.store, now(), 2).await.unwrap();
            place.documents.purge(now(), 2).await.unwrap();
            let left = place.clicks(None).await;
            if portions.last() == Some(&left) {
                break;
            }
            portions.push(left);
        }
        assert_eq!(portions, [4, 3], "{label}");
        assert_eq!(place.kept_profiles().await, 0, "{label}");
    }
}

#[tokio::test]
async fn the_views_of_a_day_are_documents_that_never_count_back() {
    let Some(place) = Kept::each()
        .await
        .into_iter()
        .find(|place| place.mongodb.is_some())
    else {
        return;
    };
    let views = |counts: &[(&str, i64)]| -> BTreeMap<String, i64> {
        let counts = counts
            .iter()
            .map(|(product, count)| ((*product).to_owned(), *count));
        counts.collect()
    };
    let day = now().day();
    for counts in [[("a", 5), ("b", 1)], [("a", 4), ("b", 3)]] {
        place
            .documents
            .note_views(day, &views(&counts))
            .await
            .unwrap();
    }
    let many: BTreeMap<String, i64> = (0..1_200).map(|number| (format!("p{number}"), 1)).collect();
    place
        .documents
        .note_views(day.previous(), &many)
        .await
        .unwrap();
    let found = place
        .mongodb
        .unwrap()
        .collection::<Document>("produtos_mais_vistos");
    let b = found
        .find_one(doc! {"_id": "2026-11-21/b"})
        .await
        .unwrap()
        .unwrap();
    let expected =
        doc! {"_id": "2026-11-21/b", "dia": "2026-11-21", "id_produto": "b", "count": 3_i64};
    assert_eq!(b, expected);
    let a = found
        .find_one(doc! {"_id": "2026-11-21/a"})
        .await
        .unwrap()
        .unwrap();
    assert_eq!(a.get_i64("count").unwrap(), 5);
    assert_eq!(found.count_documents(doc! {}).await.unwrap(), 1_202);
}

#[tokio::test]
async fn a_uri_that_cannot_be_read_is_told_without_its_values() {
    let database = databases().await.remove(0);
    let store = migrated(&database).await;
    for uri in [
        "segredo",
        "mysql://segredo:segredo@host/x",
        "mongodb://segredo:sé@gredo@host/x",
        "mongodb://segredo@host/?segredo=segredo",
        "mongodb://host:segredo/x",
    ] {
        let opened = Documents::in_mongodb(store.clone(), uri, Stage::Prod).await;
        let error = opened.err().unwrap();
        assert_eq!(error, UriError::Unreadable, "{uri}");
        assert!(!format!("{error} {error:?}").contains("segredo"));
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_slow_is_told_without_its_address() {
    let database = databases().await.remove(0);
    let store = migrated(&database).await;
    let uri = testkit::unreachable_mongodb("segredo", "segredo");
    let documents = Documents::in_mongodb(store, &uri, Stage::Dev)
        .await
        .unwrap();
    let users: BTreeSet<&str> = ["ana"].into();
    let (asked, erased) =
        futures::join!(documents.profiles(&users, now()), documents.erase(&users));
    assert_eq!(asked.err(), Some(DocumentsError::Unreachable));
    assert_eq!(erased, Err(DocumentsError::Unreachable));
    let told = DocumentsError::Unreachable;
    assert!(told.is_transient());
    assert!(!format!("{told} {told:?}").contains("segredo"));
}
