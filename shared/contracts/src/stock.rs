//! Stock over HTTP and as domain events.

use domain::stock::cover_days;
use serde::Serialize;

/// The stock of a product became low.
pub const BECAME_LOW: &str = "estoque.baixo";
/// It is no longer low.
pub const RECOVERED: &str = "estoque.reposto";

/// What happened to a product's stock. It names no person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StockEvent {
    /// The type: [`BECAME_LOW`] or [`RECOVERED`].
    pub tipo: &'static str,
    /// The alert that began or ended.
    pub id_alerta: String,
    /// The product.
    pub id_produto: String,
    /// `limite` or `cobertura`: why it is low.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motivo: Option<&'static str>,
    /// The warehouse's level.
    pub nivel_estoque: i64,
    /// The level less open reservations.
    pub disponivel: i64,
    /// The threshold that it was compared with.
    pub limite: i64,
    /// Whole days that it lasts as things were sold lately; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dias_cobertura: Option<i64>,
    /// When the level was told.
    pub ultima_atualizacao: String,
    /// The stock's version: events of a product leave in its order.
    pub versao: i64,
}

/// A product's stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StockBody {
    /// The product.
    pub id_produto: String,
    /// The warehouse's newest level.
    pub nivel_estoque: i64,
    /// Open reservations since.
    pub reservado: i64,
    /// What may be sold.
    pub disponivel: i64,
    /// When the level was told.
    pub ultima_atualizacao: String,
    /// The product's own threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estoque_minimo: Option<i64>,
    /// Units sold in 28 days, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendas_28_dias: Option<i64>,
    /// Whole days that it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dias_cobertura: Option<i64>,
    /// Why it is low; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerta: Option<String>,
}

/// An alert: one crossing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertBody {
    /// Its id.
    pub id: String,
    /// The product.
    pub id_produto: String,
    /// `limite` or `cobertura`.
    pub motivo: String,
    /// The level at the crossing.
    pub nivel_estoque: i64,
    /// What could be sold then.
    pub disponivel: i64,
    /// The threshold that it was compared with.
    pub limite: i64,
    /// Whole days that it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dias_cobertura: Option<i64>,
    /// When the crossing was noticed.
    pub desde: String,
    /// When it was over; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ate: Option<String>,
}

/// Days of cover where sales were measured.
#[must_use]
pub fn days_of_cover(available: i64, sold: Option<i64>) -> Option<i64> {
    sold.and_then(|sold| cover_days(available, sold))
}
