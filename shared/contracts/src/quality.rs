//! What the checks of the sales found, as GET /qualidade tells it.

use serde::Serialize;

/// A check of a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckBody {
    /// The date.
    pub data: String,
    /// The check's name.
    pub verificacao: String,
    /// `nao_nulo`, `unico`, `valores_aceitos`, `faixa`, `relacionamento`, `frescor`, `volume`,
    /// `soma` or `esquema`.
    pub tipo: String,
    /// `ok`, `aviso`, `erro` or `sem_dados`.
    pub veredito: String,
    /// How many keys failed.
    pub falhas: i64,
    /// How many were looked at.
    pub verificados: i64,
    /// A sentence.
    pub detalhe: String,
    /// The key of the file of all failing keys in the bucket of sales.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arquivo_falhas: Option<String>,
    /// The lake's version that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versao_lago: Option<i64>,
    /// When.
    pub verificado_em: String,
}
