//! Phones, as HMACs: who calls one now, who claimed which, and those that nobody may call.

use domain::{
    identity::{AgentId, ContactId},
    telesales::CLAIM_DAYS,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use crate::{StoreError, Tx, Value, placeholders, values};

#[derive(FromQueryResult)]
struct LeaseRow {
    agent: String,
    claimed_until_ms: i64,
}

/// A phone.
#[derive(FromQueryResult)]
pub(super) struct MarkRow {
    /// Its HMAC.
    pub phone_mark: String,
}

/// Who calls this phone. Two customers may have it, so it has a row of its own to be locked.
pub(super) async fn lock(tx: &Tx, mark: &str) -> Result<Option<(AgentId, UtcMillis)>, StoreError> {
    tx.insert_new(
        "INSERT INTO phone_leases (phone_mark, agent, claimed_until_ms) VALUES (?, '', 0)",
        values![mark],
    )
    .await?;
    let sql = format!(
        "SELECT agent, claimed_until_ms FROM phone_leases WHERE phone_mark = ?{}",
        tx.for_update()
    );
    let row: Option<LeaseRow> = tx.one(&sql, values![mark]).await?;
    let held = row.filter(|row| !row.agent.is_empty());
    let held = held.map(|row| {
        let until = UtcMillis::new(row.claimed_until_ms)?;
        Ok::<_, StoreError>((AgentId::parse(row.agent)?, until))
    });
    held.transpose()
}

/// Whether its owner asked not to be called. Ask under the phone's lock: whoever held it before may
/// have just said so.
pub(super) async fn is_marked(tx: &Tx, mark: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 AS found FROM do_not_call WHERE phone_mark = ?";
    tx.exists(sql, values![mark]).await
}

/// Gives a phone that is locked to `agent`, and keeps under whose name.
pub(super) async fn claim(
    tx: &Tx,
    agent: &AgentId,
    contact: &ContactId,
    mark: &str,
    until: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE phone_leases SET agent = ?, claimed_until_ms = ? WHERE phone_mark = ?",
        values![agent.as_str(), until.get(), mark],
    )
    .await?;
    tx.execute(
        "REPLACE INTO claimed_phones (subject, agent, phone_mark, claimed_until_ms) \
         VALUES (?, ?, ?, ?)",
        values![contact.as_str(), agent.as_str(), mark, until.get()],
    )
    .await
    .map(|_| ())
}

/// The phones that `agent` claimed under this name, until [`CLAIM_DAYS`] after the claims were over.
pub(super) async fn claimed_by(
    tx: &Tx,
    agent: &AgentId,
    contact: &ContactId,
    now: UtcMillis,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT phone_mark FROM claimed_phones \
               WHERE subject = ? AND agent = ? AND claimed_until_ms > ? ORDER BY phone_mark";
    let oldest = now.minus_days(CLAIM_DAYS);
    let keys = values![contact.as_str(), agent.as_str(), oldest.get()];
    let rows: Vec<MarkRow> = tx.all(sql, keys).await?;
    Ok(rows.into_iter().map(|row| row.phone_mark).collect())
}

/// The call is over: the agent's phones are free, but for one that she holds under another name too.
pub(super) async fn free(
    tx: &Tx,
    agent: &AgentId,
    contact: &ContactId,
    marks: &[String],
    now: UtcMillis,
) -> Result<(), StoreError> {
    let places = placeholders(1, marks.len());
    let keys = || marks.iter().map(|mark| Value::from(mark.as_str()));
    // Else the look at other names would not see a claim that is made at once.
    let sql = format!(
        "SELECT agent, claimed_until_ms FROM phone_leases WHERE phone_mark IN {places} \
         ORDER BY phone_mark{}",
        tx.for_update()
    );
    tx.all::<LeaseRow>(&sql, keys().collect()).await?;
    tx.execute(
        "UPDATE claimed_phones SET claimed_until_ms = ? \
         WHERE subject = ? AND agent = ? AND claimed_until_ms > ?",
        values![now.get(), contact.as_str(), agent.as_str(), now.get()],
    )
    .await?;
    let sql = format!(
        "UPDATE phone_leases SET claimed_until_ms = ? WHERE agent = ? AND claimed_until_ms > ? \
         AND phone_mark IN {places} AND NOT EXISTS (SELECT 1 FROM claimed_phones p \
           WHERE p.phone_mark = phone_leases.phone_mark AND p.agent = phone_leases.agent \
           AND p.claimed_until_ms > ?)"
    );
    let mut all = values![now.get(), agent.as_str(), now.get()];
    all.extend(keys());
    all.push(Value::from(now.get()));
    tx.execute(&sql, all).await.map(|_| ())
}

/// Nobody calls these phones again; answers whether that is new of any.
pub(super) async fn mark(tx: &Tx, marks: &[String], now: UtcMillis) -> Result<bool, StoreError> {
    let mut is_new = false;
    for mark in marks {
        is_new |= tx
            .insert_new(
                "INSERT INTO do_not_call (phone_mark, since_ms) VALUES (?, ?)",
                values![mark.as_str(), now.get()],
            )
            .await?;
    }
    Ok(is_new)
}
