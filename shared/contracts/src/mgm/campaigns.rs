//! Campaigns over HTTP: what an operator sends and gets.

use domain::Invalid;
use domain::mgm::campaign::{
    Amendment, Campaign, CampaignStatus, CouponMoment, Discount, Field, Loopback, Proposal,
    ShopUrl, Violation,
};
use domain::money::{BasisPoints, Centavos};
use domain::time::UtcMillis;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::fields::BadMessage;

/// The fields that a request may have.
const NAMES: [&str; 19] = [
    "nome",
    "inicio",
    "fim",
    "desconto",
    "recompensa",
    "compra_minima",
    "limite_mensal_promotor",
    "limite_total_promotor",
    "limite_por_hora",
    "orcamento",
    "validade_voucher_dias",
    "janela_atribuicao_dias",
    "carencia_dias",
    "cupom_em",
    "cumulativo",
    "aceita_comprador_existente",
    "minimo_pedidos_concluidos",
    "endereco_loja",
    "status",
];

/// A part's name on the wire.
#[must_use]
pub const fn wire_name(field: Field) -> &'static str {
    match field {
        Field::Name => "nome",
        Field::Starts => "inicio",
        Field::Ends => "fim",
        Field::Discount => "desconto",
        Field::Reward => "recompensa",
        Field::MinimumPurchase => "compra_minima",
        Field::PromoterMonthlyLimit => "limite_mensal_promotor",
        Field::PromoterTotalLimit => "limite_total_promotor",
        Field::HourlyVelocityLimit => "limite_por_hora",
        Field::Budget => "orcamento",
        Field::VoucherValidDays => "validade_voucher_dias",
        Field::AttributionWindowDays => "janela_atribuicao_dias",
        Field::PendingDays => "carencia_dias",
        Field::CouponMoment => "cupom_em",
        Field::Stackable => "cumulativo",
        Field::AcceptsExistingBuyers => "aceita_comprador_existente",
        Field::MinimumCompletedOrders => "minimo_pedidos_concluidos",
        Field::ShopUrl => "endereco_loja",
        Field::Status => "status",
    }
}

/// What is wrong with a part, in the words of the wire.
#[must_use]
pub const fn wire_violation(violation: Violation) -> BadMessage {
    BadMessage::invalid(wire_name(violation.field), violation.rule)
}

/// Reads the body of POST /mgm/campaigns.
///
/// # Errors
/// Every field that is missing or wrong.
pub fn read_new(body: &[u8], loopback: Loopback) -> Result<Amendment, Vec<BadMessage>> {
    let (asked, mut wrong) = read(body, loopback);
    if let Err(violations) = asked.proposal.clone().check() {
        for bad in violations.into_iter().map(wire_violation) {
            if !wrong.iter().any(|known| blames(known, bad.field)) {
                wrong.push(bad);
            }
        }
    }
    if wrong.is_empty() {
        Ok(asked)
    } else {
        Err(wrong)
    }
}

/// Reads the body of PATCH /mgm/campaigns/{id}: what is absent stays, and null takes a limit away.
///
/// # Errors
/// Every field that can't be read.
pub fn read_change(body: &[u8], loopback: Loopback) -> Result<Amendment, Vec<BadMessage>> {
    let (asked, wrong) = read(body, loopback);
    if wrong.is_empty() {
        Ok(asked)
    } else {
        Err(wrong)
    }
}

/// Whether `known` is about this field or a part of it ("desconto.teto" is part of "desconto").
fn blames(known: &BadMessage, field: Option<&str>) -> bool {
    let root = |name: &'static str| name.split('.').next();
    known.field.is_none() || known.field.and_then(root) == field
}

/// Reads fields one by one and collects what is wrong.
struct Reader<'a> {
    object: &'a Map<String, Value>,
    wrong: Vec<BadMessage>,
}

