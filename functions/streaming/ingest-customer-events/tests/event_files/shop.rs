//! A shop with nothing in it, and what an event leaves there.

use std::{cell::RefCell, path::PathBuf};

use documents::Documents;
use domain::{events::Window, lake::Table, live::Figures, time::UtcMillis};
use files::{Files, FolderFiles};
use ingest_customer_events::IngestCustomerEvents;
use lake::Lake;
use lambda_kit::{
    DeadLetters, SealKey,
    dead_letter::{DeadLetter, SendFailed},
    sqs::answer,
};
use mongodb::{Client, Database, bson::Document};
use secrets::Stage;
use serde_json::{Value, json};
use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx, events::live, lake as catalogue, values,
};
use tempfile::TempDir;
use testkit::{TestDatabase, databases};

pub const FUNCTION: &str = "ingest-customer-events";
/// 2026-11-20T15:00:00Z, a minute after the events of the event files.
pub const NOW: UtcMillis = match UtcMillis::new(1_795_186_800_000) {
    Ok(now) => now,
    Err(_) => unreachable!(),
};

pub struct Letters {
    key: SealKey,
    pub sent: RefCell<Vec<DeadLetter>>,
}

impl Default for Letters {
    fn default() -> Self {
        Self {
            key: SealKey::new(&[9; 32]).unwrap(),
            sent: RefCell::default(),
        }
    }
}

impl DeadLetters for Letters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let letter = serde_json::from_str(&body).map_err(|_| SendFailed)?;
        self.sent.borrow_mut().push(letter);
        Ok(())
    }
}

/// A column of `click_log`, and what it is called in a document.
const CLICK_FIELDS: [(&str, &str); 4] = [
    ("user_id", "id_usuario"),
    ("region", "regiao"),
    ("segment", "segmento"),
    ("favourite_category", "categoria_favorita"),
];

pub struct Shop {
    pub store: Store,
    pub documents: Documents,
    pub letters: Letters,
    pub files: TempDir,
    pub label: &'static str,
    database: TestDatabase,
    mongodb: Option<(String, Database)>,
}

#[derive(FromQueryResult)]
struct Number {
    found: i64,
}

impl Shop {
    /// On every database that there is, and with documents in MongoDB.
    pub async fn everywhere() -> Vec<Self> {
        let mut shops = Vec::new();
        for database in databases().await {
            shops.push(Self::open(database, None).await);
        }
        shops.extend(Self::in_mongodb().await);
        shops
    }

    /// On SQLite with documents in MongoDB, where there is one.
    pub async fn in_mongodb() -> Option<Self> {
        let uri = testkit::mongodb()?;
        let client = Client::with_uri_str(&uri).await.unwrap();
        let mongodb = client.default_database().unwrap();
        let database = databases().await.swap_remove(0);
        Some(Self::open(database, Some((uri, mongodb))).await)
    }

