//! What agents do: list, claim, tell the outcome. Every look is in the access log.

use domain::{
    identity::{AgentId, ContactId},
    personal::{PersonName, Phone, Region},
    telesales::{Call, CallOutcome, Contact, Ending, HOURLY_CONTACTS, NotYours},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::phones::{self, MarkRow};
use crate::{Store, StoreError, Tx, Value, page::Page, placeholders, values};

const HOUR_MS: i64 = 3_600_000;
const PHONE_IS_ANOTHERS: &str = "SELECT 1 FROM phone_leases l WHERE l.phone_mark = c.phone_mark \
     AND l.agent <> ? AND l.claimed_until_ms > ?";

/// A contact as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: ContactId,
    /// Whom to call.
    pub contact: Contact,
    /// How the last call ended.
    pub outcome: Option<CallOutcome>,
}

/// Why an agent got nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelesalesError {
    /// There is no such contact to be called.
    #[error("there is no such contact")]
    Unknown,
    /// It is not this agent's.
    #[error(transparent)]
    NotYours(#[from] NotYours),
    /// The agent has seen as many contacts as an hour allows.
    #[error("an agent sees at most {HOURLY_CONTACTS} contacts in an hour")]
    HourIsFull {
        /// Milliseconds until the next hour begins.
        retry_after_ms: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(FromQueryResult)]
struct ContactRow {
    subject: String,
    name: String,
    phone: String,
    region: String,
    outcome: Option<String>,
}

#[derive(FromQueryResult)]
struct CallRow {
    agent: Option<String>,
    claimed_until_ms: i64,
    outcome: Option<String>,
}

#[derive(FromQueryResult)]
struct Number {
    contacts: i64,
}

impl ContactRow {
    fn listed(self) -> Result<Listed, StoreError> {
        let outcome = self.outcome.as_deref().map(CallOutcome::parse);
        Ok(Listed {
            id: ContactId::parse(self.subject)?,
            contact: Contact {
                name: PersonName::parse(&self.name)?,
                phone: Phone::parse(&self.phone)?,
                region: Region::parse(&self.region)?,
            },
            outcome: outcome.transpose()?,
        })
    }
}

/// Contacts of a region that nobody else has and that may be called, after `after`: a page, counted
/// on the agent's hour and written into the access log in the same transaction.
///
/// # Errors
/// [`TelesalesError::HourIsFull`], or when the database fails.
pub async fn list(
    store: &Store,
    agent: &AgentId,
    region: Region,
    after: Option<&ContactId>,
    limit: u32,
    now: UtcMillis,
) -> Result<Page<Listed>, TelesalesError> {
    store
        .transact(async |tx: &Tx| {
            let rest = rest_of_hour(tx, agent, now).await?;
            let asked = limit.min(rest);
            let sql = format!(
                "SELECT c.subject, c.name, c.phone, c.region, k.outcome FROM contacts c \
                LEFT JOIN calls k ON k.subject = c.subject \
                WHERE c.region = ? AND c.subject > ? AND c.deleted = 0 \
                AND (k.subject IS NULL OR ((k.agent IS NULL OR k.agent = ? \
                  OR k.claimed_until_ms <= ?) \
                  AND (k.outcome IS NULL OR k.outcome IN ('nao_atendeu', 'retornar')))) \
                AND NOT EXISTS ({PHONE_IS_ANOTHERS}) \
                AND NOT EXISTS (SELECT 1 FROM do_not_call d WHERE d.phone_mark = c.phone_mark) \
                ORDER BY c.subject LIMIT ?"
            );
            let after = after.map_or("", ContactId::as_str);
            let (who, at) = (agent.as_str(), now.get());
            let keys = values![region.as_str(), after, who, at, who, at, asked + 1];
            let rows: Vec<ContactRow> = tx.all(&sql, keys).await?;
            let page = Page::cut(rows, asked);
            let mut listed = Vec::with_capacity(page.rows.len());
            for row in page.rows {
                listed.push(row.listed()?);
            }
            let ids: Vec<&ContactId> = listed.iter().map(|one| &one.id).collect();
            note_access(tx, agent, &ids, "lista", now).await?;
            count_on_hour(tx, agent, listed.len(), now).await?;
            Ok(Page {
                rows: listed,
                has_more: page.has_more,
            })
        })
        .await
}

/// Takes a contact for an agent; asked again, the lease begins anew. Answers until when.
///
/// # Errors
/// When there is no such contact, another agent has it or its phone, it is not to be called again, or
/// the agent holds too many.
pub async fn claim(
    store: &Store,
    agent: &AgentId,
    contact: &ContactId,
    now: UtcMillis,
) -> Result<UtcMillis, TelesalesError> {
    store
        .transact(async |tx: &Tx| {
            let others = other_claims(tx, agent, contact, now).await?;
            let mark = phone_mark(tx, contact).await?;
            let mark = mark.ok_or(TelesalesError::Unknown)?;
            let mut call = lock_call(tx, contact).await?;
            call.phone_claim = phones::lock(tx, &mark).await?;
            if phones::is_marked(tx, &mark).await? {
                return Err(TelesalesError::Unknown);
            }
            let until = call.claimed(agent, others, now)?;
            save_claim(tx, contact, agent, until).await?;
            phones::claim(tx, agent, contact, &mark, until).await?;
            note_access(tx, agent, &[contact], "chamada", now).await?;
            Ok(until)
        })
        .await
}

/// Notes how a call ended and frees the contact. Told again, nothing changes. Who asked not to be
/// called is heard although the contact is erased or another agent's by now.
///
/// # Errors
/// When there is no such contact, or the agent has no claim on it.
pub async fn end_call(
    store: &Store,
    agent: &AgentId,
    contact: &ContactId,
    outcome: CallOutcome,
    now: UtcMillis,
) -> Result<(), TelesalesError> {
    store
        .transact(async |tx: &Tx| {
            let current = phone_mark(tx, contact).await?;
            let mut marks = phones::claimed_by(tx, agent, contact, now).await?;
            let mut call = match current {
                Some(_) => lock_call(tx, contact).await?,
                None => Call::default(),
            };
            call.was_own = !marks.is_empty();
            let ending = match call.ends(agent, outcome, now) {
                Err(_) if current.is_none() => return Err(TelesalesError::Unknown),
                ending => ending?,
            };
            match ending {
                Ending::Known => return Ok(()),
                // Who called said so before: a phone that the contact got since is not meant again.
                Ending::PhonesOnly if !phones::mark(tx, &marks, now).await? => return Ok(()),
                Ending::PhonesOnly => {}
                Ending::Call => save_outcome(tx, contact, outcome, now).await?,
            }
            marks.extend(current);
            phones::free(tx, agent, contact, &marks, now).await?;
            if outcome == CallOutcome::DoNotCall {
                phones::mark(tx, &marks, now).await?;
            }
            note_access(tx, agent, &[contact], "resultado", now).await?;
            Ok(())
        })
        .await
}

/// None of an erased contact. Its row is locked, so that an erasure waits, or has been.
async fn phone_mark(tx: &Tx, contact: &ContactId) -> Result<Option<String>, StoreError> {
    let sql = format!(
        "SELECT phone_mark FROM contacts WHERE subject = ? AND deleted = 0{}",
        tx.for_update()
    );
    let row: Option<MarkRow> = tx.one(&sql, values![contact.as_str()]).await?;
    Ok(row.map(|row| row.phone_mark))
}

/// How many other contacts the agent holds; the agent's row is locked, so that two claims at once
/// count each other.
async fn other_claims(
    tx: &Tx,
    agent: &AgentId,
    contact: &ContactId,
    now: UtcMillis,
) -> Result<u32, StoreError> {
    lock_hour(tx, agent, now).await?;
    let sql = "SELECT COUNT(*) AS contacts FROM calls \
               WHERE agent = ? AND claimed_until_ms > ? AND subject <> ?";
    let keys = values![agent.as_str(), now.get(), contact.as_str()];
    let open: Option<Number> = tx.one(sql, keys).await?;
    Ok(open.map_or(0, |row| u32::try_from(row.contacts).unwrap_or(u32::MAX)))
}

async fn lock_call(tx: &Tx, contact: &ContactId) -> Result<Call, StoreError> {
    let sql = format!(
        "SELECT agent, claimed_until_ms, outcome FROM calls WHERE subject = ?{}",
        tx.for_update()
    );
    let row: Option<CallRow> = tx.one(&sql, values![contact.as_str()]).await?;
    let Some(row) = row else {
        return Ok(Call::default());
    };
    let until = UtcMillis::new(row.claimed_until_ms)?;
    let agent = row.agent.map(AgentId::parse).transpose()?;
    let outcome = row.outcome.as_deref().map(CallOutcome::parse).transpose()?;
    Ok(Call {
        claim: agent.map(|agent| (agent, until)),
        outcome,
        ..Call::default()
    })
}

async fn save_claim(
    tx: &Tx,
    contact: &ContactId,
    agent: &AgentId,
    until: UtcMillis,
) -> Result<(), StoreError> {
    let (agent, until) = (agent.as_str(), until.get());
    let changed = tx
        .execute(
            "UPDATE calls SET agent = ?, claimed_until_ms = ? WHERE subject = ?",
            values![agent, until, contact.as_str()],
        )
        .await?;
    if changed == 0 {
        tx.execute(
            "INSERT INTO calls (subject, agent, claimed_until_ms) VALUES (?, ?, ?)",
            values![contact.as_str(), agent, until],
        )
        .await?;
    }
    Ok(())
}

async fn save_outcome(
    tx: &Tx,
    contact: &ContactId,
    outcome: CallOutcome,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE calls SET outcome = ?, outcome_ms = ?, claimed_until_ms = ? WHERE subject = ?",
        values![outcome.as_str(), now.get(), now.get(), contact.as_str()],
    )
    .await
    .map(|_| ())
}

