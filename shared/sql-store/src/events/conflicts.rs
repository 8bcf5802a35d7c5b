//! Events that came with the identity of another one and said something else: kept aside until an
//! operator decides, or their time is over.

use domain::Invalid;
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, page::Page, values};

const COLUMNS: &str = "event_key, content_hash, content, received_ms";

/// One of them: the hash of its identity and that of what it says, `<32 hex>.<16 hex>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictId {
    event_key: String,
    content_hash: i64,
}

/// An event that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ConflictRow {
    event_key: String,
    content_hash: i64,
    /// What it says, as the domain writes it.
    pub content: String,
    /// When it came.
    pub received_ms: i64,
}

impl ConflictId {
    /// From its text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be an id that conflitos has named");
        let (event_key, hash) = text.split_once('.').ok_or(RULE)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if event_key.len() != 32 || hash.len() != 16 || !event_key.bytes().all(is_hex) {
            return Err(RULE);
        }
        let hash = u64::from_str_radix(hash, 16).map_err(|_| RULE)?;
        Ok(Self {
            event_key: event_key.to_owned(),
            content_hash: hash.cast_signed(),
        })
    }
}

impl std::fmt::Display for ConflictId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:016x}", self.event_key, self.content_hash)
    }
}

impl ConflictRow {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConflictId {
        ConflictId {
            event_key: self.event_key.clone(),
            content_hash: self.content_hash,
        }
    }
}

/// What was kept aside, in the order of the ids: `limit` at most after this one.
///
/// # Errors
/// When the database fails.
pub async fn conflicts(
    store: &Store,
    after: Option<&ConflictId>,
    limit: u32,
) -> Result<Page<ConflictRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM conflicting_events \
         WHERE event_key > ? OR event_key = ? AND content_hash > ? \
         ORDER BY event_key, content_hash LIMIT ?"
    );
    let (key, hash) = after.map_or(("", i64::MIN), |id| {
        (id.event_key.as_str(), id.content_hash)
    });
    let more = limit.saturating_add(1);
    let rows = store
        .transact(async |tx: &Tx| tx.all(&sql, values![key, key, hash, more]).await)
        .await?;
    Ok(Page::cut(rows, limit))
}

/// One that was kept aside; none where it is gone.
///
/// # Errors
/// When the database fails.
pub async fn conflict(store: &Store, id: &ConflictId) -> Result<Option<ConflictRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM conflicting_events WHERE event_key = ? AND content_hash = ?"
    );
    store
        .transact(async |tx: &Tx| {
            tx.one(&sql, values![id.event_key.as_str(), id.content_hash])
                .await
        })
        .await
}

/// Forgets one. False where it was gone.
///
/// # Errors
/// When the database fails.
pub async fn forget_conflict(store: &Store, id: &ConflictId) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM conflicting_events WHERE event_key = ? AND content_hash = ?";
    let gone = store
        .transact(async |tx: &Tx| {
            tx.execute(SQL, values![id.event_key.as_str(), id.content_hash])
                .await
        })
        .await?;
    Ok(gone > 0)
}