impl Reader<'_> {
    /// A value that can't be null; absent and wrong ones are `None`, wrong ones are noted.
    fn value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<T> {
        match read(self.object.get(name)?) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.wrong.push(BadMessage::invalid(name, invalid.rule));
                None
            }
        }
    }

    /// A value that null takes away.
    fn limit(&mut self, name: &'static str) -> Option<Option<u32>> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            _ => self.value(name, whole).map(Some),
        }
    }

    fn discount(&mut self) -> Option<Discount> {
        let Value::Object(fields) = self.object.get("desconto")? else {
            self.wrong
                .push(BadMessage::invalid("desconto", "must be a JSON object"));
            return None;
        };
        let mut inner = Reader {
            object: fields,
            wrong: Vec::new(),
        };
        let discount = inner.discount_fields();
        let complete = inner.wrong.is_empty();
        self.wrong.append(&mut inner.wrong);
        discount.filter(|_| complete)
    }

    fn discount_fields(&mut self) -> Option<Discount> {
        const KIND: BadMessage =
            BadMessage::invalid("desconto.tipo", "must be valor or percentual");
        let kind = self.object.get("tipo").and_then(Value::as_str);
        let expected: &[&str] = match kind {
            Some("valor") => &["tipo", "valor"],
            Some("percentual") => &["tipo", "percentual", "teto"],
            _ => {
                self.wrong.push(KIND);
                return None;
            }
        };
        if self
            .object
            .keys()
            .any(|name| !expected.contains(&name.as_str()))
        {
            let rule = "must hold valor, or percentual and teto, and nothing else";
            self.wrong.push(BadMessage::invalid("desconto", rule));
        }
        let amount = |reader: &mut Self, name, path| reader.part(name, path, amount);
        if kind == Some("valor") {
            return amount(self, "valor", "desconto.valor").map(Discount::Amount);
        }
        let percent = |value: &Value| BasisPoints::parse_percent(text(value)?);
        let points = self.part("percentual", "desconto.percentual", percent);
        let cap = amount(self, "teto", "desconto.teto");
        Some(Discount::Percent {
            points: points?,
            cap: cap?,
        })
    }

    /// A part of the discount, which must be there.
    fn part<T>(
        &mut self,
        name: &str,
        path: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<T> {
        let Some(value) = self.object.get(name) else {
            self.wrong.push(BadMessage::missing(path));
            return None;
        };
        read(value)
            .map_err(|bad| self.wrong.push(BadMessage::invalid(path, bad.rule)))
            .ok()
    }
}

fn text(value: &Value) -> Result<&str, Invalid> {
    value.as_str().ok_or(Invalid::new("must be a text"))
}

fn amount(value: &Value) -> Result<Centavos, Invalid> {
    Centavos::parse(
        value
            .as_str()
            .ok_or(Invalid::new("must be an amount such as \"39.90\""))?,
    )
}

fn whole(value: &Value) -> Result<u32, Invalid> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or(Invalid::new("must be a whole number from 0 on"))
}

fn flag(value: &Value) -> Result<bool, Invalid> {
    value.as_bool().ok_or(Invalid::new("must be true or false"))
}

fn time(value: &Value) -> Result<UtcMillis, Invalid> {
    UtcMillis::parse(text(value)?)
}

fn coupon_moment(value: &Value) -> Result<CouponMoment, Invalid> {
    match value.as_str() {
        Some("compra") => Ok(CouponMoment::Purchase),
        Some("chegada") => Ok(CouponMoment::Arrival),
        _ => Err(Invalid::new("must be compra or chegada")),
    }
}

fn read(body: &[u8], loopback: Loopback) -> (Amendment, Vec<BadMessage>) {
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return (Amendment::default(), vec![BadMessage::NOT_JSON]);
    };
    let mut reader = Reader {
        object: &object,
        wrong: Vec::new(),
    };
    if object.keys().any(|name| !NAMES.contains(&name.as_str())) {
        let rule = "must hold no field that a campaign does not have";
        reader.wrong.push(BadMessage::invalid("body", rule));
    }
    let proposal = Proposal {
        name: reader.value("nome", |value| text(value).map(str::to_owned)),
        starts: reader.value("inicio", time),
        ends: reader.value("fim", time),
        discount: reader.discount(),
        reward: reader.value("recompensa", amount),
        minimum_purchase: reader.value("compra_minima", amount),
        promoter_monthly_limit: reader.limit("limite_mensal_promotor"),
        promoter_total_limit: reader.limit("limite_total_promotor"),
        hourly_velocity_limit: reader.limit("limite_por_hora"),
        budget: reader.value("orcamento", amount),
        voucher_valid_days: reader.value("validade_voucher_dias", whole),
        attribution_window_days: reader.limit("janela_atribuicao_dias"),
        pending_days: reader.value("carencia_dias", whole),
        coupon_moment: reader.value("cupom_em", coupon_moment),
        stackable: reader.value("cumulativo", flag),
        accepts_existing_buyers: reader.value("aceita_comprador_existente", flag),
        minimum_completed_orders: reader.value("minimo_pedidos_concluidos", whole),
        shop_url: reader.value("endereco_loja", |value| {
            ShopUrl::parse(text(value)?, loopback)
        }),
    };
    let status = reader.value("status", |value| CampaignStatus::parse(text(value)?));
    (Amendment { proposal, status }, reader.wrong)
}

