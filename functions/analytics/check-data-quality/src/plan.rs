//! What is checked: `checks.json` beside this crate's source, one entry a check.

use serde::Deserialize;

/// The file that is built in.
const OWN: &str = include_str!("../checks.json");
/// The columns that a check may name.
const COLUMNS: [&str; 7] = [
    "id_pedido",
    "id_produto",
    "quantidade",
    "preco",
    "data",
    "regiao",
    "categoria",
];
/// The columns that hold texts.
const TEXTS: [&str; 4] = ["id_pedido", "id_produto", "regiao", "categoria"];
/// The columns that hold numbers; `preco` counts in centavos.
const NUMBERS: [&str; 2] = ["quantidade", "preco"];

/// The checks, and over which days lines are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Plan {
    /// Lines of so many days are looked at, up to the date of the run.
    #[serde(rename = "janela_dias")]
    pub window_days: u32,
    /// The checks.
    #[serde(rename = "verificacoes")]
    pub checks: Vec<Check>,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// Its name in the history.
    #[serde(rename = "nome")]
    pub name: String,
    /// What it looks at.
    #[serde(flatten)]
    pub kind: Kind,
    /// What a failure of it is.
    #[serde(rename = "severidade")]
    pub severity: Severity,
    /// Whether an error of it holds back the jobs that come after.
    #[serde(rename = "bloqueia", default)]
    pub blocks: bool,
    /// Of ten thousand so many may fail.
    #[serde(rename = "tolerancia_pontos", default)]
    pub tolerance_points: i64,
}

/// What a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look.
    #[serde(rename = "aviso")]
    Warning,
    /// Wrong.
    #[serde(rename = "erro")]
    Error,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "tipo", rename_all = "snake_case")]
pub enum Kind {
    /// The columns of each file are those of the catalogue.
    Esquema,
    /// A column has a value.
    NaoNulo {
        /// The column.
        coluna: String,
    },
    /// No line of an order and day is there twice.
    Unico,
    /// A column has one of these values, or none.
    ValoresAceitos {
        /// The column.
        coluna: String,
        /// The values.
        valores: Vec<String>,
    },
    /// A number lies between two others, both of them included.
    Faixa {
        /// The column.
        coluna: String,
        /// The least; `preco` in centavos.
        minimo: i64,
        /// The greatest.
        maximo: i64,
    },
    /// The catalog knows the product.
    Relacionamento {
        /// The column.
        coluna: String,
    },
    /// How long ago the newest load ended.
    Frescor {
        /// From so many hours on a warning.
        aviso_horas: i64,
        /// From so many hours on an error.
        erro_horas: i64,
    },
    /// The lines of the date against those of a usual day.
    Volume {
        /// How many days before are looked at.
        dias: u32,
        /// With fewer days that have lines nothing is said.
        minimo_de_dias: i64,
        /// Of ten thousand of a usual day's lines at least so many.
        minimo_pontos: i64,
        /// And at most so many.
        maximo_pontos: i64,
    },
    /// The orders of the date against their lines in the lake, in units and centavos.
    Soma,
}

impl Kind {
    /// The word of the configuration.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Esquema => "esquema",
            Self::NaoNulo { .. } => "nao_nulo",
            Self::Unico => "unico",
            Self::ValoresAceitos { .. } => "valores_aceitos",
            Self::Faixa { .. } => "faixa",
            Self::Relacionamento { .. } => "relacionamento",
            Self::Frescor { .. } => "frescor",
            Self::Volume { .. } => "volume",
            Self::Soma => "soma",
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::NaoNulo { coluna } => COLUMNS.contains(&coluna.as_str()),
            Self::ValoresAceitos { coluna, valores } => {
                TEXTS.contains(&coluna.as_str()) && !valores.is_empty()
            }
            Self::Faixa {
                coluna,
                minimo,
                maximo,
            } => NUMBERS.contains(&coluna.as_str()) && minimo <= maximo,
            Self::Relacionamento { coluna } => coluna == "id_produto",
            Self::Frescor {
                aviso_horas,
                erro_horas,
            } => 0 < *aviso_horas && aviso_horas <= erro_horas,
            Self::Volume {
                dias,
                minimo_pontos,
                maximo_pontos,
                ..
            } => *dias > 0 && minimo_pontos <= maximo_pontos,
            Self::Esquema | Self::Unico | Self::Soma => true,
        }
    }
}

impl Plan {
    /// The plan that is built in.
    ///
    /// # Errors
    /// When it is none.
    pub fn own() -> Result<Self, &'static str> {
        Self::read(OWN)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// When the text is no plan, a check names a column that is not there, or a name comes twice.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let plan: Self =
            serde_json::from_str(text).map_err(|_| "checks.json is no plan of checks")?;
        let names: std::collections::BTreeSet<&str> = plan
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect();
        let is_name = |name: &str| {
            let word =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            (1..=100).contains(&name.len()) && name.bytes().all(word)
        };
        if names.len() != plan.checks.len() || !names.iter().all(|name| is_name(name)) {
            return Err("checks.json: each check has a name of its own: a-z, 0-9 and _");
        }
        if !plan.checks.iter().all(|check| check.kind.is_sound()) || plan.window_days == 0 {
            return Err("checks.json: a check names a column or a limit that can't be");
        }
        Ok(plan)
    }

    /// How many days before the date lines are counted.
    #[must_use]
    pub fn counted_days(&self) -> u32 {
        let volume = self.checks.iter().filter_map(|check| match &check.kind {
            Kind::Volume { dias, .. } => Some(*dias),
            _ => None,
        });
        volume.fold(self.window_days, u32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_that_is_built_in_has_every_kind() {
        let plan = Plan::own().unwrap();
        let kinds: std::collections::BTreeSet<&str> =
            plan.checks.iter().map(|check| check.kind.word()).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?}");
        assert_eq!(plan.counted_days(), 28);
    }

    #[test]
    fn a_plan_that_can_check_nothing_is_refused() {
        for (from, to) in [
            ("\"coluna\": \"regiao\"", "\"coluna\": \"uf\""),
            ("vendas_volume", "vendas_recentes"),
            ("vendas_volume", "Vendas volume"),
            ("\"tipo\": \"soma\"", "\"tipo\": \"somas\""),
            ("\"minimo\": 1,", "\"minimo\": 100000000,"),
            ("\"janela_dias\": 7", "\"janela_dias\": 0"),
            ("{", "["),
        ] {
            assert!(Plan::read(&OWN.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
