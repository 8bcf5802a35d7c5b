//! The company's system that knows which trips are completed, over HTTP. Its contract stands in
//! [`contracts::mgm::completed_trips`].

use std::time::Duration;

use contracts::mgm::completed_trips::{self, MOST_ORDERS};
use domain::{identity::OrderId, time::UtcMillis};
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use sql_store::mgm::sweep::{CompletedTrips, EndedTrip, NotTold};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before the second and third try of a request.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// Longest answer that is read, in bytes: 50 trips take less than 10 KB.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Why the company's system can't be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The address is none, or would send the token in the clear.
    #[error("COMPLETED_TRIPS_URL must be an https address (http only on this machine)")]
    Url,
    /// The HTTP client could not be built.
    #[error("the HTTP client of the company's system could not be built")]
    Client,
}

/// A client of the company's system.
pub struct CompanySystem {
    client: Client,
    url: Url,
    token: String,
}

/// What went wrong, and whether another try may help.
struct Failure {
    not_told: NotTold,
    passes: bool,
}

const fn failure(code: &'static str, passes: bool) -> Failure {
    Failure {
        not_told: NotTold { code },
        passes,
    }
}

impl CompanySystem {
    /// A client that asks `url` with a bearer `token`.
    ///
    /// # Errors
    /// See [`BadSettings`].
    pub fn new(url: &str, token: &str) -> Result<Self, BadSettings> {
        let url: Url = url.parse().map_err(|_| BadSettings::Url)?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
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
            token: token.to_owned(),
        })
    }

    async fn ask(&self, orders: &[EndedTrip]) -> Result<Vec<(OrderId, UtcMillis)>, NotTold> {
        let mut url = self.url.clone();
        let ids = orders.iter().map(|trip| ("id_pedido", trip.order.as_str()));
        url.query_pairs_mut().extend_pairs(ids);
        let mut pauses = PAUSES.iter();
        loop {
            match self.ask_once(url.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => match pauses.next() {
                    Some(pause) if failure.passes => tokio::time::sleep(*pause).await,
                    _ => return Err(failure.not_told),
                },
            }
        }
    }

    async fn ask_once(&self, url: Url) -> Result<Vec<(OrderId, UtcMillis)>, Failure> {
        let request = self.client.get(url).bearer_auth(&self.token);
        let mut response = request
            .send()
            .await
            .map_err(|_| failure("completed_trips_unreachable", true))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(failure("completed_trips_refuses_the_token", false));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                return Err(failure("completed_trips_too_busy", true));
            }
            status => return Err(failure("completed_trips_failed", status.is_server_error())),
        }
        let mut answer = Vec::new();
        loop {
            let chunk = response.chunk().await;
            match chunk.map_err(|_| failure("completed_trips_unreachable", true))? {
                Some(chunk) if answer.len() + chunk.len() > LONGEST_ANSWER => {
                    return Err(failure("completed_trips_answers_too_much", false));
                }
                Some(chunk) => answer.extend_from_slice(&chunk),
                None => break,
            }
        }
        completed_trips::read(&answer).map_err(|_| failure("completed_trips_unreadable", false))
    }
}

impl CompletedTrips for CompanySystem {
    async fn completed(&self, trips: &[EndedTrip]) -> Result<Vec<(OrderId, UtcMillis)>, NotTold> {
        let mut completed = Vec::new();
        for chunk in trips.chunks(MOST_ORDERS) {
            completed.extend(self.ask(chunk).await?);
        }
        Ok(completed)
    }
}
