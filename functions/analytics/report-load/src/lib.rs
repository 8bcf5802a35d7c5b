//! What became of a sales file.

use cold_start::store_problem;
use contracts::sales::{LoadReport, signed_amount};
use domain::time::UtcMillis;
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};
use sql_store::{
    Store,
    sales_loads::{Load, find},
};

/// Answers GET /cargas/{id}.
pub struct ReportLoad {
    store: Store,
}

impl ReportLoad {
    /// Over database 1.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for ReportLoad {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let id = request.path_parameter("id")?;
        let load = find(&self.store, id)
            .await
            .map_err(|error| store_problem(&error))?
            .ok_or_else(|| Problem::not_found("There is no load with this id"))?;
        Ok(match load.report {
            Some(report) => Response::json_text(200, report),
            None => Response::json(200, &begun(&load)),
        })
    }
}

/// What is known of a load that has no report yet.
fn begun(load: &Load) -> LoadReport {
    LoadReport {
        id: load.id.clone(),
        arquivo: load.file.key.clone(),
        situacao: load.status.as_str().to_owned(),
        receita: signed_amount(load.counts.sums.revenue_centavos),
        iniciada_em: UtcMillis::new(load.started_ms)
            .map(|at| at.to_string())
            .unwrap_or_default(),
        ..LoadReport::default()
    }
}
