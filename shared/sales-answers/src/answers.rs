//! Answers as they go back over HTTP.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use contracts::sales_summary::Format;
use domain::lake::SnapshotId;
use domain::sales::Group;
use domain::time::UtcMillis;
use lambda_kit::Problem;
use lambda_kit::http::{Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::cursor::Cursor;
use crate::kept::Kept;
use crate::packing::{Packing, TooLarge};
use crate::parameters::{Asked, Page, Ranking};
use crate::source::{SalesSource, SourceError};

/// Memory for ranked answers.
const ANSWERS_BYTES: usize = 96 * 1024 * 1024;
/// Memory for pages that are text already.
const PAGES_BYTES: usize = 32 * 1024 * 1024;
/// The version of a lake without sales; a load makes a later one.
const NOTHING_LOADED: SnapshotId = SnapshotId(0);
/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Caches of the caller keep an answer but ask each time whether it still holds.
const CACHE_CONTROL: &str = "private, no-cache";

/// The groups of an answer in their order.
type Ranked = Vec<Group>;

/// A page as it goes back.
#[derive(Debug)]
struct Written {
    body: String,
    next: Option<Cursor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageKey {
    asked: Asked,
    format: Format,
    packing: Packing,
    limit: Option<u32>,
    passed: u64,
}

/// Answers questions from a source, and keeps what was answered while the data stay the same.
pub struct Answers<S> {
    source: S,
    ranked: Kept<Asked, Ranked>,
    pages: Kept<PageKey, Written>,
}

impl<S: SalesSource> Answers<S> {
    /// Answers from this source.
    pub fn new(source: S) -> Self {
        Self {
            source,
            ranked: Kept::new(ANSWERS_BYTES),
            pages: Kept::new(PAGES_BYTES),
        }
    }

    /// The response to a request that was read; `path` is the route's, for the link to the next
    /// page.
    ///
    /// # Errors
    /// 400 for a cursor of another question, 410 for one whose version is gone, 413 for an answer
    /// that does not go back in one piece, 503 or 500 when the source fails.
    pub async fn respond(
        &self,
        request: &Request,
        path: &str,
        asked: Asked,
        page: Page,
    ) -> Result<Response, Problem> {
        let place = page.cursor.as_ref().map(|text| Cursor::parse(text, &asked));
        let place = place.map(|place| place.ok_or_else(unknown_cursor));
        let place = place.transpose()?;
        let newest = self.source.newest().await.map_err(problem)?;
        let start = place.unwrap_or(Cursor {
            version: newest.map_or(NOTHING_LOADED, |newest| newest.id),
            loaded: newest.map(|newest| newest.committed),
            passed: 0,
        });
        let key = PageKey {
            asked,
            format: page.format,
            packing: Packing::of(page.format, request),
            limit: page.limit,
            passed: start.passed,
        };
        let tag = entity_tag(start.version, &key);
        if request.knows(&tag) {
            return Ok(with_freshness(Response::empty(304), start, &key, &tag));
        }
        let Some(newest) = newest else {
            let empty = key.write(&[])?;
            return Ok(with_freshness(key.response(empty), start, &key, &tag));
        };
        self.ranked.see(newest.id);
        self.pages.see(newest.id);
        let written = match self.page(start, &key).await {
            // Newer data came, and the old were removed, since the newest version was asked for.
            Err(gone) if gone.status == 410 && page.cursor.is_none() => {
                return Err(Problem::unavailable());
            }
            other => other?,
        };
        let mut response = key.response(written.body.clone());
        if let Some(next) = written.next {
            let cursor = next.text(&key.asked);
            let link = format!("<{path}?{}>; rel=\"next\"", next_query(request, &cursor));
            response = response
                .with_header("link", link)
                .with_header("x-proximo-cursor", cursor);
        }
        Ok(with_freshness(response, start, &key, &tag))
    }

    async fn page(&self, start: Cursor, key: &PageKey) -> Result<Arc<Written>, Problem> {
        let version = start.version;
        if let Some(kept) = self.pages.get(version, key) {
            return Ok(kept);
        }
        let ranked = self.ranked(version, &key.asked).await?;
        let passed = usize::try_from(key.passed).unwrap_or(usize::MAX);
        let rest = ranked.get(passed..).unwrap_or_default();
        let limit = key.limit.map_or(rest.len(), |limit| limit as usize);
        let groups = rest.get(..limit).unwrap_or(rest);
        let body = key.write(groups)?;
        let next = (groups.len() < rest.len()).then(|| Cursor {
            passed: key.passed + groups.len() as u64,
            ..start
        });
        let size_bytes = body.len() + size_of::<PageKey>();
        let written = Arc::new(Written { body, next });
        self.pages
            .keep(version, key.clone(), Arc::clone(&written), size_bytes);
        Ok(written)
    }

    async fn ranked(&self, version: SnapshotId, asked: &Asked) -> Result<Arc<Ranked>, Problem> {
        if let Some(kept) = self.ranked.get(version, asked) {
            return Ok(kept);
        }
        let answer = self.source.answer(version, &asked.question).await;
        let mut groups = answer.map_err(problem)?;
        rank(&mut groups, asked.ranking);
        let texts: usize = groups
            .iter()
            .map(|group| group.key.as_ref().map_or(0, String::capacity))
            .sum();
        let size_bytes = texts + groups.len() * size_of::<Group>();
        let ranked = Arc::new(groups);
        self.ranked
            .keep(version, asked.clone(), Arc::clone(&ranked), size_bytes);
        Ok(ranked)
    }
}

/// The greatest first; equal ones by their keys, the unknown one last.
fn rank(groups: &mut [Group], ranking: Ranking) {
    let by = |group: &Group| match ranking {
        Ranking::Quantity => group.sums.quantity,
        Ranking::Revenue => group.sums.revenue_centavos,
    };
    groups.sort_unstable_by(|left, right| {
        let key = |group: &'_ Group| group.key.is_none();
        (Reverse(by(left)), key(left), &left.key).cmp(&(Reverse(by(right)), key(right), &right.key))
    });
}

impl PageKey {
    fn write(&self, groups: &[Group]) -> Result<String, Problem> {
        let grouping = self.asked.question.grouping;
        let written = self.packing.write(self.format, grouping, groups);
        written.map_err(|TooLarge| too_large(self.packing))
    }

    fn response(&self, body: String) -> Response {
        let response = Response::text(200, self.format.content_type(), body);
        match self.packing {
            Packing::Gzip => response.in_base64().with_header("content-encoding", "gzip"),
            Packing::Plain => response,
        }
    }
}

/// Of what version the answer is: for the caller's cache, and for people.
fn with_freshness(response: Response, start: Cursor, key: &PageKey, tag: &str) -> Response {
    let mut response = response
        .with_header("etag", tag)
        .with_header("cache-control", CACHE_CONTROL)
        .with_header("x-versao", start.version.0.to_string());
    if Packing::is_asked_for(key.format) {
        response = response.with_header("vary", "accept-encoding");
    }
    match start.loaded {
        None => response,
        Some(loaded) => response
            .with_header("last-modified", http_date(loaded))
            .with_header("x-carregado-em", loaded.to_string()),
    }
}

/// The same for the same answer: its version, and what was asked of it.
fn entity_tag(version: SnapshotId, key: &PageKey) -> String {
    let mut digest = Sha256::new();
    let limit = key.limit.unwrap_or(0);
    let (format, packing) = (key.format.as_str(), key.packing.as_str());
    let page = format!("{format}|{packing}|{limit}|{}|", key.passed);
    digest.update(page);
    digest.update(key.asked.canonical());
    let hex: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{}-{hex}\"", version.0)
}

/// The query of the next page: this one's with another cursor.
fn next_query(request: &Request, cursor: &str) -> String {
    let mut pairs: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| name.as_str() != "cursor")
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)))
        .collect();
    pairs.push(format!("cursor={cursor}"));
    pairs.join("&")
}

