//! What became of a campaign and of each referral: the funnel, the list and the trace.

use contracts::mgm::funnel::FunnelBody;
use contracts::mgm::trace::{AuditBody, ReferralBody, StepBody, TraceBody, TracedVoucherBody};
use contracts::page::PageBody;
use domain::Invalid;
use domain::identity::{CampaignId, CustomerId, OrderId, ReferralId};
use domain::money::Centavos;
use domain::time::UtcMillis;
use lambda_kit::http::{Request, Response};
use lambda_kit::{FieldError, Problem};
use serde_json::Value;
use sql_store::Store;
use sql_store::mgm::trace::{self, AuditRow, Filter, ReferralRow, Trace, VoucherRow};
use sql_store::mgm::{campaigns, funnel};
use sql_store::page::LARGEST_PAGE;

use crate::lists::cursor;
use crate::{campaign_id, problems};

/// GET /mgm/campaigns/{id}/funnel.
pub async fn campaign_funnel(store: &Store, request: &Request) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let id = campaign_id(request)?;
    let internal = |error| cold_start::store_problem(&error);
    if campaigns::find(store, &id)
        .await
        .map_err(internal)?
        .is_none()
    {
        return Err(problems::unknown_campaign());
    }
    let cohorts = funnel::by_cohort(store, &id).await.map_err(internal)?;
    Ok(Response::json(200, &FunnelBody::new(id.as_str(), &cohorts)))
}

/// GET /mgm/referrals.
pub async fn referrals(store: &Store, request: &Request) -> Result<Response, Problem> {
    request.only_query(&[
        "id_campanha",
        "id_promotor",
        "id_pedido",
        "cursor",
        "limite",
    ])?;
    let size = request.page_size(LARGEST_PAGE)?;
    let filter = Filter {
        campaign: parameter(request, "id_campanha", |id| CampaignId::parse(id))?,
        promoter: parameter(request, "id_promotor", |id| CustomerId::parse(id))?,
        order: parameter(request, "id_pedido", |id| OrderId::parse(id))?,
    };
    let last = cursor(request, 1)?.and_then(|keys| keys.into_iter().next());
    let after = last.map(ReferralId::parse).transpose();
    let after = after.map_err(|invalid| Problem::field("cursor", invalid.rule))?;
    let page = trace::referrals(store, &filter, after.as_ref(), size)
        .await
        .map_err(|error| cold_start::store_problem(&error))?;
    let bodies = page.rows.iter().map(referral_body).collect();
    let body = PageBody::new(bodies, page.has_more, |row: &ReferralBody| {
        vec![row.id_indicacao.clone()]
    });
    Ok(Response::json(200, &body))
}

/// GET /mgm/referrals/{id}/trace.
pub async fn referral_trace(store: &Store, request: &Request) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let id = ReferralId::parse(request.path_parameter("id")?)
        .map_err(|invalid| Problem::field("id", invalid.rule))?;
    let found = trace::trace(store, &id)
        .await
        .map_err(|error| cold_start::store_problem(&error))?;
    let story = found.ok_or_else(|| {
        let mut problem = Problem::not_found("There is no such referral");
        problem
            .fields
            .push(FieldError::new("id", "must be the id of a referral"));
        problem
    })?;
    let why_no_voucher = story
        .referral
        .why_no_voucher(request.now)
        .map_err(|error| cold_start::store_problem(&error))?;
    Ok(Response::json(200, &trace_body(&story, why_no_voucher)))
}

fn parameter<T>(
    request: &Request,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<Option<T>, Problem> {
    let parsed = request.query_parameter(name).map(parse).transpose();
    parsed.map_err(|invalid| Problem::field(name, invalid.rule))
}

fn trace_body(story: &Trace, why_no_voucher: Option<&'static str>) -> TraceBody {
    TraceBody {
        indicacao: referral_body(&story.referral),
        passos: steps(story),
        sem_voucher_porque: why_no_voucher,
        vouchers: story.vouchers.iter().map(voucher_body).collect(),
        auditoria: story.audit.iter().map(audit_body).collect(),
    }
}

fn steps(story: &Trace) -> Vec<StepBody> {
    let referral = &story.referral;
    let mut steps: Vec<(i64, &'static str, Option<String>)> = Vec::new();
    let amount = Some(amount(referral.purchase_centavos));
    steps.extend(referral.clicked_ms.map(|at| (at, "clique", None)));
    steps.push((referral.purchased_ms, "compra", amount));
    for leg in &story.legs {
        // A trip that was told as a whole has no legs to count.
        let which = (leg.legs > 0).then(|| format!("{} de {}", leg.leg, leg.legs));
        steps.push((leg.completed_ms, "trecho_concluido", which));
    }
    steps.extend(
        referral
            .completed_ms
            .map(|at| (at, "viagem_concluida", None)),
    );
    steps.extend(referral.reward_due_ms.map(|at| (at, "premio_devido", None)));
    steps.extend(referral.rewarded_ms.map(|at| (at, "premiada", None)));
    let reason = referral.void_reason.clone();
    steps.extend(referral.voided_ms.map(|at| (at, "anulada", reason)));
    // Stable: what happened at the same time stays in the order of the story.
    steps.sort_by_key(|(at, _, _)| *at);
    steps
        .into_iter()
        .map(|(at, passo, detalhe)| StepBody {
            passo,
            em: time(at),
            detalhe,
        })
        .collect()
}

fn referral_body(row: &ReferralRow) -> ReferralBody {
    ReferralBody {
        id_indicacao: row.id.clone(),
        id_campanha: row.campaign_id.clone(),
        id_promotor: row.promoter_id.clone(),
        id_amigo: row.friend_id.clone(),
        id_pedido: row.order_id.clone(),
        status: row.status.clone(),
        coorte: row.cohort.clone(),
        valor_compra: amount(row.purchase_centavos),
        comprada_em: time(row.purchased_ms),
        concluida_em: row.completed_ms.map(time),
        premiada_em: row.rewarded_ms.map(time),
        anulada_em: row.voided_ms.map(time),
        motivo: row.void_reason.clone(),
    }
}

fn voucher_body(row: &VoucherRow) -> TracedVoucherBody {
    TracedVoucherBody {
        id_voucher: row.id.clone(),
        tipo: row.kind.clone(),
        status: row.status.clone(),
        id_cliente: row.owner_id.clone(),
        id_pedido: row.order_id.clone(),
        desconto_aplicado: row.discount_centavos.map(amount),
        emitido_em: time(row.issued_ms),
        valido_ate: time(row.expires_ms),
        usado_em: row.used_ms.map(time),
        cancelado_em: row.cancelled_ms.map(time),
        usado_apos_anulacao: row.used_after_void != 0,
    }
}

fn audit_body(row: &AuditRow) -> AuditBody {
    AuditBody {
        entidade: row.entity.clone(),
        id: row.entity_id.clone(),
        versao: row.version,
        em: time(row.changed_ms),
        evento: row.event.clone(),
        detalhes: serde_json::from_str(&row.details).unwrap_or(Value::Null),
        hash: row.hash.clone(),
    }
}

/// A stored amount; one that no rule allows is shown as nothing rather than hiding the story.
fn amount(centavos: i64) -> String {
    Centavos::new(centavos).unwrap_or_default().to_string()
}

fn time(millis: i64) -> String {
    UtcMillis::new(millis)
        .map(|time| time.to_string())
        .unwrap_or_default()
}
