//! Identifiers. An id names a thing and says nothing about a person.

use std::fmt;

use crate::Invalid;

const LONGEST_ID: usize = 64;

/// An id is 1 to 64 visible ASCII characters: it fits every column, key and log line.
fn check(text: &str) -> Result<(), Invalid> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=LONGEST_ID).contains(&text.len()) {
        Ok(())
    } else {
        Err(Invalid::new(
            "must be an id of 1 to 64 visible ASCII characters",
        ))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// From a text of 1 to 64 visible ASCII characters.
            ///
            /// # Errors
            /// For any other text.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                check(&text).map(|()| Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A customer (`id_cliente`), promoter or friend.
    CustomerId
);
id!(
    /// Somebody of the telesales team: the `sub` of a token.
    AgentId
);
id!(
    /// A contact of telesales: the pseudonym of a customer, which names nobody.
    ContactId
);
id!(
    /// An order (`id_pedido`).
    OrderId
);
id!(
    /// A product (`id_produto`).
    ProductId
);
id!(
    /// A referral campaign.
    CampaignId
);
id!(
    /// A referral: one friend brought by one promoter in one campaign.
    ReferralId
);
id!(
    /// A friend's coupon or a promoter's voucher.
    VoucherId
);
id!(
    /// Who acts in the shop (`id_usuario`): a customer, or a visitor that the shop numbered.
    UserId
);
