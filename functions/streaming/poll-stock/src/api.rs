//! The warehouse's API over HTTP. Its contract stands in [`contracts::stock_pages`].

use std::time::{Duration, SystemTime};

use contracts::stock_pages::{self, StockPage};
use domain::time::UtcMillis;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{LINK, RETRY_AFTER},
    redirect::Policy,
};
use sha2::{Digest, Sha256};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a page is asked for.
const MOST_TRIES: u32 = 4;
/// The longest pause before the second try; it doubles with each further one.
const FIRST_PAUSE_MS: u64 = 500;
/// An API that asks for a longer pause than this is asked again by the next poll.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Largest page that is read, in bytes: 10,000 levels take about a megabyte.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// How a warehouse is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address of the first page.
    pub url: String,
    /// The bearer token.
    pub token: String,
    /// The parameter that says since when levels changed; without one every poll asks for all.
    pub since_parameter: Option<String>,
}

/// Why the API can't be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The address is none, or would send the token in the clear.
    #[error("STOCK_API_URL must be an https address (http only to 127.0.0.1)")]
    Url,
    /// The HTTP client could not be built.
    #[error("the HTTP client of the warehouse's API could not be built")]
    Client,
}

/// A client of the API.
pub struct StockApi {
    client: Client,
    url: Url,
    settings: Settings,
}

/// A page and the address of the next one.
pub(crate) struct Asked {
    pub(crate) page: StockPage,
    pub(crate) next: Option<Url>,
}

/// What went wrong, whether another try may help, and how long the API asks to wait.
struct Failure {
    code: &'static str,
    passes: bool,
    wait: Option<Duration>,
}

const fn failure(code: &'static str, passes: bool) -> Failure {
    Failure {
        code,
        passes,
        wait: None,
    }
}

impl StockApi {
    /// A client by these settings.
    ///
    /// # Errors
    /// See [`BadSettings`].
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let url: Url = settings.url.parse().map_err(|_| BadSettings::Url)?;
        let is_here = url.scheme() == "http" && url.host_str() == Some("127.0.0.1");
        if url.scheme() != "https" && !is_here {
            return Err(BadSettings::Url);
        }
        // A redirect would take the token elsewhere.
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|_| BadSettings::Client)?;
        Ok(Self {
            client,
            url,
            settings,
        })
    }

    /// Names the API in the ledger of polls; its address may hold more than anybody should read.
    pub(crate) fn source(&self) -> String {
        let digest = Sha256::digest(self.url.as_str().as_bytes());
        let first = digest.iter().take(16);
        first.map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first page of what changed since then.
    pub(crate) fn first(&self, since: Option<UtcMillis>) -> Url {
        let mut url = self.url.clone();
        if let (Some(name), Some(since)) = (&self.settings.since_parameter, since) {
            url.query_pairs_mut().append_pair(name, &since.to_string());
        }
        url
    }

    /// Asks for a page, again where that may help and `has_time_for` the pause.
    pub(crate) async fn page(
        &self,
        url: &Url,
        has_time_for: impl Fn(Duration) -> bool,
    ) -> Result<Asked, &'static str> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.page_once(url).await {
                Ok(asked) => return Ok(asked),
                Err(failure) => failure,
            };
            let pause = failure.wait.unwrap_or_default() + jittered(tries);
            let is_over = tries == MOST_TRIES || pause > LONGEST_PAUSE || !has_time_for(pause);
            if !failure.passes || is_over {
                return Err(failure.code);
            }
            tracing::warn!(
                reason = failure.code,
                count = tries,
                "a page is asked for again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn page_once(&self, url: &Url) -> Result<Asked, Failure> {
        let request = self
            .client
            .get(url.clone())
            .bearer_auth(&self.settings.token);
        let mut response = request
            .send()
            .await
            .map_err(|_| failure("stock_api_unreachable", true))?;
        refuse_bad_status(&response)?;
        let link = response.headers().get(LINK);
        let link = link.and_then(|value| value.to_str().ok());
        let link = link.and_then(stock_pages::next_link).map(str::to_owned);
        let mut answer = Vec::new();
        loop {
            let chunk = response.chunk().await;
            match chunk.map_err(|_| failure("stock_api_unreachable", true))? {
                Some(chunk) if answer.len() + chunk.len() > LARGEST_PAGE => {
                    return Err(failure("stock_api_answers_too_much", false));
                }
                Some(chunk) => answer.extend_from_slice(&chunk),
                None => break,
            }
        }
        let unreadable = failure("stock_api_unreadable", false);
        let page = stock_pages::read(&answer).map_err(|_| unreadable)?;
        let next = match (&page.cursor, link) {
            (Some(cursor), _) => Some(with_cursor(url, cursor)),
            (None, Some(link)) => Some(self.linked(url, &link)?),
            (None, None) => None,
        };
        if next.as_ref() == Some(url) {
            return Err(failure("stock_api_repeats_a_page", false));
        }
        Ok(Asked { page, next })
    }

    /// The token goes to the configured origin only.
    fn linked(&self, from: &Url, link: &str) -> Result<Url, Failure> {
        let elsewhere = || failure("stock_api_links_elsewhere", false);
        let next = from.join(link).map_err(|_| elsewhere())?;
        if next.origin() == self.url.origin() {
            Ok(next)
        } else {
            Err(elsewhere())
        }
    }
}

fn refuse_bad_status(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    let code = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(failure("stock_api_refuses_the_token", false));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => "stock_api_too_busy",
        status if status.is_server_error() => "stock_api_failed",
        _ => return Err(failure("stock_api_failed", false)),
    };
    let wait = response.headers().get(RETRY_AFTER);
    Err(Failure {
        code,
        passes: true,
        wait: wait.and_then(|value| retry_after(value.to_str().ok()?)),
    })
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The same address with this cursor in the place of another.
fn with_cursor(url: &Url, cursor: &str) -> Url {
    let mut next = url.clone();
    let others = url.query_pairs().filter(|(name, _)| name != "cursor");
    next.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("cursor", cursor);
    next
}

/// A random pause up to the doubled limit ("full jitter"), so that instances do not march in step.
fn jittered(tries: u32) -> Duration {
    let mut random = [0; 8];
    // Without random bytes the pause is the shortest: it only keeps instances apart.
    let _ = getrandom::fill(&mut random);
    let longest_ms = FIRST_PAUSE_MS << tries.saturating_sub(1).min(8);
    Duration::from_millis(u64::from_le_bytes(random) % longest_ms + 1)
}
