//! `GET /metricas/tempo-real` and `GET /produtos/mais_vistos`.

use domain::live::Estimate;
use serde::Serialize;

/// What happens in the shop now.
#[derive(Debug, Clone, Serialize)]
pub struct LiveMetricsBody {
    /// The window, in minutes: `5m`.
    pub janela: String,
    /// When the window begins.
    pub desde: String,
    /// When this was worked out.
    pub calculado_em: String,
    /// Who did anything in the window.
    pub usuarios_ativos: UsersBody,
    /// What was done.
    pub eventos: EventsBody,
    /// What was paid, as the company's orders say.
    pub vendas: SoldBody,
    /// From looking to buying.
    pub conversao: ConversionBody,
    /// The products that were looked at most.
    pub mais_vistos: Vec<ViewedBody>,
    /// Each minute of the window.
    pub minutos: Vec<MinuteBody>,
    /// When the newest event of the window happened.
    pub evento_mais_novo: Option<String>,
    /// How long ago that was, in seconds.
    pub atraso_s: Option<i64>,
    /// Events that came within the window and were older than live figures reach.
    pub atrasados: i64,
}

/// A number of different users.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UsersBody {
    /// The number, or the best guess at it.
    pub total: u64,
    /// Whether it is exact.
    pub exato: bool,
    /// With 95 % confidence there are at least so many.
    pub minimo: u64,
    /// With 95 % confidence there are at most so many.
    pub maximo: u64,
}

/// Events of the window.
#[derive(Debug, Clone, Serialize)]
pub struct EventsBody {
    /// All of them.
    pub total: u64,
    /// `clique`.
    pub cliques: u64,
    /// `carrinho`.
    pub carrinhos: u64,
    /// `compra`, as the shop's pages claim it.
    pub compras: u64,
    /// All of them by minute, with two places.
    pub por_minuto: String,
}

/// Paid orders of the window.
#[derive(Debug, Clone, Serialize)]
pub struct SoldBody {
    /// How many.
    pub pedidos: i64,
    /// How many by minute, with two places.
    pub pedidos_por_minuto: String,
    /// Their totals, in reais.
    pub receita: String,
    /// Their totals by minute, in reais.
    pub receita_por_minuto: String,
}

/// Users of the window by how far they went; shares in percent, absent where nobody was there.
#[derive(Debug, Clone, Serialize)]
pub struct ConversionBody {
    /// Who looked at a product.
    pub clicaram: UsersBody,
    /// Who put one into the cart.
    pub puseram_no_carrinho: UsersBody,
    /// Who bought, as the shop's pages claim it.
    pub compraram: UsersBody,
    /// Cart ÷ click.
    pub clique_carrinho: Option<String>,
    /// Purchase ÷ cart.
    pub carrinho_compra: Option<String>,
    /// Purchase ÷ click.
    pub clique_compra: Option<String>,
}

/// A product of the ranking of the window.
#[derive(Debug, Clone, Serialize)]
pub struct ViewedBody {
    /// The product.
    pub id_produto: String,
    /// It was looked at so often at least.
    pub visualizacoes: u64,
    /// And so often at most.
    pub no_maximo: u64,
}

/// A minute of the window.
#[derive(Debug, Clone, Serialize)]
pub struct MinuteBody {
    /// When it began.
    pub inicio: String,
    /// All events.
    pub eventos: u64,
    /// `clique`.
    pub cliques: u64,
    /// `carrinho`.
    pub carrinhos: u64,
    /// `compra`, as the shop's pages claim it.
    pub compras: u64,
    /// Orders that were paid.
    pub pedidos: i64,
    /// Their totals, in reais.
    pub receita: String,
}

/// A product of `GET /produtos/mais_vistos`.
#[derive(Debug, Clone, Serialize)]
pub struct MostViewedBody {
    /// The product.
    pub id_produto: String,
    /// How often it was looked at.
    pub count: i64,
}

impl From<Estimate> for UsersBody {
    fn from(estimate: Estimate) -> Self {
        Self {
            total: estimate.users,
            exato: estimate.least == estimate.most,
            minimo: estimate.least,
            maximo: estimate.most,
        }
    }
}

/// `part` ÷ `whole` with two places, rounded down; `None` where there is no whole.
#[must_use]
pub fn hundredths(part: u64, whole: u64) -> Option<String> {
    let hundredths = u128::from(part) * 100;
    let hundredths = hundredths.checked_div(u128::from(whole))?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// An amount of reais.
#[must_use]
pub fn reais(centavos: i64) -> String {
    let amount = centavos.unsigned_abs();
    let sign = if centavos < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_places_and_need_a_whole() {
        assert_eq!(hundredths(1, 3).as_deref(), Some("0.33"));
        assert_eq!(hundredths(250, 100).as_deref(), Some("2.50"));
        assert_eq!(hundredths(1, 0), None);
        assert_eq!(reais(123_456), "1234.56");
        assert_eq!(reais(-5), "-0.05");
    }
}
