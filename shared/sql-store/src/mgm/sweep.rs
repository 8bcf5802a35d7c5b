//! The job mgm_create_promoter_voucher: what no message told of. Waiting completions, pending
//! periods that are over, vouchers past their validity, and trips whose end has passed.

mod pages;

use std::fmt;

use domain::{
    identity::{CustomerId, OrderId},
    jobs::MGM_CREATE_PROMOTER_VOUCHER,
    mgm::trip::{CompletedLeg, Leg},
    time::{Day, UtcMillis},
};

use crate::{
    Store, StoreError,
    jobs::{self, Attempt, Counts, JobRun, RunError},
};
pub use pages::{PAGE, due_rewards, ended_trips, expire_page, settle_page, waiting_completions};

/// A trip whose end has passed while its referral waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTrip {
    /// The order.
    pub order: OrderId,
    /// Whose order it is.
    pub customer: CustomerId,
    /// When it was to end.
    pub ends: UtcMillis,
}

/// Who knows which trips were really completed.
pub trait CompletedTrips {
    /// Which of these trips are over, and since when; those that are not are left out.
    ///
    /// # Errors
    /// When it can't be told now: the next attempt asks again.
    fn completed(
        &self,
        trips: &[EndedTrip],
    ) -> impl Future<Output = Result<Vec<(OrderId, UtcMillis)>, NotTold>>;
}

/// The company's system did not tell. The code is stable and holds nothing of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the company's system did not tell which trips are completed: {code}")]
pub struct NotTold {
    /// What went wrong.
    pub code: &'static str,
}

/// Where no system can be asked, a trip is over when its end has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtTheirEnd;

impl CompletedTrips for AtTheirEnd {
    async fn completed(&self, trips: &[EndedTrip]) -> Result<Vec<(OrderId, UtcMillis)>, NotTold> {
        Ok(trips
            .iter()
            .map(|trip| (trip.order.clone(), trip.ends))
            .collect())
    }
}

impl From<NotTold> for RunError {
    fn from(not_told: NotTold) -> Self {
        Self::Outside(not_told.code)
    }
}

/// Issues the vouchers that no message brought, as of the end of `date` or now, whichever is
/// earlier. In pages, each with its place in the ledger, so that another attempt goes on where this
/// one stopped. Whatever it finds may have been told by a message too: there is one voucher.
///
/// # Errors
/// When the job may not start, or a part fails; the ledger then says so.
pub async fn create_promoter_vouchers(
    store: &Store,
    trips: &impl CompletedTrips,
    date: Day,
    again: bool,
    attempt: &impl Attempt,
) -> Result<Counts, RunError> {
    let job = &MGM_CREATE_PROMOTER_VOUCHER;
    let work = async |run: &mut JobRun| work(store, trips, run, attempt).await;
    jobs::run(store, job, date, again, attempt, work).await
}

/// Where a run stands. What depends on the company's system comes last, so that nothing else waits
/// for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Completions that wait, after this order.
    Waiting(String),
    /// Pending periods that are over, after this order.
    Due(String),
    /// Vouchers past their validity.
    Expiring,
    /// Trips whose end has passed, after this end and order.
    Ended(Option<(UtcMillis, String)>),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(order) => write!(formatter, "waiting/{order}"),
            Self::Due(order) => write!(formatter, "due/{order}"),
            Self::Expiring => formatter.write_str("expiring/"),
            Self::Ended(None) => formatter.write_str("ended/"),
            Self::Ended(Some((ends, order))) => {
                write!(formatter, "ended/{}/{order}", ends.get())
            }
        }
    }
}

impl Place {
    fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::Waiting(String::new()));
        };
        Some(match text.split_once('/')? {
            ("waiting", order) => Self::Waiting(order.to_owned()),
            ("due", order) => Self::Due(order.to_owned()),
            ("expiring", _) => Self::Expiring,
            ("ended", "") => Self::Ended(None),
            ("ended", place) => {
                let (ends, order) = place.split_once('/')?;
                let ends = UtcMillis::new(ends.parse().ok()?).ok()?;
                Self::Ended(Some((ends, order.to_owned())))
            }
            _ => return None,
        })
    }
}