async fn note_access(
    tx: &Tx,
    agent: &AgentId,
    contacts: &[&ContactId],
    purpose: &str,
    now: UtcMillis,
) -> Result<(), StoreError> {
    if contacts.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO access_log (id, agent, subject, purpose, accessed_ms) VALUES {}",
        placeholders(contacts.len(), 5)
    );
    let mut all: Vec<Value> = Vec::with_capacity(contacts.len() * 5);
    for contact in contacts {
        all.extend(values![
            tx.new_id(now)?,
            agent.as_str(),
            contact.as_str(),
            purpose,
            now.get()
        ]);
    }
    tx.execute(&sql, all).await.map(|_| ())
}

const fn hour_of(now: UtcMillis) -> i64 {
    now.get() - now.get().rem_euclid(HOUR_MS)
}

/// How many contacts the agent has seen in this hour; its row is locked.
async fn lock_hour(tx: &Tx, agent: &AgentId, now: UtcMillis) -> Result<i64, StoreError> {
    let hour = hour_of(now);
    tx.insert_new(
        "INSERT INTO agent_hours (agent, hour_ms, contacts) VALUES (?, ?, 0)",
        values![agent.as_str(), hour],
    )
    .await?;
    let sql = format!(
        "SELECT contacts FROM agent_hours WHERE agent = ? AND hour_ms = ?{}",
        tx.for_update()
    );
    let seen: Option<Number> = tx.one(&sql, values![agent.as_str(), hour]).await?;
    Ok(seen.map_or(0, |row| row.contacts))
}

/// How many contacts the agent may still see in this hour; its row is locked.
async fn rest_of_hour(tx: &Tx, agent: &AgentId, now: UtcMillis) -> Result<u32, TelesalesError> {
    let seen = lock_hour(tx, agent, now).await?;
    let rest = u32::try_from(i64::from(HOURLY_CONTACTS) - seen).unwrap_or(0);
    if rest == 0 {
        let retry_after_ms = hour_of(now) + HOUR_MS - now.get();
        return Err(TelesalesError::HourIsFull { retry_after_ms });
    }
    Ok(rest)
}

async fn count_on_hour(
    tx: &Tx,
    agent: &AgentId,
    contacts: usize,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE agent_hours SET contacts = contacts + ? WHERE agent = ? AND hour_ms = ?",
        values![
            i64::try_from(contacts).unwrap_or(i64::MAX),
            agent.as_str(),
            hour_of(now)
        ],
    )
    .await
    .map(|_| ())
}
