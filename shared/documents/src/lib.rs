//! Documents: profiles of buyers, the log of clicks and the most viewed products. They are rows of
//! the SQL database, or documents of MongoDB where MONGODB_URI is set; whoever calls can't tell.
//!
//! What is written to MongoDB comes before the SQL transaction that marks it as done, under ids
//! derived from what came, so that a repetition writes the same; what is erased is erased in SQL
//! first, and whoever writes a document afterwards asks SQL whether its customer is gone.
//!
//! Architecture invariant: no text of MongoDB's and no value of MONGODB_URI leaves this crate.

mod clicks;
mod connection;
mod error;
mod profiles;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::IntoFuture,
    time::Duration,
};

use domain::{
    customers::News,
    profiles::BuyerProfile,
    time::{Day, UtcMillis},
};
use mongodb::{Collection, Database, IndexModel, bson::Document, bson::doc};
use secrets::{Secrets, Stage, keys};
use sql_store::{
    Store, StoreError, Tx,
    customers::Synced,
    events::{Incoming, Sorted, profiles as sql_profiles},
    observer::Point,
};

pub use connection::UriError;
pub use error::DocumentsError;

/// A profile each, by customer.
const PROFILES: &str = "perfis";
/// A click each.
const CLICKS: &str = "cliques";
/// A day's views of a product each.
const MOST_VIEWED: &str = "produtos_mais_vistos";
/// Documents of one call.
const AT_ONCE: usize = 500;
/// How long one call may take in all.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Where documents are.
#[derive(Clone)]
pub struct Documents {
    store: Store,
    mongo: Option<Mongo>,
}

/// MongoDB's database, and the SQL database that says who is a customer.
#[derive(Clone)]
struct Mongo {
    store: Store,
    database: Database,
}

impl Documents {
    /// Documents are rows of this database.
    #[must_use]
    pub const fn in_sql(store: Store) -> Self {
        Self { store, mongo: None }
    }

    /// In MongoDB where [`keys::MONGODB_URI`] is among the settings, else in `store`.
    ///
    /// # Errors
    /// When the URI can't be read; it is not quoted.
    pub async fn open(store: Store, secrets: &Secrets) -> Result<Self, UriError> {
        match secrets.optional_text(keys::MONGODB_URI) {
            None => Ok(Self::in_sql(store)),
            Some(uri) => Self::in_mongodb(store, uri.expose(), secrets.stage()).await,
        }
    }

    /// In the MongoDB of this URI, which is first reached by the first call; in prod by TLS, unless
    /// the URI says otherwise.
    ///
    /// # Errors
    /// When the URI can't be read; it is not quoted.
    pub async fn in_mongodb(store: Store, uri: &str, stage: Stage) -> Result<Self, UriError> {
        let database = connection::database(uri, stage).await?;
        let mongo = Mongo {
            store: store.clone(),
            database,
        };
        Ok(Self {
            store,
            mongo: Some(mongo),
        })
    }

    /// Whether the transactions of the SQL store write them.
    #[must_use]
    pub const fn are_in_sql(&self) -> bool {
        self.mongo.is_none()
    }

