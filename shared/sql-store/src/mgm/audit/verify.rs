//! Verifying: every chain from its first link, the head that each row carries, and every anchor.

use std::collections::BTreeMap;

use domain::{
    mgm::audit::{Broken, Entity, Head, StoredLink, follow},
    time::Day,
};
use sea_orm::FromQueryResult;

use super::anchor::{AnchorRow, anchor_of};
use crate::{Store, StoreError, Tx, placeholders, values};

/// Chains checked in one transaction.
const CHAINS_AT_ONCE: u32 = 500;

/// Where the first broken link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the chain of a referral or voucher.
    Chain {
        /// `indicacao` or `voucher`.
        entity: &'static str,
        /// Its id.
        id: String,
        /// The number of the link.
        version: i64,
    },
    /// In the anchor of a day.
    Anchor {
        /// The day.
        day: String,
    },
}

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLink {
    /// Where.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Broken,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Chains that were checked.
    pub chains: i64,
    /// Links that were checked.
    pub links: i64,
    /// Anchors that were checked.
    pub anchors: i64,
    /// The first broken link; none when all is as it was written.
    pub broken: Option<BrokenLink>,
}

#[derive(FromQueryResult)]
struct LinkRow {
    entity_id: String,
    version: i64,
    changed_ms: i64,
    event: String,
    details: String,
    previous_hash: String,
    hash: String,
}

#[derive(FromQueryResult)]
struct HeadRow {
    id: String,
    version: i64,
    audit_hash: String,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

/// Checks everything and tells the first thing that does not fit: by chain, then by day. Changes
/// that are made meanwhile do no harm.
///
/// # Errors
/// When the database fails.
pub async fn verify(store: &Store) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict::default();
    for entity in [Entity::Referral, Entity::Voucher] {
        let mut after = String::new();
        loop {
            let page = store
                .transact::<_, StoreError, _>(async |tx: &Tx| check_page(tx, entity, &after).await)
                .await?;
            verdict.chains += page.chains;
            verdict.links += page.links;
            if page.broken.is_some() {
                verdict.broken = page.broken;
                return Ok(verdict);
            }
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    check_anchors(store, &mut verdict).await?;
    Ok(verdict)
}

#[derive(Default)]
struct Checked {
    chains: i64,
    links: i64,
    broken: Option<BrokenLink>,
    /// The last id of the page; none when no more follow.
    last: Option<String>,
}

const fn table(entity: Entity) -> &'static str {
    match entity {
        Entity::Referral => "referrals",
        Entity::Voucher => "vouchers",
    }
}

/// The ids come from rows and chains alike, so that neither can be without the other.
async fn check_page(tx: &Tx, entity: Entity, after: &str) -> Result<Checked, StoreError> {
    let sql = format!(
        "SELECT id FROM (SELECT id FROM {} WHERE id > ? UNION \
         SELECT entity_id AS id FROM audit_log WHERE entity = ? AND entity_id > ?) ids \
         ORDER BY id LIMIT ?",
        table(entity)
    );
    let ids: Vec<IdRow> = tx
        .all(&sql, values![after, entity.as_str(), after, CHAINS_AT_ONCE])
        .await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.id).collect();
    let mut checked = Checked::default();
    if ids.is_empty() {
        return Ok(checked);
    }
    let mut chains = chains_of(tx, entity, &ids).await?;
    let heads = heads_of(tx, entity, &ids, "").await?;
    for id in &ids {
        let links = chains.remove(id).unwrap_or_default();
        checked.chains += 1;
        checked.links += i64::try_from(links.len()).unwrap_or_default();
        if let Err(suspicion) = check_chain(entity, &links, heads.get(id)) {
            // A change may have come between the two queries: look again with the row locked.
            let heads = heads_of(tx, entity, std::slice::from_ref(id), tx.for_update()).await?;
            let mut chains = chains_of(tx, entity, std::slice::from_ref(id)).await?;
            let links = chains.remove(id).unwrap_or_default();
            if let Err((version, problem)) = check_chain(entity, &links, heads.get(id)) {
                let place = Place::Chain {
                    entity: entity.as_str(),
                    id: id.clone(),
                    version,
                };
                checked.broken = Some(BrokenLink { place, problem });
                return Ok(checked);
            }
            tracing::debug!(?suspicion, "a chain grew while it was read");
        }
    }
    checked.last = ids
        .last()
        .filter(|_| ids.len() == CHAINS_AT_ONCE as usize)
        .cloned();
    Ok(checked)
}