async fn work(
    store: &Store,
    trips: &impl CompletedTrips,
    run: &mut JobRun,
    attempt: &impl Attempt,
) -> Result<UtcMillis, RunError> {
    let place = Place::parse(run.resume_after.as_deref());
    let mut place = place.ok_or(StoreError::Broken("job_runs.resume_after"))?;
    loop {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        match step(store, trips, run, place, now).await? {
            Some(next) => place = next,
            None => return Ok(now),
        }
    }
}

/// One page, from `place`; answers where to go on, nothing at the end.
async fn step(
    store: &Store,
    trips: &impl CompletedTrips,
    run: &mut JobRun,
    place: Place,
    now: UtcMillis,
) -> Result<Option<Place>, RunError> {
    let by = now.min(run.date.end());
    match place {
        Place::Waiting(after) => {
            let orders = waiting_completions(store, &after).await?;
            let last = settle_listed(store, run, &orders, Place::Waiting, now).await?;
            Ok(Some(last.unwrap_or(Place::Due(String::new()))))
        }
        Place::Due(after) => {
            let orders = due_rewards(store, &after, by).await?;
            let last = settle_listed(store, run, &orders, Place::Due, now).await?;
            Ok(Some(last.unwrap_or(Place::Expiring)))
        }
        Place::Expiring => {
            let expired = expire_page(store, run, &Place::Expiring.to_string(), now).await?;
            Ok(Some(if expired < PAGE {
                Place::Ended(None)
            } else {
                Place::Expiring
            }))
        }
        Place::Ended(after) => {
            let after = after.as_ref().map(|(ends, order)| (*ends, order.as_str()));
            let ended = ended_trips(store, after, by).await?;
            let Some(last) = ended.last() else {
                return Ok(None);
            };
            let next = Place::Ended(Some((last.ends, last.order.as_str().to_owned())));
            let confirmed = confirm(trips, &ended, now).await?;
            let orders: Vec<String> = confirmed.iter().map(|leg| leg.order.to_string()).collect();
            settle_page(store, run, &orders, &confirmed, &next.to_string(), now).await?;
            Ok(Some(next))
        }
    }
}

/// Settles a page of orders; answers the place after it, nothing when there was none.
async fn settle_listed(
    store: &Store,
    run: &mut JobRun,
    orders: &[String],
    place: fn(String) -> Place,
    now: UtcMillis,
) -> Result<Option<Place>, RunError> {
    let Some(last) = orders.last() else {
        return Ok(None);
    };
    let next = place(last.clone());
    settle_page(store, run, orders, &[], &next.to_string(), now).await?;
    Ok(Some(next))
}

/// The trips that are told to be over. What was not asked for, or lies in the future, is no answer.
async fn confirm(
    trips: &impl CompletedTrips,
    ended: &[EndedTrip],
    now: UtcMillis,
) -> Result<Vec<CompletedLeg>, NotTold> {
    let told = trips.completed(ended).await?;
    let over = told.into_iter().filter(|(_, completed)| *completed <= now);
    let legs = over.filter_map(|(order, completed)| {
        let asked = ended.iter().find(|trip| trip.order == order)?;
        let customer = asked.customer.clone();
        Some(CompletedLeg {
            order,
            customer,
            leg: Leg::WHOLE,
            completed,
        })
    });
    Ok(legs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_whatever_characters_an_order_has() {
        let ends = UtcMillis::new(5).unwrap();
        for place in [
            Place::Waiting("a/b/c".to_owned()),
            Place::Due(String::new()),
            Place::Expiring,
            Place::Ended(None),
            Place::Ended(Some((ends, "/x/".to_owned()))),
        ] {
            assert_eq!(Place::parse(Some(&place.to_string())), Some(place));
        }
        assert_eq!(Place::parse(None), Some(Place::Waiting(String::new())));
        assert_eq!(Place::parse(Some("nowhere/")), None);
    }
}
