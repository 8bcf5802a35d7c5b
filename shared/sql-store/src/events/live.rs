//! Live figures: parts that batches append, merged when they are asked.

use std::collections::BTreeMap;

use domain::{
    events::{Minute, Window},
    live::{self, Counts, Figures},
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::BATCH;
use crate::{Store, StoreError, Tx, Value, placeholders, values};

/// A minute with more parts than this is put together once it is over.
const MOST_PARTS: i64 = 16;
/// Minutes that are put together by one question.
const FOLDED_AT_ONCE: i64 = 4;
/// A minute is over for most of its events so much later.
const SETTLED_MS: i64 = 120_000;

/// The parts of the last minute before the window in which something happened.
const NEWEST_BEFORE: &str = "SELECT minute_ms, figures FROM live_parts WHERE minute_ms = \
    (SELECT MAX(minute_ms) FROM live_parts WHERE minute_ms < ?)";

/// Paid orders of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sold {
    /// How many orders.
    pub orders: i64,
    /// Their totals, in centavos.
    pub revenue_centavos: i64,
}

/// A minute of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteFigures {
    /// Which one.
    pub minute: Minute,
    /// Events by kind.
    pub counts: Counts,
    /// Orders that were paid in it.
    pub sold: Sold,
}

/// What happened within a window.
#[derive(Debug, Clone)]
pub struct LiveFigures {
    /// All minutes merged.
    pub whole: Figures,
    /// Each minute from the first to the current one.
    pub minutes: Vec<MinuteFigures>,
    /// Events that came within the window and are older than live figures reach.
    pub late: i64,
    /// When the newest event happened that live figures still know, in the window or before it.
    pub newest: Option<UtcMillis>,
}

#[derive(FromQueryResult)]
struct PartRow {
    minute_ms: i64,
    figures: Vec<u8>,
}

#[derive(FromQueryResult)]
struct SoldRow {
    minute_ms: i64,
    orders: i64,
    revenue_centavos: i64,
}

impl SoldRow {
    const fn by_minute(self) -> (i64, Sold) {
        let sold = Sold {
            orders: self.orders,
            revenue_centavos: self.revenue_centavos,
        };
        (self.minute_ms, sold)
    }
}

#[derive(FromQueryResult)]
struct LateRow {
    late: Option<i64>,
}

#[derive(FromQueryResult)]
struct MinuteRow {
    minute_ms: i64,
}

#[derive(FromQueryResult)]
struct IdentifiedPart {
    part_id: String,
    figures: Vec<u8>,
}

/// Appends a batch's figures, a row for each minute.
pub(super) async fn append(
    tx: &Tx,
    part_id: &str,
    minutes: &BTreeMap<Minute, Figures>,
) -> Result<(), StoreError> {
    let minutes: Vec<_> = minutes.iter().collect();
    for rows in minutes.chunks(BATCH) {
        let sql = format!(
            "INSERT INTO live_parts (minute_ms, part_id, figures) VALUES {}",
            placeholders(rows.len(), 3)
        );
        let values = rows
            .iter()
            .flat_map(|(minute, figures)| values![minute.start_ms(), part_id, figures.encode()])
            .collect();
        tx.execute(&sql, values).await?;
    }
    Ok(())
}

