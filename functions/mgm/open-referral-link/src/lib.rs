//! A click on a promoter's link: counted, remembered, and led on to the shop.
//!
//! Architecture invariant: the address comes from the campaign or the settings and never from the
//! request, and a wrong code is answered in the same shape as a right one.

use domain::code::ReferralCode;
use domain::mgm::attribution::{Attribution, SigningKey, Visitor};
use domain::mgm::campaign::{Campaign, ShopUrl};
use domain::mgm::click::{self, ClickKind};
use lambda_kit::http::{Handler, Request, Response};
use lambda_kit::{Problem, metrics};
use sql_store::mgm::clicks::{Click, Opened, follow_link, open_link};
use sql_store::throttle::{self, Pass, Rate};
use sql_store::{Store, StoreError};

/// The first-party cookie that remembers the click.
pub const COOKIE: &str = "feira_ref";
/// Clicks of one visitor that are looked at: more are led on and not counted.
const RATE: Rate = Rate {
    burst: 30,
    period_ms: 60_000,
};
/// Clicks of one address: whoever names a new browser each time is a new visitor each time. Many
/// phones share an address of their operator, so it is far above what one person does.
pub const ADDRESS_RATE: Rate = Rate {
    burst: 6_000,
    period_ms: 60_000,
};
/// Browsers keep no cookie for longer.
const LONGEST_COOKIE_DAYS: u32 = 400;
const SECONDS_PER_DAY: u32 = 86_400;

/// The handler of GET and HEAD /r/{code}.
pub struct OpenReferralLink {
    /// Database 1.
    pub store: Store,
    /// Signs `ref` and the cookie.
    pub signing_key: SigningKey,
    /// Makes visitors of addresses and browsers.
    pub pseudonym_key: SigningKey,
    /// Where a wrong code leads.
    pub default_shop: ShopUrl,
    /// Clicks of one address that are looked at, such as [`ADDRESS_RATE`].
    pub address_rate: Rate,
}

impl Handler for OpenReferralLink {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        let text = request.path_parameter("code")?;
        let code = ReferralCode::parse(text)
            .unwrap_or_else(|_| ReferralCode::decoy(&self.signing_key, text));
        let click = Click {
            code,
            visitor: self.visitor(request),
            kind: kind(request),
        };
        let opened = match self.open(&click, request).await {
            Ok(opened) => opened,
            // Rather a click that is not counted than a friend who does not reach a shop: the
            // signed `ref` still tells whose link it was.
            Err(error) => {
                tracing::error!(reason = %error, "a click was not counted");
                metrics::count("ClicksLost", 1);
                None
            }
        };
        Ok(self.redirect(&click, opened.as_ref(), request))
    }
}

/// What the response needs of a link.
struct Target {
    campaign: Campaign,
    coupon: Option<domain::code::VoucherCode>,
}

impl OpenReferralLink {
    async fn open(&self, click: &Click, request: &Request) -> Result<Option<Target>, StoreError> {
        match self.pass(click, request).await? {
            Pass::Free => {
                let opened = open_link(&self.store, click, request.now).await?;
                Ok(opened.map(
                    |Opened {
                         campaign, coupon, ..
                     }| Target { campaign, coupon },
                ))
            }
            Pass::Wait { .. } => {
                metrics::count("ClicksThrottled", 1);
                let campaign = follow_link(&self.store, &click.code).await?;
                Ok(campaign.map(|campaign| Target {
                    campaign,
                    coupon: None,
                }))
            }
        }
    }

    async fn pass(&self, click: &Click, request: &Request) -> Result<Pass, StoreError> {
        let (key, day) = (&self.pseudonym_key, request.now.day());
        let address = Visitor::pseudonym(key, &request.source_ip, "", day);
        let bucket = format!("open-link-address/{}", address.as_str());
        let pass = throttle::pass(&self.store, &bucket, self.address_rate, request.now).await?;
        if pass != Pass::Free {
            return Ok(pass);
        }
        let bucket = format!("open-link/{}", click.visitor.as_str());
        throttle::pass(&self.store, &bucket, RATE, request.now).await
    }

    /// The cookie's visitor; without a cookie of ours, one made of address, browser and day.
    fn visitor(&self, request: &Request) -> Visitor {
        let known = request.cookie(COOKIE);
        let known = known.and_then(|cookie| Attribution::verify_cookie(cookie, &self.signing_key));
        match known {
            Some((_, visitor)) => visitor,
            None => {
                let agent = request.header("user-agent").unwrap_or_default();
                let day = request.now.day();
                Visitor::pseudonym(&self.pseudonym_key, &request.source_ip, agent, day)
            }
        }
    }

    fn redirect(&self, click: &Click, target: Option<&Target>, request: &Request) -> Response {
        let terms = target.map(|target| target.campaign.terms());
        let shop = terms.map_or(&self.default_shop, |terms| terms.shop_url());
        let attribution = Attribution {
            code: click.code.clone(),
            clicked: request.now,
        };
        let coupon = target.and_then(|target| target.coupon.as_ref());
        let location = shop.with_referral(&attribution.sign(&self.signing_key), coupon);
        let days = terms
            .and_then(|terms| terms.attribution_window_days())
            .map_or(LONGEST_COOKIE_DAYS, |days| days.min(LONGEST_COOKIE_DAYS));
        let cookie = format!(
            "{COOKIE}={}; Path=/; Max-Age={}; HttpOnly; Secure; SameSite=Lax",
            attribution.sign_cookie(&click.visitor, &self.signing_key),
            days * SECONDS_PER_DAY
        );
        Response::empty(302)
            .with_header("location", location)
            .with_header("cache-control", "no-store")
            .with_header("referrer-policy", "no-referrer")
            .with_header("x-robots-tag", "noindex, nofollow")
            .with_cookie(cookie)
    }
}

fn kind(request: &Request) -> ClickKind {
    let purpose = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .into_iter()
        .find_map(|name| request.header(name));
    ClickKind::of(click::Request {
        head: request.route.starts_with("HEAD "),
        user_agent: request.header("user-agent").unwrap_or_default(),
        purpose: purpose.unwrap_or_default(),
    })
}
