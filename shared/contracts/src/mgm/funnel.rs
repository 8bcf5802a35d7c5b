//! The funnel of a campaign over HTTP.

use std::collections::BTreeMap;

use domain::mgm::funnel::Figures;
use serde::Serialize;

/// The answer of `GET /mgm/campaigns/{id}/funnel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunnelBody {
    /// The campaign.
    pub id_campanha: String,
    /// All of it.
    pub total: FiguresBody,
    /// By the São Paulo month in which the promoters joined.
    pub coortes: Vec<CohortBody>,
}

/// The promoters who joined in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CohortBody {
    /// The month: `2026-11`.
    pub coorte: String,
    /// What they brought.
    #[serde(flatten)]
    pub figures: FiguresBody,
}

/// The figures, as docs/glossary.md defines them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "each is documented in domain::mgm::funnel::Figures"
)]
pub struct FiguresBody {
    pub links: i64,
    pub cliques: i64,
    pub compras: i64,
    pub indicacoes: i64,
    pub cupons: i64,
    pub conclusoes: i64,
    pub vouchers: i64,
    pub usados: i64,
    pub cupons_usados: i64,
    pub vouchers_usados: i64,
    pub anuladas: i64,
    pub recusadas: BTreeMap<String, i64>,
    pub receita_atribuida: String,
    pub custo: String,
    pub custo_por_novo_cliente: Option<String>,
    pub fator_k: Option<String>,
}

impl FunnelBody {
    /// From the figures by cohort.
    #[must_use]
    pub fn new(campaign: &str, cohorts: &BTreeMap<String, Figures>) -> Self {
        let mut total = Figures::default();
        cohorts.values().for_each(|figures| total.add(figures));
        let coortes = cohorts
            .iter()
            .map(|(cohort, figures)| CohortBody {
                coorte: cohort.clone(),
                figures: figures.into(),
            })
            .collect();
        Self {
            id_campanha: campaign.to_owned(),
            total: (&total).into(),
            coortes,
        }
    }
}

impl From<&Figures> for FiguresBody {
    fn from(figures: &Figures) -> Self {
        Self {
            links: figures.links,
            cliques: figures.clicks,
            compras: figures.purchases,
            indicacoes: figures.referrals,
            cupons: figures.coupons,
            conclusoes: figures.completions,
            vouchers: figures.vouchers,
            usados: figures.used_coupons.saturating_add(figures.used_vouchers),
            cupons_usados: figures.used_coupons,
            vouchers_usados: figures.used_vouchers,
            anuladas: figures.voided,
            recusadas: figures.refused.clone(),
            receita_atribuida: decimal(figures.revenue_centavos, 100, 2),
            custo: decimal(figures.cost_centavos, 100, 2),
            custo_por_novo_cliente: figures
                .cost_per_new_customer_centavos()
                .map(|centavos| decimal(centavos, 100, 2)),
            fator_k: figures
                .k_factor_ten_thousandths()
                .map(|share| decimal(share, 10_000, 4)),
        }
    }
}

/// A sum may be above the largest single amount, so it is no `Centavos`.
fn decimal(number: i64, unit: i64, places: usize) -> String {
    format!("{}.{:0places$}", number / unit, number % unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_its_cohorts() {
        let figures = |links, referrals, revenue_centavos| Figures {
            links,
            referrals,
            revenue_centavos,
            cost_centavos: 1_005,
            ..Figures::default()
        };
        let cohorts = BTreeMap::from([
            ("2026-10".to_owned(), figures(2, 1, 19_990)),
            ("2026-11".to_owned(), figures(1, 1, 5)),
        ]);
        let body = FunnelBody::new("C", &cohorts);
        assert_eq!((body.total.links, body.total.indicacoes), (3, 2));
        assert_eq!(body.total.receita_atribuida, "199.95");
        assert_eq!(body.total.custo_por_novo_cliente.as_deref(), Some("10.05"));
        assert_eq!(body.total.fator_k.as_deref(), Some("0.6666"));
        let json = serde_json::to_value(&body.coortes).unwrap();
        assert_eq!(
            (&json[0]["coorte"], &json[0]["fator_k"]),
            (&"2026-10".into(), &"0.5000".into())
        );
    }
}
