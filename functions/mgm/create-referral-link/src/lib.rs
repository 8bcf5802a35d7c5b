//! The one link of a promoter in a campaign.

use contracts::mgm::links::{LinkBody, MyLinkBody, link_url, read_request};
use contracts::page::{PageBody, decode_cursor};
use domain::identity::{CampaignId, CustomerId};
use domain::mgm::promoter::NotEligible;
use domain::time::UtcMillis;
use lambda_kit::http::{Handler, Request, Response};
use lambda_kit::{FieldError, Problem};
use sql_store::Store;
use sql_store::mgm::links::{CreateLinkError, MyLink, create_link, my_links};
use sql_store::page::LARGEST_PAGE;
use sql_store::throttle::{self, Pass, Rate};

/// Links that a customer may ask for at once, and again in a minute.
const RATE: Rate = Rate {
    burst: 20,
    period_ms: 60_000,
};

/// Longest name of a server (RFC 1035) with its port.
const LONGEST_HOST: usize = 260;

/// The handler of the routes under /mgm/links.
pub struct CreateReferralLink {
    store: Store,
    public_base_url: Option<String>,
}

impl CreateReferralLink {
    /// Links begin with `public_base_url`; without one, with the address that the caller used.
    #[must_use]
    pub fn new(store: Store, public_base_url: Option<String>) -> Self {
        Self {
            store,
            public_base_url: public_base_url.filter(|base| !base.is_empty()),
        }
    }

    async fn create(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let customer = customer(request)?;
        let bucket = format!("create-link/{customer}");
        let pass = throttle::pass(&self.store, &bucket, RATE, request.now).await;
        match pass.map_err(|error| cold_start::store_problem(&error))? {
            Pass::Free => {}
            Pass::Wait { retry_after_ms } => return Err(Problem::too_many(retry_after_ms)),
        }
        let campaign = read_request(&request.body)?;
        let base = self.base(request)?;
        let promoter = create_link(&self.store, &campaign, &customer, request.now)
            .await
            .map_err(problem)?;
        let body = LinkBody {
            id_campanha: promoter.campaign.to_string(),
            codigo: promoter.code.as_str().to_owned(),
            url: link_url(&base, promoter.code.as_str()),
            desde: promoter.since.to_string(),
        };
        Ok(Response::json(200, &body))
    }

    async fn mine(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["cursor", "limite"])?;
        let customer = customer(request)?;
        let size = request.page_size(LARGEST_PAGE)?;
        let after = request.query_parameter("cursor").map(cursor).transpose()?;
        let after = after.as_ref().map(CampaignId::as_str);
        let page = my_links(&self.store, &customer, after, size).await;
        let page = page.map_err(|error| cold_start::store_problem(&error))?;
        let base = self.base(request)?;
        let bodies: Result<Vec<MyLinkBody>, Problem> = page
            .rows
            .into_iter()
            .map(|link| my_link_body(link, &base))
            .collect();
        let body = PageBody::new(bodies?, page.has_more, |row: &MyLinkBody| {
            vec![row.link.id_campanha.clone()]
        });
        Ok(Response::json(200, &body))
    }

    /// API Gateway answers to its own names only, so the caller's `Host` is one of them; on a
    /// laptop it may be anything. Anything but a name and a port makes no address.
    ///
    /// # Errors
    /// When the `Host` is none.
    fn base(&self, request: &Request) -> Result<String, Problem> {
        if let Some(base) = &self.public_base_url {
            return Ok(base.clone());
        }
        let host = request.header("host").unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if !(1..=LONGEST_HOST).contains(&host.len()) || !host.bytes().all(allowed) {
            return Err(Problem::field("Host", "must be a name and a port"));
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let here = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
        let scheme = if here { "http" } else { "https" };
        Ok(format!("{scheme}://{host}"))
    }
}

impl Handler for CreateReferralLink {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "POST /mgm/links" => self.create(request).await,
            "GET /mgm/links/me" => self.mine(request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}

fn cursor(text: &str) -> Result<CampaignId, Problem> {
    decode_cursor(text, 1)
        .and_then(|keys| CampaignId::parse(keys.into_iter().next()?).ok())
        .ok_or_else(|| Problem::field("cursor", "must be the proximo of the page before"))
}

/// A customer's token names the customer.
fn customer(request: &Request) -> Result<CustomerId, Problem> {
    let subject = &request.principal()?.subject;
    CustomerId::parse(subject.as_str()).map_err(|_| Problem::unauthenticated())
}

fn my_link_body(link: MyLink, base: &str) -> Result<MyLinkBody, Problem> {
    let since = UtcMillis::new(link.since_ms).map_err(|_| Problem::internal())?;
    Ok(MyLinkBody {
        link: LinkBody {
            id_campanha: link.campaign_id,
            url: link_url(base, &link.link_code),
            codigo: link.link_code,
            desde: since.to_string(),
        },
        nome_campanha: link.campaign_name,
        status_campanha: link.campaign_status,
        cliques: link.clicks,
        indicacoes: link.referrals,
        vouchers: link.vouchers,
    })
}

/// Why there is no link, over HTTP.
fn problem(error: CreateLinkError) -> Problem {
    match error {
        CreateLinkError::UnknownCampaign => {
            let mut problem = Problem::not_found("There is no such campaign");
            problem.fields.push(FieldError::new(
                "id_campanha",
                "must be the id of a campaign",
            ));
            problem
        }
        CreateLinkError::CampaignClosed => {
            Problem::conflict("campaign-closed", "The campaign takes no new promoters")
        }
        CreateLinkError::NotEligible(reason) => {
            let detail = match reason {
                NotEligible::NotRegistered => "You are not registered as a customer.",
                NotEligible::NoConsent => "You have not agreed to take part in referrals.",
                NotEligible::TooFewOrders => "You have too few completed orders for this campaign.",
            };
            Problem::conflict("not-eligible", "You can't be a promoter of this campaign")
                .with_detail(detail)
        }
        CreateLinkError::Store(error) => cold_start::store_problem(&error),
    }
}
