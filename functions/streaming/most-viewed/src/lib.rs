//! Answers GET /produtos/mais_vistos: the products that are looked at most.

use contracts::{
    live::MostViewedBody,
    page::{PageBody, decode_cursor},
};
use domain::time::Day;
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};
use sql_store::{Store, events::views::most_viewed, page::LARGEST_PAGE};

/// Days that are looked at where none are named, today among them.
const USUAL_DAYS: u32 = 7;
/// The longest time that one question covers, in days.
const MOST_DAYS: i32 = 366;

/// The handler of /produtos/mais_vistos.
pub struct MostViewed {
    store: Store,
}

impl MostViewed {
    /// Views are read from `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for MostViewed {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["de", "ate", "limite", "cursor"])?;
        let days = days(request)?;
        let size = request.page_size(LARGEST_PAGE)?;
        let after = request.query_parameter("cursor").map(cursor).transpose()?;
        let after = after
            .as_ref()
            .map(|(views, product)| (*views, product.as_str()));
        let mut rows = most_viewed(&self.store, days, after, size + 1)
            .await
            .map_err(|error| cold_start::store_problem(&error))?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let has_more = rows.len() > size;
        rows.truncate(size);
        let bodies = rows
            .into_iter()
            .map(|row| MostViewedBody {
                id_produto: row.product_id,
                count: row.views,
            })
            .collect();
        let body = PageBody::new(bodies, has_more, |row: &MostViewedBody| {
            vec![row.count.to_string(), row.id_produto.clone()]
        });
        Ok(Response::json(200, &body))
    }
}

fn days(request: &Request) -> Result<(Day, Day), Problem> {
    let day = |name: &'static str| {
        let text = request.query_parameter(name);
        let day = text.map(Day::parse).transpose();
        day.map_err(|invalid| Problem::field(name, invalid.rule))
    };
    let last = day("ate")?.unwrap_or_else(|| request.now.day());
    let first = match day("de")? {
        Some(first) => first,
        None => (1..USUAL_DAYS).fold(last, |day, _| day.previous()),
    };
    let length = last.epoch_days() - first.epoch_days();
    if (0..MOST_DAYS).contains(&length) {
        Ok((first, last))
    } else {
        Err(Problem::field("de", "must be at most 365 days before ate"))
    }
}

fn cursor(text: &str) -> Result<(i64, String), Problem> {
    let read = || {
        let mut keys = decode_cursor(text, 2)?.into_iter();
        let views = keys.next()?.parse().ok()?;
        Some((views, keys.next()?))
    };
    read().ok_or_else(|| Problem::field("cursor", "must be the proximo of the page before"))
}
