//! The store's failures over HTTP: the one place where they become problems.

use lambda_kit::Problem;
use sql_store::StoreError;

/// 503 when another try may help, else 500. The failure is logged here, and nothing of it is shown.
#[must_use]
pub fn store_problem(error: &StoreError) -> Problem {
    tracing::error!(%error, "the store failed");
    if error.is_transient() {
        Problem::unavailable()
    } else {
        Problem::internal()
    }
}