/// `desconto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "tipo", rename_all = "snake_case")]
pub enum DiscountBody {
    /// A fixed amount.
    Valor {
        /// The amount.
        valor: String,
    },
    /// A share with a cap.
    Percentual {
        /// The percentage with two places.
        percentual: String,
        /// The most that it takes off.
        teto: String,
    },
}

/// A campaign as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "each field is named as in the domain's terms (see wire_name)"
)]
pub struct CampaignBody {
    pub id_campanha: String,
    pub nome: String,
    pub status: &'static str,
    pub inicio: String,
    pub fim: String,
    pub desconto: DiscountBody,
    pub recompensa: String,
    pub compra_minima: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limite_mensal_promotor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limite_total_promotor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limite_por_hora: Option<u32>,
    pub orcamento: String,
    pub orcamento_reservado: String,
    pub orcamento_gasto: String,
    pub validade_voucher_dias: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub janela_atribuicao_dias: Option<u32>,
    pub carencia_dias: u32,
    pub cupom_em: &'static str,
    pub cumulativo: bool,
    pub aceita_comprador_existente: bool,
    pub minimo_pedidos_concluidos: u32,
    pub endereco_loja: String,
    pub versao: i64,
    pub criada_em: String,
    pub alterada_em: String,
}

impl From<&Campaign> for CampaignBody {
    fn from(campaign: &Campaign) -> Self {
        let terms = campaign.terms();
        Self {
            id_campanha: campaign.id().to_string(),
            nome: terms.name().to_owned(),
            status: campaign.status().as_str(),
            inicio: terms.starts().to_string(),
            fim: terms.ends().to_string(),
            desconto: terms.discount().into(),
            recompensa: terms.reward().to_string(),
            compra_minima: terms.minimum_purchase().to_string(),
            limite_mensal_promotor: terms.promoter_monthly_limit(),
            limite_total_promotor: terms.promoter_total_limit(),
            limite_por_hora: terms.hourly_velocity_limit(),
            orcamento: terms.budget().to_string(),
            orcamento_reservado: campaign.commitments().reserved.to_string(),
            orcamento_gasto: campaign.commitments().spent.to_string(),
            validade_voucher_dias: terms.voucher_valid_days(),
            janela_atribuicao_dias: terms.attribution_window_days(),
            carencia_dias: terms.pending_days(),
            cupom_em: match terms.coupon_moment() {
                CouponMoment::Purchase => "compra",
                CouponMoment::Arrival => "chegada",
            },
            cumulativo: terms.stackable(),
            aceita_comprador_existente: terms.accepts_existing_buyers(),
            minimo_pedidos_concluidos: terms.minimum_completed_orders(),
            endereco_loja: terms.shop_url().as_str().to_owned(),
            versao: campaign.version(),
            criada_em: campaign.created().to_string(),
            alterada_em: campaign.updated().to_string(),
        }
    }
}

