//! Rows of what streams in (`eventos_clientes`, `estoque`, `produtos_mais_vistos`): small files, one
//! a batch of messages at most, that [`compact`] puts together later.

mod compact;
mod encode;
mod read;

pub use compact::{COMPACTED_ROWS, MOST_ROWS_AT_ONCE, compact};
pub use read::StoredEvent;

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use domain::lake::{Table, WrittenFile};
use domain::time::UtcMillis;

use crate::error::LakeError;
use crate::place::Lake;

/// Where a row came from, if a topic brought it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// `topico`.
    pub topic: String,
    /// `particao`.
    pub partition: i32,
    /// `posicao`: the offset within the partition.
    pub offset: i64,
}

/// A row of `eventos_clientes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// `id_usuario`.
    pub user: String,
    /// `tipo_evento`.
    pub kind: String,
    /// `id_produto`.
    pub product: Option<String>,
    /// `timestamp`; `dia` is its São Paulo day.
    pub occurred: UtcMillis,
    /// `id_evento`, or the message's identity where the event came without one.
    pub event_id: String,
    /// `id_sessao`.
    pub session: Option<String>,
    /// `quantidade`.
    pub quantity: Option<i32>,
    /// `preco`, in centavos.
    pub price_centavos: Option<i64>,
    /// `ref`.
    pub reference: Option<String>,
    /// `regiao`, of the customer's profile.
    pub region: Option<String>,
    /// `topico`, `particao`, `posicao`.
    pub source: Option<Source>,
}

/// A row of `estoque`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// `id_produto`.
    pub product: String,
    /// `nivel_estoque`.
    pub level: i64,
    /// `ultima_atualizacao`; `dia` is its São Paulo day.
    pub updated: UtcMillis,
    /// `topico`, `particao`, `posicao`.
    pub source: Option<Source>,
}

/// A row of `produtos_mais_vistos`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewsRow {
    /// `id_produto`.
    pub product: String,
    /// `count`.
    pub views: i64,
    /// `dia`, in days since 1970.
    pub day: i32,
}

/// Writes events into one file of `eventos_clientes`, by their time; none where there are none.
/// Its name is made of its content and `now`'s hour, so that the same batch written again in a retry
/// takes the same place.
///
/// # Errors
/// When the file store fails.
pub async fn write_events(
    lake: &Lake,
    mut rows: Vec<EventRow>,
    now: UtcMillis,
) -> Result<Option<WrittenFile>, LakeError> {
    rows.sort_by(|left, right| {
        let order = |row: &EventRow| (row.occurred, row.user.clone(), row.event_id.clone());
        order(left)
            .cmp(&order(right))
            .then_with(|| left.source.cmp(&right.source))
    });
    let days = rows.iter().map(|row| Some(row.occurred.day().epoch_days()));
    let prices: Decimal64Array = rows.iter().map(|row| row.price_centavos).collect();
    let quantities: Int32Array = rows.iter().map(|row| row.quantity).collect();
    let mut columns: Vec<ArrayRef> = vec![
        texts(&rows, |row| Some(&row.user)),
        texts(&rows, |row| Some(&row.kind)),
        texts(&rows, |row| row.product.as_deref()),
        times(rows.iter().map(|row| row.occurred)),
        texts(&rows, |row| Some(&row.event_id)),
        texts(&rows, |row| row.session.as_deref()),
        Arc::new(quantities),
        Arc::new(prices.with_precision_and_scale(18, 2)?),
        texts(&rows, |row| row.reference.as_deref()),
        texts(&rows, |row| row.region.as_deref()),
        Arc::new(days.collect::<Date32Array>()),
    ];
    columns.extend(sources(&rows, |row| row.source.as_ref()));
    encode::put(lake, Table::CustomerEvents, columns, now).await
}

/// Writes levels of stock into one file of `estoque`; see [`write_events`].
///
/// # Errors
/// When the file store fails.
pub async fn write_stock(
    lake: &Lake,
    mut rows: Vec<StockRow>,
    now: UtcMillis,
) -> Result<Option<WrittenFile>, LakeError> {
    rows.sort_by(|left, right| {
        (left.updated, &left.product, &left.source).cmp(&(
            right.updated,
            &right.product,
            &right.source,
        ))
    });
    let days = rows.iter().map(|row| Some(row.updated.day().epoch_days()));
    let mut columns: Vec<ArrayRef> = vec![
        texts(&rows, |row| Some(&row.product)),
        Arc::new(
            rows.iter()
                .map(|row| Some(row.level))
                .collect::<Int64Array>(),
        ),
        times(rows.iter().map(|row| row.updated)),
        Arc::new(days.collect::<Date32Array>()),
    ];
    columns.extend(sources(&rows, |row| row.source.as_ref()));
    encode::put(lake, Table::Stock, columns, now).await
}

/// Writes views by product and day into one file of `produtos_mais_vistos`; see [`write_events`].
///
/// # Errors
/// When the file store fails.
pub async fn write_views(
    lake: &Lake,
    rows: &[ViewsRow],
    now: UtcMillis,
) -> Result<Option<WrittenFile>, LakeError> {
    let columns: Vec<ArrayRef> = vec![
        texts(rows, |row| Some(&row.product)),
        Arc::new(
            rows.iter()
                .map(|row| Some(row.views))
                .collect::<Int64Array>(),
        ),
        Arc::new(
            rows.iter()
                .map(|row| Some(row.day))
                .collect::<Date32Array>(),
        ),
    ];
    encode::put(lake, Table::MostViewed, columns, now).await
}

fn texts<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<StringArray>())
}

fn times(times: impl Iterator<Item = UtcMillis>) -> ArrayRef {
    let micros = times.map(|time| time.get().saturating_mul(1_000));
    Arc::new(TimestampMicrosecondArray::from(
        micros.collect::<Vec<i64>>(),
    ))
}

fn sources<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<&'a Source>) -> [ArrayRef; 3] {
    let found: Vec<Option<&Source>> = rows.iter().map(of).collect();
    let found = || found.iter().copied();
    [
        Arc::new(
            found()
                .map(|source| source.map(|source| source.topic.as_str()))
                .collect::<StringArray>(),
        ),
        Arc::new(
            found()
                .map(|source| source.map(|source| source.partition))
                .collect::<Int32Array>(),
        ),
        Arc::new(
            found()
                .map(|source| source.map(|source| source.offset))
                .collect::<Int64Array>(),
        ),
    ]
}
