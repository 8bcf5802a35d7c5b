//! Promoters: becoming one, and the job that makes promoters of all eligible customers.

use domain::code::ReferralCode;
use domain::identity::{CampaignId, CustomerId};
use domain::jobs::MGM_SET_PROMOTERS;
use domain::mgm::campaign::{Campaign, CampaignStatus};
use domain::mgm::promoter::{Promoter, Standing};
use domain::time::{Day, UtcMillis};
use sea_orm::FromQueryResult;

use crate::jobs::{self, Attempt, Counts, JobError, JobRun, RunError};
use crate::mgm::campaigns;
use crate::{Store, StoreError, Tx, placeholders, values};

/// Customers that one transaction makes promoters.
const BATCH: u32 = 500;
/// How often a batch is done again when somebody became a promoter by themselves meanwhile.
const MOST_ATTEMPTS: u32 = 5;
/// Orders that count as completed: delivered by their status, or by their last leg, and not void.
const COMPLETED_ORDERS: &str = "SELECT COUNT(*) FROM purchases p WHERE p.customer_id = \
    c.customer_id AND p.status NOT IN ('cancelado', 'reembolsado') AND \
    (p.completed_ms < ? OR (p.completed_ms IS NULL AND p.status = 'concluido' \
    AND p.updated_ms < ?))";

#[derive(FromQueryResult)]
struct PromoterRow {
    campaign_id: String,
    customer_id: String,
    link_code: String,
    since_ms: i64,
}

#[derive(FromQueryResult)]
struct StandingRow {
    consented_ms: Option<i64>,
    completed_orders: i64,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

impl PromoterRow {
    fn promoter(self) -> Result<Promoter, StoreError> {
        Ok(Promoter {
            campaign: CampaignId::parse(self.campaign_id)?,
            customer: CustomerId::parse(self.customer_id)?,
            code: ReferralCode::parse(&self.link_code)?,
            since: UtcMillis::new(self.since_ms)?,
        })
    }
}

/// The promoter that a customer is in a campaign.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &Tx,
    campaign: &CampaignId,
    customer: &CustomerId,
) -> Result<Option<Promoter>, StoreError> {
    let row: Option<PromoterRow> = tx
        .one(
            "SELECT campaign_id, customer_id, link_code, since_ms FROM promoters \
             WHERE campaign_id = ? AND customer_id = ?",
            values![campaign.as_str(), customer.as_str()],
        )
        .await?;
    row.map(PromoterRow::promoter).transpose()
}

/// What is known of a customer at `now`.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    tx: &Tx,
    customer: &CustomerId,
    now: UtcMillis,
) -> Result<Standing, StoreError> {
    let sql = format!(
        "SELECT c.consented_ms, ({COMPLETED_ORDERS}) AS completed_orders \
         FROM customers c WHERE c.customer_id = ? AND c.deleted = 0"
    );
    let until = now.plus_millis(1).get();
    let row: Option<StandingRow> = tx
        .one(&sql, values![until, until, customer.as_str()])
        .await?;
    Ok(row.map_or(
        Standing {
            registered: false,
            consenting: false,
            completed_orders: 0,
        },
        |row| Standing {
            registered: true,
            consenting: row.consented_ms.is_some(),
            completed_orders: u32::try_from(row.completed_orders).unwrap_or(u32::MAX),
        },
    ))
}

/// Makes promoters of these customers; all of them must be new to the campaign.
///
/// # Errors
/// [`StoreError::Duplicate`] when one is a promoter already, or a code was drawn before.
pub async fn insert(
    tx: &Tx,
    campaign: &CampaignId,
    customers: &[CustomerId],
    since: UtcMillis,
) -> Result<Vec<Promoter>, StoreError> {
    let mut promoters = Vec::with_capacity(customers.len());
    for customer in customers {
        promoters.push(Promoter {
            campaign: campaign.clone(),
            customer: customer.clone(),
            code: ReferralCode::from_random(tx.random()?),
            since,
        });
    }
    if promoters.is_empty() {
        return Ok(promoters);
    }
    let sql = format!(
        "INSERT INTO promoters (campaign_id, customer_id, link_code, since_ms, cohort, accepted) \
         VALUES {}",
        placeholders(promoters.len(), 6)
    );
    let row = |promoter: &Promoter| {
        values![
            promoter.campaign.as_str(),
            promoter.customer.as_str(),
            promoter.code.as_str(),
            promoter.since.get(),
            promoter.cohort(),
            0_i64,
        ]
    };
    tx.execute(&sql, promoters.iter().flat_map(row).collect())
        .await?;
    Ok(promoters)
}

