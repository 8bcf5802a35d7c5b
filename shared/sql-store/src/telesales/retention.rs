//! The job that deletes what is past its time: contacts with a receipt each, pseudonyms of the
//! deleted, accesses and hours without one.

use domain::{
    jobs::TELESALES_EXPIRE_CONTACTS,
    telesales::{CLAIM_DAYS, Contact, DELETION_DAYS, EXPIRED_DAYS, RETENTION_DAYS},
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use crate::{
    Store, StoreError, Tx, Value,
    jobs::{self, Attempt, Counts, JobError, JobRun, RunError},
    placeholders,
    projection::{
        Columns, forget_pages, forget_rows_about,
        receipts::{self, Erased, Reason},
    },
    values,
};

/// Rows of one transaction.
const PAGE: u32 = 500;
/// Accesses are kept for five years, as long as a claim for damages may come (Código de Defesa do
/// Consumidor, art. 27).
pub const ACCESS_DAYS: u32 = 5 * 365;

#[derive(FromQueryResult)]
struct SubjectRow {
    subject: String,
}

/// Deletes what was past its time at the end of `date`, or now, whichever is earlier.
///
/// # Errors
/// When the job may not start, or the database fails; the ledger then says so.
pub async fn expire_contacts(
    store: &Store,
    date: Day,
    again: bool,
    attempt: &impl Attempt,
) -> Result<Counts, RunError> {
    let job = &TELESALES_EXPIRE_CONTACTS;
    let outcome = jobs::run(store, job, date, again, attempt, async |run| {
        loop {
            let now = attempt.now().ok_or(RunError::OutOfTime)?;
            let by = now.min(run.date.end());
            if !expire_page(store, run, by, now).await? {
                return Ok(now);
            }
        }
    })
    .await;
    // What was erased before a failure is gone as well.
    forget_pages(store).await;
    outcome
}

/// One page; false when nothing more is past its time.
async fn expire_page(
    store: &Store,
    run: &mut JobRun,
    by: UtcMillis,
    now: UtcMillis,
) -> Result<bool, JobError> {
    let before: &JobRun = run;
    let (found, after) = store
        .transact(async |tx: &Tx| {
            let contacts = due_contacts(tx, by.minus_days(RETENTION_DAYS)).await?;
            erase(tx, &contacts, Reason::Retention, now).await?;
            let old = delete_marks(tx, by).await?;
            let accesses = by.minus_days(ACCESS_DAYS);
            let accesses = delete_page(tx, "access_log", "id", "accessed_ms < ?", accesses).await?;
            let claims = by.minus_days(CLAIM_DAYS).get();
            let mut hours = 0;
            for sql in [
                "DELETE FROM agent_hours WHERE hour_ms < ?",
                "DELETE FROM phone_leases WHERE claimed_until_ms < ?",
                "DELETE FROM claimed_phones WHERE claimed_until_ms < ?",
            ] {
                hours += tx.execute(sql, values![claims]).await?;
            }
            let mut after = before.clone();
            let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            after.count("contatos", count(contacts.len() as u64));
            after.count("pseudonimos", count(old));
            after.count("acessos", count(accesses));
            after.note_progress(tx, now).await?;
            let found = !contacts.is_empty() || old + accesses > 0 || hours > 0;
            Ok::<_, JobError>((found, after))
        })
        .await?;
    *run = after;
    Ok(found)
}

/// What is left of the deleted, when no older change can come any more. Of a contact whose time was
/// over it stays for longer: the source may still have it.
async fn delete_marks(tx: &Tx, by: UtcMillis) -> Result<u64, StoreError> {
    let expired = format!("'{}'", Reason::Retention.as_str());
    let others = format!(
        "deleted = 1 AND (erased_for IS NULL OR erased_for <> {expired}) AND changed_ms < ?"
    );
    let expired = format!("deleted = 1 AND erased_for = {expired} AND changed_ms < ?");
    let mut deleted = 0;
    for (condition, days) in [(others, DELETION_DAYS), (expired, EXPIRED_DAYS)] {
        let before = by.minus_days(days);
        deleted += delete_page(tx, Contact::TABLE, "subject", &condition, before).await?;
    }
    Ok(deleted)
}

/// Contacts whose last update and last outcome are older than `before`.
async fn due_contacts(tx: &Tx, before: UtcMillis) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT c.subject FROM contacts c WHERE c.deleted = 0 AND c.changed_ms < ? \
         AND NOT EXISTS (SELECT 1 FROM calls k WHERE k.subject = c.subject \
           AND (k.outcome_ms >= ? OR k.claimed_until_ms >= ?)) \
         ORDER BY c.changed_ms, c.subject LIMIT ?{}",
        tx.for_update()
    );
    let before = before.get();
    let rows: Vec<SubjectRow> = tx.all(&sql, values![before, before, before, PAGE]).await?;
    Ok(rows.into_iter().map(|row| row.subject).collect())
}

/// Empties contacts whose rows are locked: the pseudonym and version stay, and a receipt is
/// written for each.
pub(super) async fn erase(
    tx: &Tx,
    subjects: &[String],
    reason: Reason,
    now: UtcMillis,
) -> Result<(), StoreError> {
    if subjects.is_empty() {
        return Ok(());
    }
    let columns: Vec<String> = Contact::COLUMNS
        .iter()
        .map(|column| format!("{column} = NULL"))
        .collect();
    let places = placeholders(1, subjects.len());
    let sql = format!(
        "UPDATE contacts SET deleted = 1, erased_for = ?, changed_ms = ?, {} \
         WHERE subject IN {places}",
        columns.join(", ")
    );
    let mut all = values![reason.as_str(), now.get()];
    all.extend(subjects.iter().map(|id| Value::from(id.as_str())));
    tx.execute(&sql, all).await?;
    let erased: Vec<Erased<'_>> = subjects
        .iter()
        .map(|subject| Erased {
            subject,
            columns: Contact::COLUMNS,
            reason,
        })
        .collect();
    forget_rows_about::<Contact>(tx, &erased).await?;
    receipts::write(tx, super::CONSUMER, &erased, now).await
}

/// Deletes at most a page of rows for which `condition` holds of `before`, and still holds when they
/// are deleted: a customer may come back in between.
async fn delete_page(
    tx: &Tx,
    table: &str,
    key: &str,
    condition: &str,
    before: UtcMillis,
) -> Result<u64, StoreError> {
    let sql = format!("SELECT {key} AS subject FROM {table} WHERE {condition} LIMIT ?");
    let rows: Vec<SubjectRow> = tx.all(&sql, values![before.get(), PAGE]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "DELETE FROM {table} WHERE {condition} AND {key} IN {}",
        placeholders(1, rows.len())
    );
    let mut all = values![before.get()];
    all.extend(rows.into_iter().map(|row| Value::from(row.subject)));
    tx.execute(&sql, all).await
}
