//! Idempotency keys of HTTP requests over SQL alone: the key lives in the work's transaction, so a
//! second request waits for the first and replays its answer.

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{StoreError, Tx, values};

/// Keys are forgotten after this time.
pub const KEY_HOURS: u32 = 24;

/// Whose key it is, for which route, and what the request said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The token's subject.
    pub principal: String,
    /// The route, such as `POST /mgm/campaigns`.
    pub route: String,
    /// The header's value.
    pub key: String,
    /// SHA-256 of the request's body, in hex.
    pub fingerprint: String,
}

/// An answer to give again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: String,
}

/// What the key says about this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// First time: do the work, then [`Tx::store_answer`].
    New,
    /// Done before: give this answer again.
    Replay(StoredAnswer),
    /// The key came with another request (422).
    OtherRequest,
}

#[derive(FromQueryResult)]
struct Row {
    fingerprint: String,
    status: i32,
    body: String,
}

impl StoredAnswer {
    /// An answer with this body.
    ///
    /// # Errors
    /// [`StoreError::NotJson`] when the body can't be written so.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self, StoreError> {
        let body = serde_json::to_string(body).map_err(|_| StoreError::NotJson)?;
        Ok(Self { status, body })
    }
}

impl RequestKey {
    /// The key of a request; `content` is what makes it this request and no other.
    #[must_use]
    pub fn new(principal: &str, route: &str, key: &str, content: &[u8]) -> Self {
        let fingerprint = Sha256::digest(content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            principal: principal.to_owned(),
            route: route.to_owned(),
            key: key.to_owned(),
            fingerprint,
        }
    }
}

impl Tx {
    /// Claims the key in this transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_key(
        &self,
        key: &RequestKey,
        now: UtcMillis,
    ) -> Result<KeyState, StoreError> {
        let is_new = self
            .insert_new(
                "INSERT INTO idempotency_keys \
                 (principal, route, idempotency_key, fingerprint, status, body, created_ms) \
                 VALUES (?, ?, ?, ?, 0, '', ?)",
                values![
                    key.principal.as_str(),
                    key.route.as_str(),
                    key.key.as_str(),
                    key.fingerprint.as_str(),
                    now.get()
                ],
            )
            .await?;
        if is_new {
            return Ok(KeyState::New);
        }
        // No FOR UPDATE: who met the key holds a shared lock on its committed row, and many that
        // want more of it at once are a storm of deadlocks.
        let sql = "SELECT fingerprint, status, body FROM idempotency_keys \
             WHERE principal = ? AND route = ? AND idempotency_key = ?";
        let row: Option<Row> = self
            .one(
                sql,
                values![key.principal.as_str(), key.route.as_str(), key.key.as_str()],
            )
            .await?;
        let row = row.ok_or(StoreError::Contended { attempts: 1 })?;
        if row.fingerprint != key.fingerprint {
            return Ok(KeyState::OtherRequest);
        }
        let status = u16::try_from(row.status).map_err(|_| StoreError::Broken("status"))?;
        Ok(KeyState::Replay(StoredAnswer {
            status,
            body: row.body,
        }))
    }

    /// Stores the answer beside the work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn store_answer(
        &self,
        key: &RequestKey,
        answer: &StoredAnswer,
    ) -> Result<(), StoreError> {
        self.execute(
            "UPDATE idempotency_keys SET status = ?, body = ? \
             WHERE principal = ? AND route = ? AND idempotency_key = ?",
            values![
                answer.status,
                answer.body.as_str(),
                key.principal.as_str(),
                key.route.as_str(),
                key.key.as_str()
            ],
        )
        .await
        .map(|_| ())
    }
}
