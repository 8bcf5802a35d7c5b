//! Database 2 against the company's source: what is extra, missing or stale is repaired in batches;
//! a source that is empty, or would delete too much, repairs nothing.

use std::collections::HashSet;

use contracts::changes::Change;
use domain::{
    changes::{Place, Stamp},
    identity::CustomerId,
    jobs::TELESALES_RECONCILE,
    pseudonym::PseudonymKey,
    telesales::Contact,
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use super::retention::erase;
use crate::{
    Store, StoreError, Tx, Value,
    jobs::{self, Attempt, Counts, JobRun, RunError},
    placeholders,
    projection::{Columns, ProjectionTable, forget_pages, receipts::Reason},
    values,
};

/// Rows of one transaction.
const PAGE: u32 = 500;

/// A customer as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The id.
    pub customer: CustomerId,
    /// The source's version.
    pub version: i64,
    /// What telesales may know; nothing of one who did not agree.
    pub contact: Option<Contact>,
}

/// Where the company's customers are.
pub trait Source {
    /// At most `limit` customers whose id is greater than `after`, in the order of their ids.
    ///
    /// # Errors
    /// A stable code, when it can't be told now.
    fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<SourceRow>, &'static str>>;
}

/// How much a run may delete, so that a broken source empties nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a hundred contacts.
    pub deleted_percent: u32,
    /// So many may go in any case: in a small base one is many per cent.
    pub deleted_at_least: u64,
}

/// What one comparison found.
#[derive(Debug, Default)]
struct Found {
    source: u64,
    /// Customers of the source, by pseudonym.
    seen: HashSet<String>,
    to_delete: Vec<String>,
    missing: u64,
    stale: u64,
}

#[derive(FromQueryResult)]
struct KeptRow {
    subject: String,
    version: i64,
    deleted: i32,
    name: Option<String>,
    phone: Option<String>,
    region: Option<String>,
}

#[derive(FromQueryResult)]
struct SubjectRow {
    subject: String,
}

#[derive(FromQueryResult)]
struct Number {
    contacts: i64,
}

/// Compares database 2 with the source and repairs it. Reports `origem`, `faltando`,
/// `desatualizados` and `sobrando`. Done again, it finds nothing.
///
/// # Errors
/// `origem_vazia`, `exclusoes_demais` or the source's own code: then nothing was deleted.
pub async fn reconcile(
    table: &ProjectionTable<Contact>,
    pseudonyms: &PseudonymKey,
    source: &mut impl Source,
    limits: Limits,
    (date, again): (Day, bool),
    attempt: &impl Attempt,
) -> Result<Counts, RunError> {
    let job = &TELESALES_RECONCILE;
    let store = table.store();
    jobs::run(store, job, date, again, attempt, async |run| {
        let began = attempt.now().ok_or(RunError::OutOfTime)?;
        let mut found = read_source(table, pseudonyms, source, run, attempt).await?;
        if found.source == 0 {
            return Err(RunError::Outside("origem_vazia"));
        }
        let extra = extra_contacts(store, &found.seen, began).await?;
        found.to_delete.extend(extra);
        let contacts = contacts(store).await?;
        let percent = contacts.saturating_mul(u64::from(limits.deleted_percent)) / 100;
        if found.to_delete.len() as u64 > percent.max(limits.deleted_at_least) {
            return Err(RunError::Outside("exclusoes_demais"));
        }
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        run.count("origem", count(found.source));
        run.count("faltando", count(found.missing));
        run.count("desatualizados", count(found.stale));
        run.count("sobrando", count(found.to_delete.len() as u64));
        for subjects in found.to_delete.chunks(PAGE as usize) {
            let now = attempt.now().ok_or(RunError::OutOfTime)?;
            let work = async |tx: &Tx| {
                erase_living(tx, subjects, began, now).await?;
                run.note_progress(tx, now).await
            };
            store.transact(work).await?;
        }
        forget_pages(store).await;
        attempt.now().ok_or(RunError::OutOfTime)
    })
    .await
}

/// Reads the whole source, page by page, and repairs what is missing or stale at once.
async fn read_source(
    table: &ProjectionTable<Contact>,
    pseudonyms: &PseudonymKey,
    source: &mut impl Source,
    run: &JobRun,
    attempt: &impl Attempt,
) -> Result<Found, RunError> {
    let mut found = Found::default();
    let mut after: Option<CustomerId> = None;
    loop {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        let rows = source.page(after.as_ref(), PAGE).await;
        let rows = rows.map_err(RunError::Outside)?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        let next = Some(last.customer.clone());
        let ids: Vec<&CustomerId> = after
            .iter()
            .chain(rows.iter().map(|row| &row.customer))
            .collect();
        // Out of order a page could skip somebody, who would then be deleted as extra.
        if !ids.is_sorted_by(|one, other| one < other) {
            return Err(RunError::Outside("origem_sem_ordem"));
        }
        after = next;
        found.source += rows.len() as u64;
        let repairs = compare(table.store(), pseudonyms, rows, &mut found, now).await?;
        table.apply(&repairs.newer, now).await?;
        let work = async |tx: &Tx| {
            for (subject, version, contact) in &repairs.spoilt {
                overwrite(tx, pseudonyms, (subject, *version), contact, now).await?;
            }
            run.note_progress(tx, now).await
        };
        table.store().transact(work).await?;
    }
}

