//! What the other contexts need to know of an order.

use crate::{Invalid, money::Centavos};

/// A line of an order, as the shop's news tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    /// `id_produto`: 1 to 64 visible ASCII characters.
    pub product: String,
    /// How many; at least 1.
    pub quantity: u32,
    /// For one.
    pub unit_price: Centavos,
    /// `categoria`, where the shop tells it.
    pub category: Option<String>,
}

/// What an order's status means to referrals and vouchers, from the least to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Placed and not paid.
    Pending,
    /// Paid: a purchase.
    Paid,
    /// Delivered, or the trip is over.
    Completed,
    /// Cancelled, or never available.
    Cancelled,
    /// Paid back.
    Refunded,
}

impl OrderStatus {
    /// From a shop's word for it, in Portuguese or English, in any case.
    ///
    /// # Errors
    /// For a word that says nothing to us.
    pub fn from_shop(word: &str) -> Result<Self, Invalid> {
        match word.to_ascii_lowercase().as_str() {
            "criado" | "created" | "pendente" | "pending" => Ok(Self::Pending),
            "aprovado" | "approved" | "pago" | "paid" | "faturado" | "invoiced"
            | "em_processamento" | "processing" | "enviado" | "shipped" => Ok(Self::Paid),
            "entregue" | "delivered" | "concluido" | "completed" => Ok(Self::Completed),
            "cancelado" | "canceled" | "cancelled" | "indisponivel" | "unavailable" => {
                Ok(Self::Cancelled)
            }
            "reembolsado" | "refunded" => Ok(Self::Refunded),
            _ => Err(Invalid::new(
                "must be a known order status such as aprovado or cancelado",
            )),
        }
    }

    /// From the stored word.
    ///
    /// # Errors
    /// For a word that we never store.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        [
            Self::Pending,
            Self::Paid,
            Self::Completed,
            Self::Cancelled,
            Self::Refunded,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
        .ok_or(Invalid::new("must be a stored order status"))
    }

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pendente",
            Self::Paid => "pago",
            Self::Completed => "concluido",
            Self::Cancelled => "cancelado",
            Self::Refunded => "reembolsado",
        }
    }

    /// Cancelled and refunded orders never come back to life, whatever arrives late.
    #[must_use]
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Cancelled | Self::Refunded)
    }

    /// The status after news that may come late or twice: an order only moves on.
    #[must_use]
    pub fn merged(self, news: Self) -> Self {
        self.max(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [OrderStatus; 5] = [
        OrderStatus::Pending,
        OrderStatus::Paid,
        OrderStatus::Completed,
        OrderStatus::Cancelled,
        OrderStatus::Refunded,
    ];

    #[test]
    fn stored_words_are_read_back() {
        for status in ALL {
            assert_eq!(OrderStatus::parse(status.as_str()), Ok(status));
        }
        assert!(OrderStatus::parse("aprovado").is_err());
    }

    #[test]
    fn shops_words_are_understood_in_both_languages() {
        for (word, status) in [
            ("created", OrderStatus::Pending),
            ("aprovado", OrderStatus::Paid),
            ("Invoiced", OrderStatus::Paid),
            ("shipped", OrderStatus::Paid),
            ("delivered", OrderStatus::Completed),
            ("unavailable", OrderStatus::Cancelled),
            ("CANCELED", OrderStatus::Cancelled),
            ("reembolsado", OrderStatus::Refunded),
        ] {
            assert_eq!(OrderStatus::from_shop(word), Ok(status), "{word}");
        }
        assert!(OrderStatus::from_shop("talvez").is_err());
    }

    #[test]
    fn a_void_order_stays_void_whatever_comes_late() {
        for status in ALL {
            for news in ALL {
                let merged = status.merged(news);
                assert_eq!(
                    merged,
                    news.merged(status),
                    "the order of news doesn't matter"
                );
                assert_eq!(merged.is_void(), status.is_void() || news.is_void());
            }
        }
    }
}
