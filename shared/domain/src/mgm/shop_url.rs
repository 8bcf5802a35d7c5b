//! The shop's address: the only place that a referral link ever leads to.

use url::{Host, Url};

use crate::Invalid;
use crate::code::VoucherCode;

/// Longest address, in bytes.
const LONGEST: usize = 500;
/// What we add to the query; the shop's own address must not use these names.
const REF: &str = "ref";
const COUPON: &str = "cupom";

/// Whether plain HTTP to this very machine is a shop: on a laptop it is, deployed it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// `http://127.0.0.1:…` and `http://localhost:…` are accepted besides https.
    Allowed,
    /// Only https is accepted.
    Refused,
}

/// An https address without user, and without the query names that a redirect adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopUrl(Url);

impl ShopUrl {
    /// From an absolute address of at most 500 bytes.
    ///
    /// # Errors
    /// When it is no https address (see [`Loopback`]), names a user, holds blanks or control
    /// characters, or already uses `ref` or `cupom`.
    pub fn parse(text: &str, loopback: Loopback) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be an https address of at most 500 characters");
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if text.len() > LONGEST || !plain {
            return Err(RULE);
        }
        let url = Url::parse(text).map_err(|_| RULE)?;
        let here = match url.host() {
            Some(Host::Domain(domain)) => domain == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(RULE),
        };
        let secure = url.scheme() == "https"
            || (url.scheme() == "http" && here && loopback == Loopback::Allowed);
        // Written out, characters such as " take three bytes.
        if url.as_str().len() > LONGEST {
            return Err(RULE);
        }
        if !secure || !url.username().is_empty() || url.password().is_some() {
            return Err(RULE);
        }
        if url
            .query_pairs()
            .any(|(name, _)| name == REF || name == COUPON)
        {
            return Err(Invalid::new("must not use ref or cupom in its query"));
        }
        Ok(Self(url))
    }

    /// The address as it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address with `ref` and, where there is one, `cupom` added; its own query stays.
    #[must_use]
    pub fn with_referral(&self, reference: &str, coupon: Option<&VoucherCode>) -> String {
        let mut url = self.0.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair(REF, reference);
            if let Some(code) = coupon {
                pairs.append_pair(COUPON, code.as_str());
            }
        }
        url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_shop_is_kept() {
        let shop = ShopUrl::parse(
            "https://loja.example.com/promo?a=1&b=%20x#topo",
            Loopback::Refused,
        );
        assert_eq!(
            shop.unwrap().with_referral("C.1.s&x=1", None),
            "https://loja.example.com/promo?a=1&b=%20x&ref=C.1.s%26x%3D1#topo"
        );
        let bare = ShopUrl::parse("https://loja.example.com", Loopback::Refused).unwrap();
        let code = VoucherCode::from_random([7; 16]);
        assert_eq!(
            bare.with_referral("R", Some(&code)),
            format!("https://loja.example.com/?ref=R&cupom={}", code.as_str())
        );
    }

    #[test]
    fn only_an_https_address_is_a_shop() {
        for text in [
            "",
            "loja.example.com",
            "http://loja.example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://user@loja.example.com",
            "https://:pass@loja.example.com",
            "https:\\\\loja.example.com",
            "https://loja.example.com/a b",
            "https://loja.example.com/\r\nSet-Cookie:x",
            "https://loja.example.com/?ref=x",
            "https://loja.example.com/?cupom=x",
            "http://127.0.0.1/",
        ] {
            assert!(ShopUrl::parse(text, Loopback::Refused).is_err(), "{text}");
        }
        let long = format!("https://loja.example.com/{}", "a".repeat(500));
        assert!(ShopUrl::parse(&long, Loopback::Refused).is_err());
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for text in [
            "http://127.0.0.1:8080/",
            "http://localhost:3000/loja",
            "http://[::1]/",
        ] {
            assert!(ShopUrl::parse(text, Loopback::Allowed).is_ok(), "{text}");
        }
        assert!(ShopUrl::parse("http://loja.example.com", Loopback::Allowed).is_err());
        assert!(ShopUrl::parse("http://localhost.example.com", Loopback::Allowed).is_err());
    }
}