/// What of a page must be repaired; whom the source does not want called is noted for deletion.
async fn compare(
    store: &Store,
    pseudonyms: &PseudonymKey,
    rows: Vec<SourceRow>,
    found: &mut Found,
    now: UtcMillis,
) -> Result<Repairs, StoreError> {
    let mut subjects = Vec::with_capacity(rows.len());
    for row in &rows {
        subjects.push(pseudonyms.of_customer(&row.customer)?.to_string());
    }
    let kept = kept_rows(store, &subjects).await?;
    let mut repairs = Repairs::default();
    for (row, subject) in rows.into_iter().zip(subjects) {
        let known = kept.iter().find(|known| known.subject == subject);
        match (row.contact, known) {
            // The stream is ahead of the source's copy.
            (_, Some(known)) if known.version > row.version => {}
            (None, Some(known)) if known.deleted == 0 => found.to_delete.push(subject.clone()),
            (None, _) => {}
            (Some(_), Some(known)) if known.version == row.version && known.deleted != 0 => {}
            (Some(contact), Some(known)) if known.version == row.version => {
                if !known.holds(&contact) {
                    found.stale += 1;
                    repairs.spoilt.push((subject.clone(), row.version, contact));
                }
            }
            (Some(contact), known) => {
                let is_missing = known.is_none_or(|known| known.deleted != 0);
                found.missing += u64::from(is_missing);
                found.stale += u64::from(!is_missing);
                let newer = repair(row.customer, row.version, contact, now);
                repairs.newer.push(newer);
            }
        }
        found.seen.insert(subject);
    }
    Ok(repairs)
}

/// What a page of the source repairs.
#[derive(Default)]
struct Repairs {
    /// What database 2 has not heard of.
    newer: Vec<Change<Contact>>,
    /// What it holds otherwise under the same version: pseudonym, version, and what is right.
    spoilt: Vec<(String, i64, Contact)>,
}

async fn overwrite(
    tx: &Tx,
    pseudonyms: &PseudonymKey,
    (subject, version): (&str, i64),
    contact: &Contact,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let columns: Vec<String> = Contact::COLUMNS
        .iter()
        .map(|column| format!("{column} = ?"))
        .collect();
    let sql = format!(
        "UPDATE contacts SET {}, changed_ms = ? WHERE subject = ? AND version = ? AND deleted = 0",
        columns.join(", ")
    );
    let mut all = contact.values(pseudonyms);
    all.extend(values![now.get(), subject, version]);
    tx.execute(&sql, all).await.map(|_| ())
}

/// A repair is no record of the topic: only its time compares with one.
const fn repair(
    customer: CustomerId,
    version: i64,
    contact: Contact,
    now: UtcMillis,
) -> Change<Contact> {
    Change {
        customer,
        stamp: Stamp {
            version: Some(version),
            place: Place {
                partition: -1,
                offset: 0,
                recorded: now,
            },
        },
        row: Some(contact),
    }
}

impl KeptRow {
    fn holds(&self, contact: &Contact) -> bool {
        self.name.as_deref() == Some(contact.name.expose())
            && self.phone.as_deref() == Some(contact.phone.expose())
            && self.region.as_deref() == Some(contact.region.as_str())
    }
}

async fn kept_rows(store: &Store, subjects: &[String]) -> Result<Vec<KeptRow>, StoreError> {
    let sql = format!(
        "SELECT subject, version, deleted, name, phone, region FROM contacts WHERE subject IN {}",
        placeholders(1, subjects.len())
    );
    store
        .transact(async |tx: &Tx| {
            let keys = subjects.iter().map(|id| Value::from(id.as_str()));
            tx.all(&sql, keys.collect()).await
        })
        .await
}

/// Contacts that the source does not have and that were there when the comparison began.
async fn extra_contacts(
    store: &Store,
    seen: &HashSet<String>,
    began: UtcMillis,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT subject FROM contacts WHERE subject > ? AND deleted = 0 AND changed_ms < ? \
               ORDER BY subject LIMIT ?";
    let mut extra = Vec::new();
    let mut after = String::new();
    loop {
        let rows: Vec<SubjectRow> = store
            .transact(async |tx: &Tx| {
                tx.all(sql, values![after.as_str(), began.get(), PAGE])
                    .await
            })
            .await?;
        let Some(last) = rows.last() else {
            return Ok(extra);
        };
        after.clone_from(&last.subject);
        let unknown = rows.into_iter().map(|row| row.subject);
        extra.extend(unknown.filter(|subject| !seen.contains(subject)));
    }
}

async fn contacts(store: &Store) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) AS contacts FROM contacts WHERE deleted = 0";
    let row: Option<Number> = store
        .transact(async |tx: &Tx| tx.one(sql, values![]).await)
        .await?;
    Ok(row.map_or(0, |row| u64::try_from(row.contacts).unwrap_or(0)))
}

/// Erases those of `subjects` that no change has touched since the comparison began.
async fn erase_living(
    tx: &Tx,
    subjects: &[String],
    began: UtcMillis,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT subject FROM contacts WHERE deleted = 0 AND changed_ms < ? AND subject IN {} \
         ORDER BY subject{}",
        placeholders(1, subjects.len()),
        tx.for_update()
    );
    let mut keys = values![began.get()];
    keys.extend(subjects.iter().map(|id| Value::from(id.as_str())));
    let living: Vec<SubjectRow> = tx.all(&sql, keys).await?;
    let living: Vec<String> = living.into_iter().map(|row| row.subject).collect();
    erase(tx, &living, Reason::Reconciliation, now).await
}
