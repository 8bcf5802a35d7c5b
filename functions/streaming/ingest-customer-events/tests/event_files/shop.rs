//! A shop with nothing in it, and what an event leaves there.

use std::cell::RefCell;

use domain::{events::Window, lake::Table, live::Figures, time::UtcMillis};
use files::{Files, FolderFiles};
use ingest_customer_events::IngestCustomerEvents;
use lake::Lake;
use lambda_kit::{
    DeadLetters, SealKey,
    dead_letter::{DeadLetter, SendFailed},
    sqs::answer,
};
use serde_json::{Value, json};
use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx, events::live, lake as catalogue, values,
};
use tempfile::TempDir;

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

pub struct Shop {
    pub store: Store,
    pub letters: Letters,
    pub files: TempDir,
    url: String,
}

#[derive(FromQueryResult)]
struct Number {
    found: i64,
}

impl Shop {
    pub async fn open(url: &str) -> Self {
        let store = Store::open(url).await.unwrap();
        sql_store::migrate::migrate(&store, NOW).await.unwrap();
        Self {
            store,
            letters: Letters::default(),
            files: TempDir::new().unwrap(),
            url: url.to_owned(),
        }
    }

    /// Another instance of the function.
    pub async fn instance(&self, options: Options) -> IngestCustomerEvents {
        let store = Store::open_with(&self.url, options).await.unwrap();
        IngestCustomerEvents::new(store, self.lake())
    }

    fn lake(&self) -> Lake {
        let folder = FolderFiles::open(self.files.path()).unwrap();
        Lake::new(Files::Folder(folder), "vendas-teste")
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
