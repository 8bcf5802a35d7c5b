//! Referral links over HTTP.

use domain::identity::CampaignId;
use serde::Serialize;

use crate::fields::{BadMessage, Fields};

/// The path of a link, which `PUBLIC_BASE_URL` comes before.
#[must_use]
pub fn link_url(public_base_url: &str, code: &str) -> String {
    format!("{}/r/{code}", public_base_url.trim_end_matches('/'))
}

/// Reads the body of POST /mgm/links: `{"id_campanha":"…"}`.
///
/// # Errors
/// When the campaign's id is missing or none.
pub fn read_request(body: &[u8]) -> Result<CampaignId, BadMessage> {
    let fields = Fields::read(body)?;
    fields.only(&["id_campanha"])?;
    fields.parse("id_campanha", |text| CampaignId::parse(text))
}

/// A promoter's link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkBody {
    /// The campaign.
    pub id_campanha: String,
    /// The code.
    pub codigo: String,
    /// The address to share.
    pub url: String,
    /// Since when the customer is a promoter.
    pub desde: String,
}

/// A promoter's link with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MyLinkBody {
    /// The link.
    #[serde(flatten)]
    pub link: LinkBody,
    /// What the campaign is called.
    pub nome_campanha: String,
    /// How the campaign stands.
    pub status_campanha: String,
    /// Clicks of people.
    pub cliques: i64,
    /// Referrals that are not void.
    pub indicacoes: i64,
    /// Vouchers of the promoter that are not cancelled.
    pub vouchers: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_address_has_one_slash() {
        for base in ["https://feira.example.com", "https://feira.example.com/"] {
            assert_eq!(link_url(base, "ABC"), "https://feira.example.com/r/ABC");
        }
    }

    #[test]
    fn a_request_names_its_campaign() {
        assert_eq!(
            read_request(br#"{"id_campanha":"C1"}"#).unwrap().as_str(),
            "C1"
        );
        for wrong in ["{}", r#"{"id_campanha":""}"#, r#"{"id_campanha":7}"#] {
            assert_eq!(
                read_request(wrong.as_bytes()).unwrap_err().field,
                Some("id_campanha")
            );
        }
    }
}
