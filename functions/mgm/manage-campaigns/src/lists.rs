//! Campaigns and refused purchases, page by page.

use contracts::mgm::campaigns::{CampaignBody, RefusalBody};
use contracts::page::{PageBody, decode_cursor};
use domain::identity::CampaignId;
use domain::mgm::campaign::CampaignStatus;
use lambda_kit::Problem;
use lambda_kit::http::{Request, Response};
use sql_store::Store;
use sql_store::mgm::campaigns::{self as stored, Refusal};
use sql_store::page::LARGEST_PAGE;

use crate::campaign_id;

/// Longest reason that is looked for.
const LONGEST_REASON: usize = 40;

/// The keys of the cursor that a request gives.
pub(crate) fn cursor(request: &Request, keys: usize) -> Result<Option<Vec<String>>, Problem> {
    let Some(text) = request.query_parameter("cursor") else {
        return Ok(None);
    };
    let found = decode_cursor(text, keys).map(Some);
    found.ok_or_else(|| Problem::field("cursor", "must be the proximo of the page before"))
}

/// GET /mgm/campaigns.
pub async fn campaigns(store: &Store, request: &Request) -> Result<Response, Problem> {
    request.only_query(&["status", "cursor", "limite"])?;
    let size = request.page_size(LARGEST_PAGE)?;
    let status = request
        .query_parameter("status")
        .map(CampaignStatus::parse)
        .transpose();
    let status = status.map_err(|invalid| Problem::field("status", invalid.rule))?;
    let before = cursor(request, 1)?.and_then(|keys| keys.into_iter().next());
    let before = before.map(CampaignId::parse).transpose();
    let before = before.map_err(|invalid| Problem::field("cursor", invalid.rule))?;
    let page = stored::list(store, status, before.as_ref(), size).await;
    let page = page.map_err(|error| cold_start::store_problem(&error))?;
    let bodies = page.rows.iter().map(CampaignBody::from).collect();
    let body = PageBody::new(bodies, page.has_more, |row: &CampaignBody| {
        vec![row.id_campanha.clone()]
    });
    Ok(Response::json(200, &body))
}

/// GET /mgm/campaigns/{id}/refusals.
pub async fn refusals(store: &Store, request: &Request) -> Result<Response, Problem> {
    request.only_query(&["motivo", "cursor", "limite"])?;
    let id = campaign_id(request)?;
    let size = request.page_size(LARGEST_PAGE)?;
    let reason = request.query_parameter("motivo");
    if reason.is_some_and(|reason| reason.is_empty() || reason.len() > LONGEST_REASON) {
        return Err(Problem::field(
            "motivo",
            "must be a reason of 1 to 40 characters",
        ));
    }
    let place = cursor(request, 2)?;
    let after = match place.as_deref() {
        Some([reason, order]) => Some((reason.as_str(), order.as_str())),
        _ => None,
    };
    let internal = |error| cold_start::store_problem(&error);
    if stored::find(store, &id).await.map_err(internal)?.is_none() {
        return Err(crate::problems::unknown_campaign());
    }
    let page = stored::refusals(store, &id, reason, after, size)
        .await
        .map_err(internal)?;
    let bodies = page.rows.into_iter().map(refusal_body).collect();
    let body = PageBody::new(bodies, page.has_more, |row: &RefusalBody| {
        vec![row.motivo.clone(), row.id_pedido.clone()]
    });
    Ok(Response::json(200, &body))
}

fn refusal_body(refusal: Refusal) -> RefusalBody {
    RefusalBody {
        id_pedido: refusal.order.to_string(),
        id_promotor: refusal.promoter.to_string(),
        id_amigo: refusal.friend.to_string(),
        motivo: refusal.reason,
        recusada_em: refusal.refused.to_string(),
    }
}
