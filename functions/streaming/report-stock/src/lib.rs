//! Levels of stock and their alerts, page by page.

use contracts::{
    page::{PageBody, decode_cursor},
    stock::{AlertBody, StockBody, days_of_cover},
};
use domain::{Invalid, identity::ProductId, time::UtcMillis};
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};
use sql_store::{
    Store,
    page::LARGEST_PAGE,
    stock::{AlertRow, StockRow, alerts, levels},
};

/// The handler of GET /estoque and GET /estoque/alertas.
pub struct ReportStock {
    store: Store,
}

impl ReportStock {
    /// Reads `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    async fn levels(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["id_produto", "cursor", "limite"])?;
        let size = request.page_size(LARGEST_PAGE)?;
        let product = request.query_parameter("id_produto").map(|text| {
            ProductId::parse(text).map_err(|invalid| Problem::field("id_produto", invalid.rule))
        });
        let product = product.transpose()?;
        let product = product.as_ref().map(ProductId::as_str);
        let after = cursor(request)?;
        let page = levels(&self.store, product, after.as_deref(), size).await;
        let page = page.map_err(|error| cold_start::store_problem(&error))?;
        let rows = page.rows.into_iter().map(stock_body);
        let rows: Result<Vec<StockBody>, Invalid> = rows.collect();
        let rows = rows.map_err(|_| Problem::internal())?;
        let place = |row: &StockBody| vec![row.id_produto.clone()];
        Ok(Response::json(
            200,
            &PageBody::new(rows, page.has_more, place),
        ))
    }

    async fn alerts(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["abertos", "cursor", "limite"])?;
        let size = request.page_size(LARGEST_PAGE)?;
        let only_open = match request.query_parameter("abertos") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::field("abertos", "must be true or false")),
        };
        let before = cursor(request)?;
        let page = alerts(&self.store, only_open, before.as_deref(), size).await;
        let page = page.map_err(|error| cold_start::store_problem(&error))?;
        let rows = page.rows.into_iter().map(alert_body);
        let rows: Result<Vec<AlertBody>, Invalid> = rows.collect();
        let rows = rows.map_err(|_| Problem::internal())?;
        let place = |row: &AlertBody| vec![row.id.clone()];
        Ok(Response::json(
            200,
            &PageBody::new(rows, page.has_more, place),
        ))
    }
}

impl Handler for ReportStock {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "GET /estoque" => self.levels(request).await,
            "GET /estoque/alertas" => self.alerts(request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}

fn cursor(request: &Request) -> Result<Option<String>, Problem> {
    let Some(text) = request.query_parameter("cursor") else {
        return Ok(None);
    };
    let keys = decode_cursor(text, 1);
    let key = keys.and_then(|keys| ProductId::parse(keys.into_iter().next()?).ok());
    let key = key.map(|key| key.to_string());
    key.map(Some)
        .ok_or_else(|| Problem::field("cursor", "must be the proximo of the page before"))
}

fn stock_body(row: StockRow) -> Result<StockBody, Invalid> {
    let available = row.units - row.reserved_units;
    Ok(StockBody {
        id_produto: row.product_id,
        nivel_estoque: row.units,
        reservado: row.reserved_units,
        disponivel: available,
        ultima_atualizacao: UtcMillis::new(row.told_ms)?.to_string(),
        estoque_minimo: row.minimum_units,
        vendas_28_dias: row.sold_units,
        dias_cobertura: days_of_cover(available, row.sold_units),
        alerta: row.low_reason,
    })
}

fn alert_body(row: AlertRow) -> Result<AlertBody, Invalid> {
    let time = |millis| UtcMillis::new(millis).map(|time| time.to_string());
    Ok(AlertBody {
        id: row.id,
        id_produto: row.product_id,
        motivo: row.reason,
        nivel_estoque: row.units,
        disponivel: row.available_units,
        limite: row.threshold_units,
        dias_cobertura: days_of_cover(row.available_units, Some(row.sold_units)),
        desde: time(row.created_ms)?,
        ate: row.ended_ms.map(time).transpose()?,
    })
}