/// Makes promoters of all customers who are eligible at the end of `date`, in every campaign that
/// is active and open on that day. In batches, each with its place in the ledger, so that another
/// attempt goes on where this one stopped; a second run for the date finds nothing left to do.
///
/// # Errors
/// When the job may not start, or the database fails; the ledger then says so.
pub async fn set_promoters(
    store: &Store,
    date: Day,
    again: bool,
    attempt: &impl Attempt,
) -> Result<Counts, RunError> {
    let job = &MGM_SET_PROMOTERS;
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
    let (first, mut after) = match run.resume_after.clone() {
        Some(place) => {
            let (campaign, customer) = place
                .split_once('/')
                .ok_or(StoreError::Broken("job_runs.resume_after"))?;
            (campaign.to_owned(), customer.to_owned())
        }
        None => (String::new(), String::new()),
    };
    let mut now = attempt.now().ok_or(RunError::OutOfTime)?;
    for campaign in open_campaigns(store, run.date, &first).await? {
        if campaign.id().as_str() != first {
            after.clear();
        }
        run.count("campanhas", i64::from(after.is_empty()));
        while let Some(last) = set_batch(store, run, &campaign, &after, now).await? {
            after = last;
            now = attempt.now().ok_or(RunError::OutOfTime)?;
        }
    }
    Ok(now)
}

/// Campaigns that are active and open at some moment of the day, in the order of their ids.
async fn open_campaigns(
    store: &Store,
    date: Day,
    first: &str,
) -> Result<Vec<Campaign>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let ids: Vec<IdRow> = tx
                .all(
                    "SELECT id FROM campaigns WHERE status = ? AND starts_ms < ? AND ends_ms > ? \
                     AND id >= ? ORDER BY id",
                    values![
                        CampaignStatus::Active.as_str(),
                        date.end().get(),
                        date.start().get(),
                        first,
                    ],
                )
                .await?;
            let mut open = Vec::with_capacity(ids.len());
            for row in ids {
                open.extend(campaigns::load(tx, &CampaignId::parse(row.id)?).await?);
            }
            Ok(open)
        })
        .await
}

/// One batch; answers the last customer of it, or nothing when the campaign is done.
async fn set_batch(
    store: &Store,
    run: &mut JobRun,
    campaign: &Campaign,
    after: &str,
    now: UtcMillis,
) -> Result<Option<String>, JobError> {
    let mut attempt = 1;
    loop {
        let outcome = store
            .transact(async |tx: &Tx| {
                let ids = eligible(tx, campaign, run.date, after).await?;
                let Some(last) = ids.last().map(ToString::to_string) else {
                    return Ok(None);
                };
                insert(tx, campaign.id(), &ids, run.date.start()).await?;
                let mut next = run.clone();
                next.count("promotores", i64::try_from(ids.len()).unwrap_or(i64::MAX));
                next.resume_after = Some(format!("{}/{last}", campaign.id()));
                next.note_progress(tx, now).await?;
                Ok(Some((next, last)))
            })
            .await;
        match outcome {
            // Somebody took their link meanwhile: the next attempt no longer selects them.
            Err(JobError::Store(StoreError::Duplicate)) if attempt < MOST_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
            Ok(None) => return Ok(None),
            Ok(Some((next, last))) => {
                *run = next;
                return Ok(Some(last));
            }
        }
    }
}

/// The next customers who are eligible at the end of the day and not promoters of the campaign.
async fn eligible(
    tx: &Tx,
    campaign: &Campaign,
    date: Day,
    after: &str,
) -> Result<Vec<CustomerId>, StoreError> {
    let end = date.end().get();
    let mut all = values![end, after, end, campaign.id().as_str()];
    let needed = campaign.terms().minimum_completed_orders();
    let orders = if needed == 0 {
        String::new()
    } else {
        all.extend(values![end, end, needed]);
        format!(" AND ({COMPLETED_ORDERS}) >= ?")
    };
    all.extend(values![BATCH]);
    let sql = format!(
        "SELECT c.customer_id AS id FROM customers c WHERE c.consented_ms < ? \
         AND c.customer_id > ? AND c.deleted = 0 AND c.registered_ms < ? AND NOT EXISTS \
         (SELECT 1 FROM promoters m WHERE m.campaign_id = ? AND m.customer_id = c.customer_id)\
         {orders} ORDER BY c.customer_id LIMIT ?"
    );
    let rows: Vec<IdRow> = tx.all(&sql, all).await?;
    rows.into_iter()
        .map(|row| Ok(CustomerId::parse(row.id)?))
        .collect()
}
