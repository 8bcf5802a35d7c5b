//! Database 2 against the company's source: what is extra, missing or stale is repaired in batches.
//! What is missing or stale is repaired while the source is read; nothing is deleted before the whole
//! source was read, nor for one that is empty, breaks off or would delete too much.

mod deletion;
mod seen;

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

use self::{
    deletion::{Extra, erase_extras, raise_mark},
    seen::Seen,
};
use crate::{
    Store, StoreError, Tx, Value,
    jobs::{self, Attempt, Counts, JobError, JobRun, RunError},
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

/// As of when a source tells of the customers. What came between its two times it may have or not: a
/// repair counts as of the earlier one, a deletion as of the later one, so that neither somebody is
/// revived who had just gone, nor by what the source had already outdone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// What came before is in it.
    pub complete: UtcMillis,
    /// What came later is not in it.
    pub latest: UtcMillis,
}

/// Where the company's customers are.
pub trait Source {
    /// As of when it tells of them; a source that is asked now tells of when the comparison `began`.
    ///
    /// # Errors
    /// A stable code, when it can't be told now, or was so long ago that nothing follows from it.
    fn as_of(&mut self, began: UtcMillis) -> impl Future<Output = Result<AsOf, &'static str>>;

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
    /// Of a hundred contacts; 0 deletes nobody.
    pub deleted_percent: u32,
    /// So many may go in any other case: in a small base one is many per cent.
    pub deleted_at_least: u64,
}

impl Limits {
    fn most_of(self, contacts: u64) -> u64 {
        match u64::from(self.deleted_percent) {
            0 => 0,
            percent => (contacts.saturating_mul(percent) / 100).max(self.deleted_at_least),
        }
    }
}

/// What one comparison found.
struct Found {
    as_of: AsOf,
    /// Customers of the source.
    source: u64,
    /// Contacts that the source has.
    seen: Seen,
    to_delete: Vec<Extra>,
    /// More than so many are too many.
    most_deleted: u64,
}