    async fn open(database: TestDatabase, mongodb: Option<(String, Database)>) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, NOW).await.unwrap();
        let uri = mongodb.as_ref().map(|(uri, _)| uri.as_str());
        let documents = documents(store.clone(), uri).await;
        documents.migrate().await.unwrap();
        Self {
            store,
            documents,
            letters: Letters::default(),
            files: TempDir::new().unwrap(),
            label: uri.map_or(database.label(), |_| "MongoDB"),
            database,
            mongodb,
        }
    }

    /// Another instance of the function.
    pub async fn instance(&self, options: Options) -> IngestCustomerEvents {
        self.places().instance(options).await
    }

    /// Where everything lies.
    pub fn places(&self) -> Places {
        Places {
            database: self.database.url().to_owned(),
            mongodb: self.mongodb.as_ref().map(|(uri, _)| uri.clone()),
            files: self.files.path().to_owned(),
        }
    }

    pub const fn has_mongodb(&self) -> bool {
        self.mongodb.is_some()
    }

    /// Clicks in the log whose columns are these.
    pub async fn clicks(&self, columns: &[(&str, Option<&str>)]) -> i64 {
        if let Some((_, mongodb)) = &self.mongodb {
            let mut filter = Document::new();
            for (column, value) in columns {
                let field = CLICK_FIELDS.iter().find(|(name, _)| name == column);
                filter.insert(field.unwrap().1, *value);
            }
            assert_eq!(self.number("SELECT COUNT(*) FROM click_log").await, 0);
            let found = mongodb.collection::<Document>("cliques");
            let found = found.count_documents(filter).await.unwrap();
            return i64::try_from(found).unwrap();
        }
        let mut sql = "SELECT COUNT(*) FROM click_log WHERE 1 = 1".to_owned();
        for (column, value) in columns {
            sql += &match value {
                Some(value) => format!(" AND {column} = '{value}'"),
                None => format!(" AND {column} IS NULL"),
            };
        }
        self.number(&sql).await
    }

    /// How many profiles are kept.
    pub async fn profiles(&self) -> i64 {
        let Some((_, mongodb)) = &self.mongodb else {
            return self.number("SELECT COUNT(*) FROM profiles").await;
        };
        let found = mongodb.collection::<Document>("perfis");
        let found = found.count_documents(Document::new()).await.unwrap();
        i64::try_from(found).unwrap()
    }

    /// Hands an instance an event as Lambda would.
    pub async fn receive(&self, event: Value) -> Value {
        let instance = self.instance(Options::default()).await;
        answer(FUNCTION, &self.letters, &instance, event, NOW)
            .await
            .unwrap()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let sql = format!("SELECT CAST(COALESCE(({sql}), 0) AS SIGNED) AS found");
        let work = async |tx: &Tx| tx.one::<Number>(&sql, values![]).await;
        let row = self.store.transact::<_, StoreError, _>(work).await.unwrap();
        row.unwrap().found
    }

    /// What all batches were, one of the columns of `event_batches`.
    pub async fn sum(&self, column: &str) -> i64 {
        self.number(&format!("SELECT SUM({column}) FROM event_batches"))
            .await
    }

    pub async fn live(&self) -> Figures {
        let window = Window::parse("60m").unwrap();
        live::read(&self.store, window, NOW).await.unwrap().whole
    }

    /// Rows of the lake that readers see; each file is there, of the size that the catalogue says.
    pub async fn lake_rows(&self) -> u64 {
        let Some(snapshot) = catalogue::latest(&self.store, &[Table::CustomerEvents])
            .await
            .unwrap()
        else {
            return 0;
        };
        let files = catalogue::files_at(&self.store, Table::CustomerEvents, snapshot.id)
            .await
            .unwrap();
        let folder = self
            .files
            .path()
            .join("vendas-teste/lago/main/eventos_clientes");
        for file in &files {
            let size = std::fs::metadata(folder.join(&file.name)).unwrap().len();
            assert_eq!(size, file.size_bytes, "{}", file.name);
        }
        files.iter().map(|file| file.rows).sum()
    }
}

/// What an instance needs, in this thread or another.
#[derive(Clone)]
pub struct Places {
    database: String,
    pub mongodb: Option<String>,
    files: PathBuf,
}

impl Places {
    pub async fn instance(&self, options: Options) -> IngestCustomerEvents {
        let store = Store::open_with(&self.database, options).await.unwrap();
        let documents = documents(store.clone(), self.mongodb.as_deref()).await;
        let folder = FolderFiles::open(&self.files).unwrap();
        let lake = Lake::new(Files::Folder(folder), "vendas-teste");
        IngestCustomerEvents::new(store, documents, lake)
    }
}

async fn documents(store: Store, uri: Option<&str>) -> Documents {
    match uri {
        Some(uri) => Documents::in_mongodb(store, uri, Stage::Dev).await.unwrap(),
        None => Documents::in_sql(store),
    }
}

/// An event of SQS with these bodies.
pub fn sqs(bodies: impl IntoIterator<Item = String>) -> Value {
    let records: Vec<Value> = (0..)
        .zip(bodies)
        .map(|(place, body): (u32, String)| {
            json!({"messageId": format!("m{place}"), "body": body, "attributes": {},
                "messageAttributes": {}})
        })
        .collect();
    json!({ "Records": records })
}
