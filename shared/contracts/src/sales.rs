//! What is told of sales: the report of a load.

use std::collections::BTreeMap;

use domain::time::Day;
use serde::{Deserialize, Serialize};

/// Where the orders of a date lie once they were exported: the key of a file of sales.
#[must_use]
pub fn export_key(day: Day) -> String {
    format!("vendas/exportadas/{day}.csv")
}

/// The report of a load, at `GET /cargas/{id}` and beside the file of bad lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The load's id.
    pub id: String,
    /// The key of the sales file.
    pub arquivo: String,
    /// `carregando`, `carregada` or `recusada`.
    pub situacao: String,
    /// Why nothing was loaded: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motivo: Option<String>,
    /// The columns to blame for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub colunas: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conselho: Option<String>,
    /// Lines read, the header not counted.
    pub linhas_lidas: u64,
    /// Lines that could be taken: sales, returns and those that say that an order has no sale.
    pub linhas_aceitas: u64,
    /// Lines that could not.
    pub quarentena: Quarantined,
    /// Accepted lines that are the same to the letter as an earlier one of the file.
    pub linhas_repetidas: u64,
    /// Units of the accepted lines, returns subtracted.
    pub quantidade: i64,
    /// What the accepted lines come to, in reais with two places.
    pub receita: String,
    /// Distinct orders that the file speaks of.
    pub pedidos: u64,
    /// Orders whose lines of other files it took the place of.
    pub pedidos_substituidos: u64,
    /// Lines of it that count now: no newer file has the last word on their orders.
    pub linhas_no_lago: u64,
    /// The first São Paulo day with a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primeiro_dia: Option<String>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ultimo_dia: Option<String>,
    /// When the load began.
    pub iniciada_em: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminada_em: Option<String>,
}

/// Lines that could not be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// How many.
    pub total: u64,
    /// How many by reason.
    pub por_motivo: BTreeMap<String, u64>,
    /// The key of the file that lists them, in the sales file's bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arquivo: Option<String>,
}

/// Reais with two places; negative where more was returned than sold.
#[must_use]
pub fn signed_amount(centavos: i64) -> String {
    let sign = if centavos < 0 { "-" } else { "" };
    let amount = centavos.unsigned_abs();
    format!("{sign}{}.{:02}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_sign_and_two_places() {
        for (centavos, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (-123_456, "-1234.56"),
        ] {
            assert_eq!(signed_amount(centavos), text);
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let report = LoadReport::default();
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains("conselho") && !text.contains("terminada_em"));
        assert_eq!(serde_json::from_str::<LoadReport>(&text).unwrap(), report);
    }
}
