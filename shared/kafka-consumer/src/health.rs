//! GET /health: 200 while Kafka is polled and the store takes what comes, 503 otherwise.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

/// A part that has not moved for so long is not well.
const STALLED_MS: i64 = 60_000;

/// What the two threads tell of themselves.
pub(crate) struct Health {
    started: Instant,
    polled_ms: AtomicI64,
    /// Since when the batch at hand is tried; 0 between batches.
    trying_since_ms: AtomicI64,
    records: AtomicU64,
}

impl Health {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            polled_ms: AtomicI64::new(0),
            trying_since_ms: AtomicI64::new(0),
            records: AtomicU64::new(0),
        })
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn polled(&self) {
        self.polled_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    pub(crate) fn applied(&self, records: usize) {
        self.trying_since_ms.store(0, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn trying(&self) {
        let now = self.elapsed_ms().max(1);
        self.trying_since_ms.store(now, Ordering::Relaxed);
    }

    fn problem(&self) -> Option<&'static str> {
        let now = self.elapsed_ms();
        let trying_since = self.trying_since_ms.load(Ordering::Relaxed);
        if now - self.polled_ms.load(Ordering::Relaxed) > STALLED_MS {
            Some("kafka_parado")
        } else if trying_since > 0 && now - trying_since > STALLED_MS {
            Some("banco_falhando")
        } else {
            None
        }
    }
}

/// Answers until the process ends.
pub(crate) async fn serve(listener: TcpListener, health: Arc<Health>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/health", get(answer))
        .with_state(health);
    axum::serve(listener, routes).await
}

async fn answer(State(health): State<Arc<Health>>) -> (StatusCode, Json<Answer>) {
    let problem = health.problem();
    let status = match problem {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let records = health.records.load(Ordering::Relaxed);
    (status, Json(Answer { problem, records }))
}

#[derive(serde::Serialize)]
struct Answer {
    #[serde(rename = "problema", skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    #[serde(rename = "registros")]
    records: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_tried_for_too_long_is_told() {
        let health = Health::new();
        health.trying();
        assert_eq!(health.problem(), None);
        let ago = |millis| Instant::now().checked_sub(std::time::Duration::from_millis(millis));
        let stalled = u64::try_from(STALLED_MS).unwrap() + 1000;
        let mut health = Arc::into_inner(health).unwrap();
        health.started = ago(stalled).unwrap();
        health.polled();
        assert_eq!(health.problem(), Some("banco_falhando"));
        health.applied(1);
        assert_eq!(health.problem(), None);
    }
}