/// The number of the first link that does not fit, and what is wrong with it.
fn check_chain(entity: Entity, links: &[LinkRow], row: Option<&Head>) -> Result<(), (i64, Broken)> {
    let mut head = Head::none();
    for link in links {
        let stored = StoredLink {
            previous_hash: &link.previous_hash,
            entity: entity.as_str(),
            id: &link.entity_id,
            version: link.version,
            changed_ms: link.changed_ms,
            event: &link.event,
            details: &link.details,
        };
        head = follow(&head, &stored, &link.hash).map_err(|problem| (head.version + 1, problem))?;
    }
    match row {
        Some(row) if *row == head => Ok(()),
        // Links are missing at the end: the first missing one is to blame.
        Some(row) if row.version > head.version => Err((head.version + 1, Broken::Missing)),
        _ => Err((head.version, Broken::Head)),
    }
}

async fn chains_of(
    tx: &Tx,
    entity: Entity,
    ids: &[String],
) -> Result<BTreeMap<String, Vec<LinkRow>>, StoreError> {
    let sql = format!(
        "SELECT entity_id, version, changed_ms, event, details, previous_hash, hash \
         FROM audit_log WHERE entity = ? AND entity_id IN {} ORDER BY entity_id, version",
        placeholders(1, ids.len())
    );
    let mut all = values![entity.as_str()];
    all.extend(ids.iter().map(|id| crate::Value::from(id.as_str())));
    let mut chains: BTreeMap<String, Vec<LinkRow>> = BTreeMap::new();
    for link in tx.all::<LinkRow>(&sql, all).await? {
        chains.entry(link.entity_id.clone()).or_default().push(link);
    }
    Ok(chains)
}

async fn heads_of(
    tx: &Tx,
    entity: Entity,
    ids: &[String],
    lock: &str,
) -> Result<BTreeMap<String, Head>, StoreError> {
    let sql = format!(
        "SELECT id, version, audit_hash FROM {} WHERE id IN {}{lock}",
        table(entity),
        placeholders(1, ids.len())
    );
    let all = ids
        .iter()
        .map(|id| crate::Value::from(id.as_str()))
        .collect();
    let rows: Vec<HeadRow> = tx.all(&sql, all).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.id,
                Head {
                    version: row.version,
                    hash: row.audit_hash,
                },
            )
        })
        .collect())
}

async fn check_anchors(store: &Store, verdict: &mut Verdict) -> Result<(), StoreError> {
    let mut before: Option<AnchorRow> = None;
    loop {
        let after = before.as_ref().map_or("", |anchor| anchor.day.as_str());
        let sql = "SELECT day, heads, previous_hash, hash FROM audit_anchors WHERE day > ? \
                   ORDER BY day LIMIT 1";
        let checked = store
            .transact::<_, StoreError, _>(async |tx: &Tx| {
                let next: Option<AnchorRow> = tx.one(sql, values![after]).await?;
                let Some(anchor) = next else { return Ok(None) };
                let problem = check_anchor(tx, before.as_ref(), &anchor).await?;
                Ok(Some((anchor, problem)))
            })
            .await?;
        let Some((anchor, problem)) = checked else {
            return Ok(());
        };
        verdict.anchors += 1;
        if let Some(problem) = problem {
            let place = Place::Anchor { day: anchor.day };
            verdict.broken = Some(BrokenLink { place, problem });
            return Ok(());
        }
        before = Some(anchor);
    }
}

async fn check_anchor(
    tx: &Tx,
    before: Option<&AnchorRow>,
    anchor: &AnchorRow,
) -> Result<Option<Broken>, StoreError> {
    let Ok(day) = Day::parse(&anchor.day) else {
        return Ok(Some(Broken::Anchor));
    };
    let follows = before.is_none_or(|before| before.day == day.previous().to_string());
    if !follows {
        return Ok(Some(Broken::AnchorMissing));
    }
    let previous_hash = before.map_or("", |before| before.hash.as_str());
    let expected = anchor_of(tx, previous_hash, day).await?;
    let stored = (anchor.heads, anchor.hash.clone());
    let fits = anchor.previous_hash == previous_hash && stored == expected;
    Ok((!fits).then_some(Broken::Anchor))
}