/// `Fri, 20 Nov 2026 12:00:00 GMT` (RFC 9110 §5.6.7).
fn http_date(time: UtcMillis) -> String {
    let since = Duration::from_millis(time.get().unsigned_abs());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}

fn unknown_cursor() -> Problem {
    let rule = "must be the x-proximo-cursor of the page before, with its other parameters";
    Problem::field("cursor", rule)
}

fn too_large(packing: Packing) -> Problem {
    Problem::new(
        413,
        "answer-too-large",
        "The answer is too large for one piece",
    )
    .with_detail(match packing {
        Packing::Plain => {
            "send accept-encoding: gzip with formato=csv or ndjson, give limite and follow \
             x-proximo-cursor from page to page, or narrow the question"
        }
        Packing::Gzip => {
            "give limite and follow x-proximo-cursor from page to page, or narrow the question"
        }
    })
}

fn problem(error: SourceError) -> Problem {
    match error {
        SourceError::Gone => Problem::new(
            410,
            "cursor-vencido",
            "The data that this cursor stands on are not kept any more",
        )
        .with_detail("start again without cursor: the answer is then of the newest data"),
        SourceError::Unavailable => Problem::unavailable(),
        SourceError::Failed => Problem::internal(),
    }
}

#[cfg(test)]
mod tests;
