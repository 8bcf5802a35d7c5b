//! What must hold when a stream was consumed: database 2 equals the model, each record that can't
//! be read has its dead letter, and no personal value is where it must not be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::identity::CustomerId;
use lambda_kit::dead_letter::DeadLetter;
use serde_json::Value;
use sql_store::{Store, StoreError, Tx, projection::receipts, values};

use crate::member::{Scene, files, pseudonyms, seal_key};
use crate::stream::{Left, Row, Sent, Stream};

/// Below every version: what the database holds where there is none.
const NO_VERSION: i64 = -1;
/// Shorter values would be found by chance.
const SHORTEST: usize = 8;

/// Everything that a table holds.
async fn rows(store: &Store, table: &str) -> Vec<Value> {
    let sql = format!("SELECT * FROM {table}");
    let work = async |tx: &Tx| tx.all::<Value>(&sql, values![]).await;
    store.transact::<_, StoreError, _>(work).await.unwrap()
}

/// Database 2 holds what the model has left, the deleted as pseudonyms only.
pub async fn assert_database(scene: &Scene, stream: &Stream) {
    let store = Store::open(scene.database.url()).await.unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
    let mut found = BTreeMap::new();
    for row in rows(&store, "contacts").await {
        let kept = text(&row, "name").map(|name| Row {
            name,
            phone: text(&row, "phone").unwrap(),
            region: text(&row, "region").unwrap(),
        });
        assert_eq!(row["deleted"].as_i64() == Some(0), kept.is_some());
        assert_eq!(row["phone_mark"].is_string(), kept.is_some());
        let version = row["version"]
            .as_i64()
            .filter(|version| *version != NO_VERSION);
        let left = Left { version, row: kept };
        found.insert(text(&row, "subject").unwrap(), left);
    }
    let pseudonyms = pseudonyms();
    let expected = stream.left.iter().map(|(id, left)| {
        let customer = CustomerId::parse(id.as_str()).unwrap();
        let contact = pseudonyms.of_customer(&customer).unwrap();
        (contact.as_str().to_owned(), left.clone())
    });
    let expected: BTreeMap<String, Left> = expected.collect();
    let differing = expected
        .iter()
        .filter(|(id, left)| found.get(*id) != Some(*left));
    let differing: Vec<_> = differing.map(|(id, left)| (left, found.get(id))).collect();
    let label = scene.database.label();
    assert!(
        differing.is_empty(),
        "{label}: {:#?}",
        &differing[..differing.len().min(5)]
    );
    assert_eq!(found.len(), expected.len(), "{label}: somebody nobody sent");
    let chain = receipts::verify(&store).await.unwrap();
    assert!(chain.is_ok(), "{label}: the chain of receipts is broken");
}

/// Every record that must be refused has a dead letter with its reason, which opens to its bytes;
/// no other record has one.
pub fn assert_dead_letters(letters: &[Vec<u8>], sent: &[Sent], coordinates: &[String]) {
    let key = seal_key();
    let mut found: BTreeMap<String, (String, BTreeMap<usize, Vec<u8>>)> = BTreeMap::new();
    for letter in letters {
        let letter: DeadLetter = serde_json::from_slice(letter).unwrap();
        let part = letter.open(&key).expect("our key opens it");
        let (reason, parts) = found.entry(letter.id_mensagem).or_default();
        reason.clone_from(&letter.motivo);
        parts.insert(letter.parte.unwrap_or(1), part);
    }
    let refused = sent.iter().zip(coordinates);
    let refused = refused.filter_map(|(sent, at)| sent.refused.map(|why| (at, (sent, why))));
    let refused: BTreeMap<&String, _> = refused.collect();
    let unexpected: Vec<_> = found
        .iter()
        .filter(|(at, _)| !refused.contains_key(at))
        .map(|(at, (reason, _))| (at, reason))
        .collect();
    assert!(
        unexpected.is_empty(),
        "good records are buried: {unexpected:?}"
    );
    for (at, (sent, why)) in refused {
        let (reason, parts) = found
            .get(at)
            .unwrap_or_else(|| panic!("{at} ({why}) is lost"));
        assert_eq!(reason, why, "{at}");
        let content: Vec<u8> = parts.values().flatten().copied().collect();
        let content: Value = serde_json::from_slice(&content).unwrap();
        let value = content["value"]
            .as_str()
            .map(|text| STANDARD.decode(text).unwrap());
        assert_eq!(value, sent.value, "{at}: what was sealed is what was sent");
    }
}

