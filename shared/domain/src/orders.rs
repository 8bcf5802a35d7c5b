//! What the other contexts need to know of an order.

/// What an order's status means to referrals and vouchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Cancelled and refunded orders never come back to life, whatever arrives late.
    #[must_use]
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Cancelled | Self::Refunded)
    }
}