/// A purchase through a link that made no referral, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalBody {
    /// The order.
    pub id_pedido: String,
    /// Whose link it was.
    pub id_promotor: String,
    /// Who bought.
    pub id_amigo: String,
    /// Why.
    pub motivo: String,
    /// When.
    pub recusada_em: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::identity::CampaignId;

    const GOOD: &str = r#"{"nome":"Verão","inicio":"2026-11-01T00:00:00-03:00",
        "fim":"2026-12-01T00:00:00-03:00",
        "desconto":{"tipo":"percentual","percentual":"10","teto":"50.00"},
        "recompensa":"30.00","orcamento":"1000.00","validade_voucher_dias":90,
        "janela_atribuicao_dias":30,"limite_total_promotor":null,"cupom_em":"chegada",
        "endereco_loja":"https://loja.example.com/promo"}"#;

    fn wrong_fields(body: &str) -> Vec<&'static str> {
        let wrong = read_new(body.as_bytes(), Loopback::Refused).unwrap_err();
        wrong.iter().filter_map(|bad| bad.field).collect()
    }

    #[test]
    fn a_campaign_goes_over_the_wire_and_back() {
        let asked = read_new(GOOD.as_bytes(), Loopback::Refused).unwrap();
        let now = UtcMillis::parse("2026-10-01T00:00:00Z").unwrap();
        let campaign = Campaign::open(CampaignId::parse("C1").unwrap(), asked, now).unwrap();
        let body = serde_json::to_value(CampaignBody::from(&campaign)).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "id_campanha": "C1", "nome": "Verão", "status": "ativa",
                "inicio": "2026-11-01T03:00:00.000Z", "fim": "2026-12-01T03:00:00.000Z",
                "desconto": {"tipo": "percentual", "percentual": "10.00", "teto": "50.00"},
                "recompensa": "30.00", "compra_minima": "0.00", "orcamento": "1000.00",
                "orcamento_reservado": "0.00", "orcamento_gasto": "0.00",
                "validade_voucher_dias": 90, "janela_atribuicao_dias": 30, "carencia_dias": 0,
                "cupom_em": "chegada", "cumulativo": false, "aceita_comprador_existente": false,
                "minimo_pedidos_concluidos": 0,
                "endereco_loja": "https://loja.example.com/promo", "versao": 1,
                "criada_em": "2026-10-01T00:00:00.000Z", "alterada_em": "2026-10-01T00:00:00.000Z",
            })
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = r#"{"nome":7,"inicio":"ontem","fim":null,"desconto":{"tipo":"percentual",
            "percentual":"101"},"recompensa":10,"compra_minima":"-1","limite_por_hora":-1,
            "limite_mensal_promotor":0,"limite_total_promotor":1e30,"orcamento":"99999999999999",
            "validade_voucher_dias":1.5,"janela_atribuicao_dias":"30","carencia_dias":4294967296,
            "cupom_em":"nunca","cumulativo":"sim","aceita_comprador_existente":0,
            "minimo_pedidos_concluidos":5000,"endereco_loja":"http://loja.example.com",
            "status":"rascunho"}"#;
        let wrong = wrong_fields(body);
        for name in NAMES.iter().filter(|name| **name != "desconto") {
            assert!(wrong.contains(name), "{name} in {wrong:?}");
        }
        assert!(wrong.contains(&"desconto.percentual") && wrong.contains(&"desconto.teto"));
        assert_eq!(wrong.len(), NAMES.len() + 1);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(wrong_fields("{}").len(), 8);
        assert_eq!(wrong_fields("[]"), Vec::<&str>::new());
        assert_eq!(
            wrong_fields(&GOOD.replace("\"cupom_em\"", "\"cupom\"")),
            ["body"]
        );
        assert_eq!(
            wrong_fields(&GOOD.replace("\"50.00\"}", "\"50.00\",\"valor\":\"1\"}")),
            ["desconto"]
        );
        let no_cap = GOOD.replace(",\"teto\":\"50.00\"", "");
        assert_eq!(wrong_fields(&no_cap), ["desconto.teto"]);
        assert_eq!(
            wrong_fields(&GOOD.replace("\"percentual\",", "\"ambos\",")),
            ["desconto.tipo"]
        );
    }

    #[test]
    fn a_change_says_only_what_changes() {
        let asked = read_change(br#"{"limite_por_hora":null}"#, Loopback::Refused).unwrap();
        assert_eq!(asked.proposal.hourly_velocity_limit, Some(None));
        assert_eq!(asked.proposal.promoter_total_limit, None);
        assert!(read_change(br#"{"fim":null}"#, Loopback::Refused).is_err());
        let paused = read_change(br#"{"status":"pausada"}"#, Loopback::Refused).unwrap();
        assert_eq!(paused.status, Some(CampaignStatus::Paused));
    }
}