/// Logs, metrics and dead letters show no personal value at all; database 2 holds those of the kept
/// and nobody else's.
pub async fn assert_private(scene: &Scene, stream: &Stream, letters: &[Vec<u8>]) {
    let personal = Needles::new(&stream.personal());
    for (path, bytes) in scene.written() {
        personal.assert_absent(&bytes, &path.display().to_string());
    }
    for letter in letters {
        personal.assert_absent(letter, "a dead letter");
        let letter: DeadLetter = serde_json::from_slice(letter).unwrap();
        let sealed = STANDARD.decode(&letter.conteudo_cifrado).unwrap();
        personal.assert_absent(&sealed, "what is sealed in a dead letter");
    }
    let gone = Needles::new(&stream.not_in_database());
    let store = Store::open(scene.database.url()).await.unwrap();
    for table in [
        "contacts",
        "erasure_receipts",
        "calls",
        "access_log",
        "job_runs",
    ] {
        for row in rows(&store, table).await {
            gone.assert_absent(row.to_string().as_bytes(), table);
        }
    }
    drop(store);
    let Some(path) = scene.database.url().strip_prefix("sqlite://") else {
        return;
    };
    let kept = Needles::new(&stream.kept());
    let mut has_kept = false;
    for (path, bytes) in files(Path::new(path).parent().unwrap()) {
        gone.assert_absent(&bytes, &path.display().to_string());
        has_kept |= kept.found(&bytes).is_some();
    }
    assert!(has_kept, "the search finds what is there");
}

/// Values that are searched for, by the bytes they begin with.
struct Needles {
    values: HashMap<[u8; SHORTEST], Vec<Vec<u8>>>,
    /// Where no value begins with bytes of this hash, as of most bytes, the search goes on at once.
    begins: Vec<bool>,
}

const HASHES: usize = 1 << 20;

fn hash(begin: [u8; SHORTEST]) -> usize {
    let mixed = u64::from_le_bytes(begin).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(mixed >> 44).unwrap()
}

impl Needles {
    fn new(values: &BTreeSet<String>) -> Self {
        let mut needles = Self {
            values: HashMap::new(),
            begins: vec![false; HASHES],
        };
        for value in values {
            // As it stands in JSON that escapes, too.
            let escaped: String = value.chars().flat_map(escaped).collect();
            for spelling in [value, &escaped] {
                let bytes = spelling.as_bytes();
                let begin = *bytes.first_chunk().expect("long enough to be no chance");
                needles.begins[hash(begin)] = true;
                needles
                    .values
                    .entry(begin)
                    .or_default()
                    .push(bytes.to_vec());
            }
        }
        needles
    }

    fn found(&self, bytes: &[u8]) -> Option<String> {
        let found = (0..bytes.len()).find_map(|place| {
            let rest = &bytes[place..];
            let begin = rest.first_chunk()?;
            if !self.begins[hash(*begin)] {
                return None;
            }
            let mut values = self.values.get(begin)?.iter();
            values.find(|value| rest.starts_with(value))
        });
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn assert_absent(&self, bytes: &[u8], place: &str) {
        let found = self.found(bytes);
        assert!(
            found.is_none(),
            "{place} holds {}",
            found.unwrap_or_default()
        );
    }
}

fn escaped(letter: char) -> Vec<char> {
    match letter.is_ascii() {
        true => vec![letter],
        false => format!("\\u{:04x}", u32::from(letter)).chars().collect(),
    }
}