    /// Makes the indexes that are missing.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn migrate(&self) -> Result<(), DocumentsError> {
        let Some(mongo) = &self.mongo else {
            return Ok(());
        };
        for (collection, keys) in [
            (PROFILES, doc! {"atualizado_em": 1}),
            (CLICKS, doc! {"id_usuario": 1}),
            (CLICKS, doc! {"registrado_em": 1}),
            (MOST_VIEWED, doc! {"dia": 1, "count": -1}),
        ] {
            let index = IndexModel::builder().keys(keys).build();
            let collection = mongo.collection(collection);
            mongo
                .call("indexes", collection.create_index(index))
                .await?;
        }
        Ok(())
    }

    /// The profiles of those of these users who are customers. What is missing or old is made anew.
    ///
    /// # Errors
    /// When a database fails.
    pub async fn profiles(
        &self,
        users: &BTreeSet<&str>,
        now: UtcMillis,
    ) -> Result<BTreeMap<String, BuyerProfile>, DocumentsError> {
        match &self.mongo {
            None => Ok(sql_profiles::of_users(&self.store, users, now).await?),
            Some(mongo) => profiles::of_users(mongo, users, now).await,
        }
    }

    /// Notes the clicks among a batch's new events with what the profiles say, before the batch is
    /// committed, and takes back those of events that turned out to have another one's identity.
    /// In SQL the commit does so.
    ///
    /// # Errors
    /// When a database fails.
    pub async fn log_clicks(
        &self,
        incoming: &[Incoming],
        sorted: &Sorted,
        profiles: &BTreeMap<String, BuyerProfile>,
        now: UtcMillis,
    ) -> Result<(), DocumentsError> {
        match &self.mongo {
            None => Ok(()),
            Some(mongo) => clicks::log(mongo, incoming, sorted, profiles, now).await,
        }
    }

    /// Writes a day's views by product, before the transaction that puts them together. Counts never
    /// go back. In SQL they are where they were counted.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn note_views(
        &self,
        day: Day,
        views: &BTreeMap<String, i64>,
    ) -> Result<(), DocumentsError> {
        match &self.mongo {
            None => Ok(()),
            Some(mongo) => views::note(mongo, day, views).await,
        }
    }

    /// Takes over news of customers ([`sql_store::customers::sync`]), and erases the documents of
    /// those whom they delete, also where SQL had known that before.
    ///
    /// # Errors
    /// When a database fails; where MongoDB does, SQL has taken the news over and they must come again.
    pub async fn sync_customers(
        &self,
        news: &[News],
        now: UtcMillis,
    ) -> Result<Synced, DocumentsError> {
        let synced = sql_store::customers::sync(&self.store, news, now).await?;
        let deleted = news.iter().filter(|one| one.profile.is_none());
        let deleted: BTreeSet<&str> = deleted.map(|one| one.customer.as_str()).collect();
        self.erase(&deleted).await?;
        Ok(synced)
    }

    /// Deletes every document about these customers, whom SQL has erased. In SQL that did it.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn erase(&self, customers: &BTreeSet<&str>) -> Result<(), DocumentsError> {
        let Some(mongo) = &self.mongo else {
            return Ok(());
        };
        let customers: Vec<&str> = customers.iter().copied().collect();
        mongo.delete(PROFILES, "_id", &customers).await?;
        mongo.delete(CLICKS, "id_usuario", &customers).await
    }

    /// Deletes the oldest `limit` documents of each kind that are past their time, and those of the
    /// same millisecond as the last of them; answers how many. What is in SQL,
    /// [`sql_store::housekeeping::purge_events`] deletes.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn purge(&self, now: UtcMillis, limit: u32) -> Result<u64, DocumentsError> {
        let Some(mongo) = &self.mongo else {
            return Ok(0);
        };
        let clicks = clicks::purge(mongo, now, limit).await?;
        Ok(clicks + profiles::purge(mongo, now, limit).await?)
    }
}

impl Mongo {
    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// Calls MongoDB, within a limit, between two points that the store's observer sees.
    async fn call<T>(
        &self,
        name: &str,
        work: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> Result<T, DocumentsError> {
        self.store.reach(Point::Before(name)).await;
        let answer = tokio::time::timeout(CALL_LIMIT, work.into_future()).await;
        self.store.reach(Point::After(name)).await;
        match answer {
            Ok(answer) => answer.map_err(|error| DocumentsError::of(&error)),
            Err(_) => Err(DocumentsError::Slow),
        }
    }

    /// Writes what is not there yet: a document with a known id is the same one.
    async fn insert_new(&self, to: &str, documents: &[Document]) -> Result<(), DocumentsError> {
        let collection = self.collection(to);
        for documents in documents.chunks(AT_ONCE) {
            let insert = collection.insert_many(documents).ordered(false);
            let known = async {
                match insert.await {
                    Err(error) if error::says_known_alone(&error) => Ok(()),
                    answer => answer.map(drop),
                }
            };
            self.call("insert", known).await?;
        }
        Ok(())
    }

    /// Deletes the documents that have one of these values in a field.
    async fn delete(
        &self,
        from: &str,
        field: &str,
        values: &[impl AsRef<str>],
    ) -> Result<(), DocumentsError> {
        let collection = self.collection(from);
        for values in values.chunks(AT_ONCE) {
            let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
            let filter = doc! {field: {"$in": values}};
            self.call("delete", collection.delete_many(filter)).await?;
        }
        Ok(())
    }

    /// Those of these users who were erased, as SQL says now.
    async fn erased(&self, users: &[&str]) -> Result<BTreeSet<String>, DocumentsError> {
        let ask = async |tx: &Tx| sql_profiles::erased(tx, users).await;
        Ok(self.store.transact::<_, StoreError, _>(ask).await?)
    }

    /// Deletes the oldest `limit` documents whose `age` is before a time; answers how many.
    async fn purge(
        &self,
        from: &str,
        age: &str,
        before: UtcMillis,
        limit: u32,
    ) -> Result<u64, DocumentsError> {
        let collection = self.collection(from);
        let before = mongodb::bson::DateTime::from_millis(before.get());
        let find = collection
            .find_one(doc! {age: {"$lt": before}})
            .sort(doc! {age: 1})
            .skip(u64::from(limit.saturating_sub(1)))
            .projection(doc! {age: 1});
        let last = self.call("find", find).await?;
        let filter = match last.and_then(|last| last.get_datetime(age).ok().copied()) {
            Some(last) => doc! {age: {"$lte": last}},
            None => doc! {age: {"$lt": before}},
        };
        let deleted = self.call("delete", collection.delete_many(filter)).await?;
        Ok(deleted.deleted_count)
    }
}
