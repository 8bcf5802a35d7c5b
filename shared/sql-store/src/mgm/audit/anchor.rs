//! The job mgm_anchor_audit: the days that are over get their anchors, one after the other without a
//! gap.

use domain::{
    jobs::MGM_ANCHOR_AUDIT,
    mgm::audit::AnchorBuilder,
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use crate::{
    Store, StoreError, Tx,
    jobs::{self, Attempt, Counts, JobRun, RunError},
    values,
};

/// A change may commit this long after its time, so a day is anchored no earlier: longer than any
/// Lambda lives.
const SETTLING_MS: i64 = 20 * 60 * 1_000;
/// Links read at once; a day's heads are hashed as they come, not kept.
const LINKS_AT_ONCE: u32 = 20_000;

#[derive(FromQueryResult)]
pub(super) struct AnchorRow {
    pub day: String,
    pub heads: i64,
    pub previous_hash: String,
    pub hash: String,
}

#[derive(FromQueryResult)]
struct First {
    changed_ms: i64,
}

#[derive(FromQueryResult)]
struct Link {
    entity: String,
    entity_id: String,
    version: i64,
    hash: String,
}

/// Anchors every day before `date` that has no anchor yet, from the first change on. The days'
/// order is the anchors' order, so a date before the last anchor finds nothing to do.
///
/// # Errors
/// When the job may not start, or the database fails; the ledger then says so.
pub async fn anchor_days(
    store: &Store,
    date: Day,
    again: bool,
    attempt: &impl Attempt,
) -> Result<Counts, RunError> {
    let job = &MGM_ANCHOR_AUDIT;
    jobs::run(store, job, date, again, attempt, async |run| {
        work(store, run, attempt).await
    })
    .await
}

async fn work(
    store: &Store,
    run: &mut JobRun,
    attempt: &impl Attempt,
) -> Result<UtcMillis, RunError> {
    for count in ["dias_ancorados", "cadeias"] {
        run.count(count, 0);
    }
    loop {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        match anchor_next(store, run, now).await? {
            Some(heads) => {
                run.count("dias_ancorados", 1);
                run.count("cadeias", heads);
            }
            None => return Ok(now),
        }
    }
}

/// Anchors the next day; `None` when all days before the run's date are anchored.
async fn anchor_next(store: &Store, run: &JobRun, now: UtcMillis) -> Result<Option<i64>, RunError> {
    store
        .transact(async |tx: &Tx| {
            let last = last_anchor(tx).await?;
            let next = match &last {
                Some(anchor) => Day::parse(&anchor.day).map_err(StoreError::from)?.next(),
                None => match first_changed_day(tx).await? {
                    Some(day) => day,
                    None => return Ok(None),
                },
            };
            if next >= run.date || next.end().plus_millis(SETTLING_MS) > now {
                return Ok(None);
            }
            let previous_hash = last.map(|anchor| anchor.hash).unwrap_or_default();
            let (heads, hash) = anchor_of(tx, &previous_hash, next).await?;
            tx.execute(
                "INSERT INTO audit_anchors (day, heads, previous_hash, hash, anchored_ms) \
                 VALUES (?, ?, ?, ?, ?)",
                values![next.to_string(), heads, previous_hash, hash, now.get()],
            )
            .await?;
            run.note_progress(tx, now).await?;
            Ok(Some(heads))
        })
        .await
}

async fn last_anchor(tx: &Tx) -> Result<Option<AnchorRow>, StoreError> {
    let sql = "SELECT day, heads, previous_hash, hash FROM audit_anchors ORDER BY day DESC LIMIT 1";
    tx.one(sql, values![]).await
}

async fn first_changed_day(tx: &Tx) -> Result<Option<Day>, StoreError> {
    let sql = "SELECT changed_ms FROM audit_log ORDER BY changed_ms LIMIT 1";
    let first: Option<First> = tx.one(sql, values![]).await?;
    Ok(first
        .map(|row| UtcMillis::new(row.changed_ms))
        .transpose()?
        .map(UtcMillis::day))
}

/// The anchor that belongs to a day, computed from its links.
pub(super) async fn anchor_of(
    tx: &Tx,
    previous_hash: &str,
    day: Day,
) -> Result<(i64, String), StoreError> {
    let mut anchor = AnchorBuilder::new(previous_hash, day);
    let mut head: Option<Link> = None;
    loop {
        let links = links_of(tx, day, head.as_ref()).await?;
        let is_last = links.len() < LINKS_AT_ONCE as usize;
        for link in links {
            if let Some(ended) = head.take()
                && (&ended.entity, &ended.entity_id) != (&link.entity, &link.entity_id)
            {
                anchor.head(&ended.entity, &ended.entity_id, ended.version, &ended.hash);
            }
            head = Some(link);
        }
        if is_last {
            break;
        }
    }
    if let Some(ended) = head {
        anchor.head(&ended.entity, &ended.entity_id, ended.version, &ended.hash);
    }
    Ok(anchor.finish())
}

async fn links_of(tx: &Tx, day: Day, after: Option<&Link>) -> Result<Vec<Link>, StoreError> {
    let mut all = values![day.start().get(), day.end().get()];
    let later = match after {
        None => "",
        Some(link) => {
            all.extend(values![
                link.entity.as_str(),
                link.entity.as_str(),
                link.entity_id.as_str(),
                link.entity_id.as_str(),
                link.version
            ]);
            "AND (entity > ? OR (entity = ? AND (entity_id > ? OR (entity_id = ? AND version > ?))))"
        }
    };
    all.push(LINKS_AT_ONCE.into());
    let sql = format!(
        "SELECT entity, entity_id, version, hash FROM audit_log \
         WHERE changed_ms >= ? AND changed_ms < ? {later} \
         ORDER BY entity, entity_id, version LIMIT ?"
    );
    tx.all(&sql, all).await
}