/// What happened within the window that ends now. Revenue is that of orders that the company's
/// system says are paid; what pages claim is only counted.
///
/// # Errors
/// When the database fails.
pub async fn read(
    store: &Store,
    window: Window,
    now: UtcMillis,
) -> Result<LiveFigures, StoreError> {
    let (first, last) = (window.first(now), Minute::of(now));
    let range = || values![first.start_ms(), last.start_ms()];
    let (parts, sold, late, before): (_, _, _, Vec<PartRow>) = store
        .transact(async |tx: &Tx| {
            let parts: Vec<PartRow> = tx
                .all(
                    "SELECT minute_ms, figures FROM live_parts \
                     WHERE minute_ms >= ? AND minute_ms <= ?",
                    range(),
                )
                .await?;
            let sold: Vec<SoldRow> = tx
                .all(
                    "SELECT approved_ms - approved_ms % 60000 AS minute_ms, COUNT(*) AS orders, \
                     CAST(COALESCE(SUM(total_centavos), 0) AS SIGNED) AS revenue_centavos \
                     FROM purchases WHERE approved_ms >= ? AND approved_ms < ? \
                     AND status IN ('pago', 'concluido') \
                     GROUP BY approved_ms - approved_ms % 60000",
                    values![first.start_ms(), last.next().start_ms()],
                )
                .await?;
            let late: Option<LateRow> = tx
                .one(
                    "SELECT CAST(SUM(late) AS SIGNED) AS late FROM event_batches \
                     WHERE received_ms >= ? AND received_ms <= ?",
                    values![first.start_ms(), now.get()],
                )
                .await?;
            let before = if parts.is_empty() {
                tx.all(NEWEST_BEFORE, values![first.start_ms()]).await?
            } else {
                Vec::new()
            };
            Ok::<_, StoreError>((parts, sold, late, before))
        })
        .await?;
    let mut newest: Option<UtcMillis> = None;
    for part in &before {
        newest = newest.max(live::decode(&part.figures)?.newest);
    }
    let mut whole = Figures::default();
    let mut counts: BTreeMap<i64, Figures> = BTreeMap::new();
    for part in &parts {
        let figures = live::decode(&part.figures)?;
        whole.merge(&figures);
        let minute = counts.entry(part.minute_ms).or_default();
        minute.counts = sum(minute.counts, figures.counts);
    }
    let sold: BTreeMap<i64, Sold> = sold.into_iter().map(SoldRow::by_minute).collect();
    let minutes = std::iter::successors(Some(first), |minute| Some(minute.next()))
        .take_while(|minute| *minute <= last)
        .map(|minute| MinuteFigures {
            minute,
            counts: counts
                .get(&minute.start_ms())
                .map(|figures| figures.counts)
                .unwrap_or_default(),
            sold: sold.get(&minute.start_ms()).copied().unwrap_or_default(),
        })
        .collect();
    Ok(LiveFigures {
        minutes,
        late: late.and_then(|row| row.late).unwrap_or_default(),
        newest: newest.max(whole.newest),
        whole,
    })
}

fn sum(left: Counts, right: Counts) -> Counts {
    Counts {
        events: left.events + right.events,
        clicks: left.clicks + right.clicks,
        carts: left.carts + right.carts,
        purchases: left.purchases + right.purchases,
    }
}

/// Puts the parts of a few minutes that are over into one part each, so that a question never reads
/// many. Parts that come later stand beside it. Answers how many minutes it was.
///
/// # Errors
/// When the database fails.
pub async fn fold(store: &Store, now: UtcMillis) -> Result<usize, StoreError> {
    let minutes: Vec<MinuteRow> = store
        .transact(async |tx: &Tx| {
            tx.all(
                "SELECT minute_ms FROM live_parts WHERE minute_ms < ? GROUP BY minute_ms \
                 HAVING COUNT(*) > ? ORDER BY minute_ms DESC LIMIT ?",
                values![now.get() - SETTLED_MS, MOST_PARTS, FOLDED_AT_ONCE],
            )
            .await
        })
        .await?;
    for row in &minutes {
        store
            .transact(async |tx: &Tx| fold_minute(tx, row.minute_ms, now).await)
            .await?;
    }
    Ok(minutes.len())
}

async fn fold_minute(tx: &Tx, minute_ms: i64, now: UtcMillis) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT part_id, figures FROM live_parts WHERE minute_ms = ? ORDER BY part_id LIMIT ?{}",
        tx.for_update()
    );
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let parts: Vec<IdentifiedPart> = tx.all(&sql, values![minute_ms, limit]).await?;
    let mut whole = Figures::default();
    for part in &parts {
        whole.merge(&live::decode(&part.figures)?);
    }
    let sql = format!(
        "DELETE FROM live_parts WHERE minute_ms = ? AND part_id IN {}",
        placeholders(1, parts.len().max(1))
    );
    let mut values = values![minute_ms];
    values.extend(parts.iter().map(|part| Value::from(part.part_id.as_str())));
    if parts.is_empty() {
        return Ok(());
    }
    tx.execute(&sql, values).await?;
    let part_id = tx.new_id(now)?;
    tx.execute(
        "INSERT INTO live_parts (minute_ms, part_id, figures) VALUES (?, ?, ?)",
        values![minute_ms, part_id, whole.encode()],
    )
    .await?;
    Ok(())
}