impl Found {
    fn delete(&mut self, subject: String, told: Option<i64>) -> Result<(), RunError> {
        if self.to_delete.len() as u64 >= self.most_deleted {
            return Err(RunError::Outside("exclusoes_demais"));
        }
        self.to_delete.push(Extra { subject, told });
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct KeptRow {
    subject: String,
    version: i64,
    recorded_ms: i64,
    changed_ms: i64,
    deleted: i32,
    erased_for: Option<String>,
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
/// `origem_vazia`, `exclusoes_demais`, `contatos_demais` or the source's own code: then nothing was
/// deleted.
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
    let outcome = jobs::run(store, job, date, again, attempt, async |run| {
        let began = attempt.now().ok_or(RunError::OutOfTime)?;
        let as_of = source.as_of(began).await.map_err(RunError::Outside)?;
        let contacts = contacts(store).await?;
        let mut found = Found {
            as_of: AsOf {
                complete: as_of.complete.min(began),
                latest: as_of.latest.min(began),
            },
            source: 0,
            seen: Seen::of(contacts).map_err(RunError::Outside)?,
            to_delete: Vec::new(),
            most_deleted: limits.most_of(contacts),
        };
        read_source(table, pseudonyms, source, &mut found, run, attempt).await?;
        if found.source == 0 {
            return Err(RunError::Outside("origem_vazia"));
        }
        find_extra_contacts(store, &mut found).await?;
        // It is told where there was nobody to delete, too.
        run.count("sobrando", 0);
        let times = (began, found.as_of.latest);
        for extras in found.to_delete.chunks(PAGE as usize) {
            let now = attempt.now().ok_or(RunError::OutOfTime)?;
            let before: &JobRun = run;
            let work = async |tx: &Tx| {
                let erased = erase_extras(tx, extras, times, now).await?;
                let mut after = before.clone();
                after.count("sobrando", count(erased));
                after.note_progress(tx, now).await?;
                Ok::<_, JobError>(after)
            };
            *run = store.transact(work).await?;
        }
        attempt.now().ok_or(RunError::OutOfTime)
    })
    .await;
    forget_pages(store).await;
    outcome
}

/// Reads the whole source, page by page, and repairs what is missing or stale at once.
async fn read_source(
    table: &ProjectionTable<Contact>,
    pseudonyms: &PseudonymKey,
    source: &mut impl Source,
    found: &mut Found,
    run: &mut JobRun,
    attempt: &impl Attempt,
) -> Result<(), RunError> {
    let mut after: Option<CustomerId> = None;
    loop {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        let rows = source.page(after.as_ref(), PAGE).await;
        let rows = rows.map_err(RunError::Outside)?;
        let Some(last) = rows.last() else {
            return Ok(());
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
        let repairs = compare(table.store(), pseudonyms, rows, found).await;
        // What was read is told, also where it was too much.
        run.set_count("origem", count(found.source));
        let repairs = repairs?;
        table.apply(&repairs.newer, now).await?;
        let (before, latest): (&JobRun, _) = (run, found.as_of.latest);
        let work = async |tx: &Tx| {
            for (state, rows) in [(SPOILT, &repairs.spoilt), (LOST, &repairs.lost)] {
                for (subject, version, contact) in rows {
                    let whose = (subject.as_str(), *version);
                    overwrite(tx, pseudonyms, whose, state, contact, now).await?;
                }
            }
            for extra in &repairs.withdrawn {
                raise_mark(tx, extra, latest, now).await?;
            }
            note_expired(tx, &repairs.expired, now).await?;
            let mut after = before.clone();
            after.count("faltando", repairs.missing);
            after.count("desatualizados", repairs.stale);
            after.note_progress(tx, now).await?;
            Ok::<_, JobError>(after)
        };
        *run = table.store().transact(work).await?;
    }
}

/// What of a page must be repaired; whom the source does not want called is noted for deletion.
async fn compare(
    store: &Store,
    pseudonyms: &PseudonymKey,
    rows: Vec<SourceRow>,
    found: &mut Found,
) -> Result<Repairs, RunError> {
    let mut subjects = Vec::with_capacity(rows.len());
    for row in &rows {
        let subject = pseudonyms.of_customer(&row.customer);
        subjects.push(subject.map_err(StoreError::from)?.to_string());
    }
    let kept = kept_rows(store, &subjects).await?;
    let mut repairs = Repairs::default();
    for (row, subject) in rows.into_iter().zip(subjects) {
        let known = kept.iter().find(|known| known.subject == subject);
        if known.is_some_and(|known| known.deleted == 0) {
            found.seen.push(&subject).map_err(RunError::Outside)?;
        }
        match (row.contact, known) {
            // Its time was over. An update begins it anew, that the source still has it does not.
            (Some(_), Some(known))
                if known.is_for(Reason::Retention) && known.version >= row.version =>
            {
                repairs.expired.push(subject);
            }
            // The stream is ahead of the source's copy.
            (_, Some(known)) if known.version > row.version => {}
            (None, Some(known)) if known.deleted == 0 => {
                found.delete(subject, Some(row.version))?;
            }
            (None, Some(known)) if known.version < row.version => {
                let told = Some(row.version);
                repairs.withdrawn.push(Extra { subject, told });
            }
            (None, _) => {}
            (Some(contact), Some(known)) if known.version == row.version && known.deleted != 0 => {
                // An earlier copy did not have whom this one has.
                let is_lost = known.changed_ms < found.as_of.complete.get();
                if is_lost && known.is_for(Reason::Reconciliation) {
                    repairs.missing += 1;
                    repairs.lost.push((subject, row.version, contact));
                }
            }
            (Some(contact), Some(known)) if known.version == row.version => {
                if !known.holds(&contact) {
                    repairs.stale += 1;
                    repairs.spoilt.push((subject, row.version, contact));
                }
            }
            // Their deletion came after the source's word.
            (Some(_), Some(known))
                if known.deleted != 0 && known.recorded_ms >= found.as_of.complete.get() => {}
            (Some(contact), known) => {
                let is_missing = known.is_none_or(|known| known.deleted != 0);
                repairs.missing += i64::from(is_missing);
                repairs.stale += i64::from(!is_missing);
                let as_of = found.as_of.complete;
                let newer = repair(row.customer, row.version, contact, as_of);
                repairs.newer.push(newer);
            }
        }
    }
    Ok(repairs)
}

/// What a page of the source repairs.
#[derive(Default)]
struct Repairs {
    missing: i64,
    stale: i64,
    /// What database 2 has not heard of.
    newer: Vec<Change<Contact>>,
    /// What it holds otherwise under the same version: pseudonym, version, and what is right.
    spoilt: Vec<(String, i64, Contact)>,
    /// What an earlier comparison deleted because the source did not have it.
    lost: Vec<(String, i64, Contact)>,
    /// Who is deleted already, and the source tells of a withdrawal that the stream has not told.
    withdrawn: Vec<Extra>,
    /// Whose time was over, and the source still has them.
    expired: Vec<String>,
}

/// The state of a row that a repair overwrites: deleted, and why.
type State = (i32, Option<Reason>);
const SPOILT: State = (0, None);
const LOST: State = (1, Some(Reason::Reconciliation));

async fn overwrite(
    tx: &Tx,
    pseudonyms: &PseudonymKey,
    (subject, version): (&str, i64),
    (deleted, reason): State,
    contact: &Contact,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let columns: Vec<String> = Contact::COLUMNS
        .iter()
        .map(|column| format!("{column} = ?"))
        .collect();
    let sql = format!(
        "UPDATE contacts SET {}, changed_ms = ?, deleted = 0, erased_for = NULL \
         WHERE subject = ? AND version = ? AND deleted = ? AND COALESCE(erased_for, '') = ?",
        columns.join(", ")
    );
    let mut all = contact.values(pseudonyms);
    let reason = reason.map_or("", Reason::as_str);
    all.extend(values![now.get(), subject, version, deleted, reason]);
    tx.execute(&sql, all).await.map(|_| ())
}

/// Their marks are kept while the source has them.
async fn note_expired(tx: &Tx, subjects: &[String], now: UtcMillis) -> Result<(), StoreError> {
    if subjects.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE contacts SET changed_ms = ? WHERE deleted = 1 AND erased_for = ? AND subject IN {}",
        placeholders(1, subjects.len())
    );
    let mut all = values![now.get(), Reason::Retention.as_str()];
    all.extend(subjects.iter().map(|id| Value::from(id.as_str())));
    tx.execute(&sql, all).await.map(|_| ())
}

/// A repair is no record of the topic: only its time compares with one, and that is the source's. A
/// tombstone that is produced later deletes it, whenever it is read.
const fn repair(
    customer: CustomerId,
    version: i64,
    contact: Contact,
    as_of: UtcMillis,
) -> Change<Contact> {
    Change {
        customer,
        stamp: Stamp {
            version: Some(version),
            place: Place::outside_the_topic(as_of),
        },
        row: Some(contact),
    }
}

impl KeptRow {
    /// Whether it was erased for this reason.
    fn is_for(&self, reason: Reason) -> bool {
        self.deleted != 0 && self.erased_for.as_deref() == Some(reason.as_str())
    }

    fn holds(&self, contact: &Contact) -> bool {
        self.name.as_deref() == Some(contact.name.expose())
            && self.phone.as_deref() == Some(contact.phone.expose())
            && self.region.as_deref() == Some(contact.region.as_str())
    }
}

async fn kept_rows(store: &Store, subjects: &[String]) -> Result<Vec<KeptRow>, StoreError> {
    let sql = format!(
        "SELECT subject, version, recorded_ms, changed_ms, deleted, erased_for, name, phone, region \
         FROM contacts WHERE subject IN {}",
        placeholders(1, subjects.len())
    );
    store
        .transact(async |tx: &Tx| {
            let keys = subjects.iter().map(|id| Value::from(id.as_str()));
            tx.all(&sql, keys.collect()).await
        })
        .await
}

/// Contacts that the source does not have and that were there as of when it tells.
async fn find_extra_contacts(store: &Store, found: &mut Found) -> Result<(), RunError> {
    let sql = "SELECT subject FROM contacts WHERE subject > ? AND deleted = 0 AND changed_ms < ? \
               ORDER BY subject LIMIT ?";
    found.seen.sort();
    let as_of = found.as_of.complete.get();
    let mut after = String::new();
    loop {
        let rows: Vec<SubjectRow> = store
            .transact(async |tx: &Tx| tx.all(sql, values![after.as_str(), as_of, PAGE]).await)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after.clone_from(&last.subject);
        for row in rows {
            if !found.seen.contains(&row.subject) {
                found.delete(row.subject, None)?;
            }
        }
    }
}

async fn contacts(store: &Store) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) AS contacts FROM contacts WHERE deleted = 0";
    let row: Option<Number> = store
        .transact(async |tx: &Tx| tx.one(sql, values![]).await)
        .await?;
    Ok(row.map_or(0, |row| u64::try_from(row.contacts).unwrap_or(0)))
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
