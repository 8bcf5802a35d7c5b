//! Referrals over HTTP, for operators.

use serde::Serialize;
use serde_json::Value;

/// A referral in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is named as in docs/glossary.md")]
pub struct ReferralBody {
    pub id_indicacao: String,
    pub id_campanha: String,
    pub id_promotor: String,
    pub id_amigo: String,
    pub id_pedido: String,
    pub status: String,
    pub coorte: String,
    pub valor_compra: String,
    pub comprada_em: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concluida_em: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub premiada_em: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anulada_em: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motivo: Option<String>,
}

/// The answer of `GET /mgm/referrals/{id}/trace`: click → purchase → trip → voucher, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceBody {
    /// The referral.
    pub indicacao: ReferralBody,
    /// What happened to it, in the order of time.
    pub passos: Vec<StepBody>,
    /// Why the promoter has no voucher for it: `viagem_nao_concluida`, `em_carencia`,
    /// `aguarda_emissao` or `anulada`; none when there is one.
    pub sem_voucher_porque: Option<&'static str>,
    /// The friend's coupon and the promoter's voucher, without their codes.
    pub vouchers: Vec<TracedVoucherBody>,
    /// Every change of the referral and of these, chained by hash.
    pub auditoria: Vec<AuditBody>,
}

/// A step of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepBody {
    /// `clique`, `compra`, `trecho_concluido`, `viagem_concluida`, `premio_devido`, `premiada` or
    /// `anulada`.
    pub passo: &'static str,
    /// When (RFC 3339, UTC).
    pub em: String,
    /// What belongs to it: a leg ("1 de 2"), an amount, a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detalhe: Option<String>,
}

/// A coupon or voucher of the referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is named as in docs/glossary.md")]
pub struct TracedVoucherBody {
    pub id_voucher: String,
    pub tipo: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_cliente: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_pedido: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desconto_aplicado: Option<String>,
    pub emitido_em: String,
    pub valido_ate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usado_em: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelado_em: Option<String>,
    pub usado_apos_anulacao: bool,
}

/// A link of an audit chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is named as in docs/glossary.md")]
pub struct AuditBody {
    pub entidade: String,
    pub id: String,
    pub versao: i64,
    pub em: String,
    pub evento: String,
    pub detalhes: Value,
    pub hash: String,
}
