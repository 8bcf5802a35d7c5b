//! What the checks of the sales found.

use cold_start::store_problem;
use contracts::{
    page::{PageBody, decode_cursor},
    quality::CheckBody,
};
use domain::time::{Day, UtcMillis};
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};
use sql_store::{
    Store,
    page::LARGEST_PAGE,
    quality::{CheckResult, of_check, of_day},
};

/// Answers GET /qualidade.
pub struct ReportQuality {
    store: Store,
}

impl ReportQuality {
    /// Over database 1.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Every check of a date, or of the newest that was checked.
    async fn date(&self, request: &Request) -> Result<PageBody<CheckBody>, Problem> {
        request.only_query(&["data"])?;
        let date = day("data", request.query_parameter("data"))?;
        let results = of_day(&self.store, date).await;
        let results = results.map_err(|error| store_problem(&error))?;
        Ok(page(results, false))
    }

    /// The history of a check, newest first.
    async fn history(
        &self,
        request: &Request,
        check: &str,
    ) -> Result<PageBody<CheckBody>, Problem> {
        request.only_query(&["verificacao", "limite", "cursor"])?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if check.is_empty() || !check.bytes().all(is_name) {
            let rule = "must be the name of a check, such as vendas_preco_preenchido";
            return Err(Problem::field("verificacao", rule));
        }
        let size = request.page_size(LARGEST_PAGE)?;
        let cursor = request.query_parameter("cursor");
        let keys = cursor.map(|cursor| decode_cursor(cursor, 1).unwrap_or_default());
        let last = keys.as_ref().map(|keys| keys.first().map_or("", |key| key));
        let before = day("cursor", last)?;
        let results = of_check(&self.store, check, before, size).await;
        let results = results.map_err(|error| store_problem(&error))?;
        Ok(page(results.rows, results.has_more))
    }
}

impl Handler for ReportQuality {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        let page = match request.query_parameter("verificacao") {
            None => self.date(request).await?,
            Some(check) => self.history(request, check).await?,
        };
        Ok(Response::json(200, &page))
    }
}

fn day(name: &str, text: Option<&str>) -> Result<Option<Day>, Problem> {
    text.map(Day::parse)
        .transpose()
        .map_err(|invalid| Problem::field(name, invalid.rule))
}

fn page(results: Vec<CheckResult>, has_more: bool) -> PageBody<CheckBody> {
    let bodies = results.into_iter().map(body).collect();
    PageBody::new(bodies, has_more, |last: &CheckBody| vec![last.data.clone()])
}

fn body(result: CheckResult) -> CheckBody {
    CheckBody {
        data: result.day,
        verificacao: result.check_name,
        tipo: result.kind,
        veredito: result.verdict,
        falhas: result.failures,
        verificados: result.checked,
        detalhe: result.detail,
        arquivo_falhas: result.failures_key,
        versao_lago: result.snapshot_id,
        verificado_em: UtcMillis::new(result.checked_ms)
            .map(|at| at.to_string())
            .unwrap_or_default(),
    }
}
