//! Deletes whom the source does not have, or does not want called, so that nothing older than its
//! word revives them.

use domain::{changes::Place, time::UtcMillis};
use sea_orm::FromQueryResult;

use crate::{
    StoreError, Tx, Value, placeholders,
    projection::{NO_VERSION, receipts::Reason},
    telesales::retention::erase,
    values,
};

/// Somebody to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extra {
    /// The pseudonym.
    pub subject: String,
    /// The version of the source's word, where it has one of them.
    pub told: Option<i64>,
}

#[derive(FromQueryResult)]
struct LivingRow {
    subject: String,
    version: i64,
    changed_ms: i64,
}

impl LivingRow {
    /// Whether no change came since the comparison began, or only one that is older than its word.
    fn is_outdone(&self, extras: &[Extra], began: UtcMillis) -> bool {
        let extra = extras.iter().find(|extra| extra.subject == self.subject);
        let told = extra.and_then(|extra| extra.told);
        let is_older = self.version != NO_VERSION && told.is_some_and(|told| self.version <= told);
        self.changed_ms < began.get() || is_older
    }
}

/// Erases those of `extras` of whom the stream has not told anything newer since the comparison
/// `began`. Answers how many that were.
///
/// What was recorded until the source's `latest` word revives none of them, whatever its version: it
/// may come again from dead letters.
pub(super) async fn erase_extras(
    tx: &Tx,
    extras: &[Extra],
    (began, latest): (UtcMillis, UtcMillis),
    now: UtcMillis,
) -> Result<usize, StoreError> {
    let sql = format!(
        "SELECT subject, version, changed_ms FROM contacts WHERE deleted = 0 AND subject IN {} \
         ORDER BY subject{}",
        placeholders(1, extras.len()),
        tx.for_update()
    );
    let keys = extras
        .iter()
        .map(|extra| Value::from(extra.subject.as_str()));
    let living: Vec<LivingRow> = tx.all(&sql, keys.collect()).await?;
    let erased: Vec<String> = living
        .into_iter()
        .filter(|row| row.is_outdone(extras, began))
        .map(|row| row.subject)
        .collect();
    erase(tx, &erased, Reason::Reconciliation, now).await?;
    for extra in extras {
        if erased.contains(&extra.subject) {
            raise_mark(tx, extra, latest, now).await?;
        }
    }
    Ok(erased.len())
}

/// What is left of somebody deleted takes the source's version, and its `latest` time in the place
/// of one in the topic.
pub(super) async fn raise_mark(
    tx: &Tx,
    extra: &Extra,
    latest: UtcMillis,
    now: UtcMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE contacts SET version = CASE WHEN version < ? THEN ? ELSE version END, \
        source_partition = ?, source_offset = ?, \
        recorded_ms = CASE WHEN recorded_ms < ? THEN ? ELSE recorded_ms END, \
        changed_ms = ?, erased_for = ? WHERE subject = ? AND deleted = 1";
    let told = extra.told.unwrap_or(NO_VERSION);
    let place = Place::outside_the_topic(latest);
    let all = values![
        told,
        told,
        place.partition,
        place.offset,
        latest.get(),
        latest.get(),
        now.get(),
        Reason::Reconciliation.as_str(),
        extra.subject.as_str()
    ];
    tx.execute(SQL, all).await.map(|_| ())
}
