//! My vouchers: reserve, commit, release.
//!
//! Whoever asks for a voucher that is unknown, foreign, expired, used or reserved elsewhere gets
//! one and the same answer, and asking often is slowed down: codes can't be found by trying.

mod answers;

use cold_start::store_problem;
use contracts::{mgm::vouchers, page::PageBody, page::decode_cursor};
use domain::{
    code::VoucherCode,
    identity::{CustomerId, VoucherId},
};
use lambda_kit::{
    FieldError, Problem,
    http::{Handler, Principal, Request, Response},
};
use sql_store::{
    Store,
    idempotency::{RequestKey, StoredAnswer},
    mgm::vouchers::{
        Actor, RedeemVoucherError, Reserve, Settle, VoucherKey, commit, find, of_owner, release,
        reserve,
    },
    page::LARGEST_PAGE,
    throttle::{Pass, Rate, pass},
};

/// The scope of a shop's own servers.
const SERVICE_SCOPE: &str = "vouchers:service";
/// A customer types a code a few times; more is guessing.
const CUSTOMER_RATE: Rate = Rate {
    burst: 20,
    period_ms: 60_000,
};
/// A shop's servers ask for all its customers.
const SERVICE_RATE: Rate = Rate {
    burst: 6_000,
    period_ms: 60_000,
};

/// Answers the routes under `/vouchers`.
pub struct RedeemVoucher {
    store: Store,
}

impl RedeemVoucher {
    /// Over database 1.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for RedeemVoucher {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "GET /vouchers/me" => self.list(request).await,
            "GET /vouchers/{code}" => self.show(request).await,
            "POST /vouchers/{code}/reservations" => self.reserve(request).await,
            "POST /vouchers/{code}/commit" => self.commit(request).await,
            "POST /vouchers/{code}/release" => self.release(request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}

impl RedeemVoucher {
    async fn list(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["limite", "cursor"])?;
        let owner = customer(request.principal()?)?;
        let limit = request.page_size(LARGEST_PAGE)?;
        let after = request.query_parameter("cursor").map(cursor).transpose()?;
        let page = of_owner(&self.store, &owner, after.as_ref(), limit, request.now)
            .await
            .map_err(|error| store_problem(&error))?;
        let rows = page
            .rows
            .iter()
            .map(|shown| answers::voucher(shown, None))
            .collect();
        let body = PageBody::new(rows, page.has_more, |row| vec![row.id_voucher.clone()]);
        Ok(Response::json(200, &body))
    }

    async fn show(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        self.slow_down(request).await?;
        let owner = match actor(request.principal()?)? {
            Actor::Customer(customer) => Some(customer),
            Actor::Service => None,
        };
        let key = voucher_key(request)?;
        let found = find(&self.store, &key, owner.as_ref(), request.now)
            .await
            .map_err(|error| store_problem(&error))?;
        let (shown, recipient) = found.ok_or_else(unavailable)?;
        Ok(Response::json(200, &answers::voucher(&shown, recipient)))
    }

    async fn reserve(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        self.slow_down(request).await?;
        let asked = vouchers::read_reservation(&request.fields()?)?;
        let customer = match (actor(request.principal()?)?, asked.customer) {
            (Actor::Customer(customer), None) => customer,
            (Actor::Customer(_), Some(_)) => {
                return Err(Problem::field(
                    "id_cliente",
                    "must not be given by a customer",
                ));
            }
            (Actor::Service, Some(customer)) => customer,
            (Actor::Service, None) => {
                return Err(Problem::field("id_cliente", "must be given"));
            }
        };
        let voucher = voucher_key(request)?;
        let asked = Reserve {
            voucher,
            customer,
            order: asked.order,
            total: asked.total,
        };
        let key = request_key(request)?;
        reserve(
            &self.store,
            &asked,
            key.as_ref(),
            request.now,
            answers::reservation,
        )
        .await
        .map_or_else(|error| Err(problem(&error)), |answer| Ok(replay(answer)))
    }

    async fn commit(&self, request: &Request) -> Result<Response, Problem> {
        let (asked, key) = self.settle(request).await?;
        commit(
            &self.store,
            &asked,
            key.as_ref(),
            request.now,
            answers::usage,
        )
        .await
        .map_or_else(|error| Err(problem(&error)), |answer| Ok(replay(answer)))
    }

    async fn release(&self, request: &Request) -> Result<Response, Problem> {
        let (asked, key) = self.settle(request).await?;
        let order = asked.order.clone();
        let encode = |voucher: &_| answers::released(voucher, &order);
        release(&self.store, &asked, key.as_ref(), request.now, encode)
            .await
            .map_or_else(|error| Err(problem(&error)), |answer| Ok(replay(answer)))
    }

    async fn settle(&self, request: &Request) -> Result<(Settle, Option<RequestKey>), Problem> {
        request.only_query(&[])?;
        self.slow_down(request).await?;
        let order = vouchers::read_order(&request.fields()?)?;
        let actor = actor(request.principal()?)?;
        let asked = Settle {
            voucher: voucher_key(request)?,
            actor,
            order,
        };
        Ok((asked, request_key(request)?))
    }

    /// Each principal may name codes so often, over all instances.
    async fn slow_down(&self, request: &Request) -> Result<(), Problem> {
        let principal = request.principal()?;
        let rate = if principal.may(SERVICE_SCOPE) {
            SERVICE_RATE
        } else {
            CUSTOMER_RATE
        };
        let bucket = format!("vouchers:{}", principal.subject);
        match pass(&self.store, &bucket, rate, request.now).await {
            Ok(Pass::Free) => Ok(()),
            Ok(Pass::Wait { retry_after_ms }) => Err(Problem::too_many(retry_after_ms)),
            Err(error) => Err(store_problem(&error)),
        }
    }
}

fn customer(principal: &Principal) -> Result<CustomerId, Problem> {
    CustomerId::parse(principal.subject.as_str()).map_err(|_| Problem::unauthenticated())
}

fn actor(principal: &Principal) -> Result<Actor, Problem> {
    if principal.may(SERVICE_SCOPE) {
        Ok(Actor::Service)
    } else {
        customer(principal).map(Actor::Customer)
    }
}

/// A text that can be no code names no voucher either: the same answer.
fn voucher_key(request: &Request) -> Result<VoucherKey, Problem> {
    let text = request.path_parameter("code")?;
    match (VoucherCode::parse(text), VoucherId::parse(text)) {
        (Ok(code), _) => Ok(VoucherKey::Code(code)),
        (Err(_), Ok(id)) => Ok(VoucherKey::Id(id)),
        (Err(_), Err(_)) => Err(unavailable()),
    }
}

fn cursor(text: &str) -> Result<VoucherId, Problem> {
    decode_cursor(text, 1)
        .and_then(|keys| VoucherId::parse(keys.into_iter().next()?).ok())
        .ok_or_else(|| Problem::field("cursor", "must be one that a page gave as proximo"))
}

fn request_key(request: &Request) -> Result<Option<RequestKey>, Problem> {
    let principal = request.principal()?;
    let content = [
        request.path_parameter("code")?.as_bytes(),
        b"\n",
        &request.body,
    ]
    .concat();
    let key = request.idempotency_key()?;
    Ok(key.map(|key| RequestKey::new(&principal.subject, &request.route, key, &content)))
}

fn replay(answer: StoredAnswer) -> Response {
    Response::json_text(answer.status, answer.body)
}

/// The one answer for unknown, foreign, expired, used, cancelled and reserved elsewhere.
fn unavailable() -> Problem {
    let mut problem = Problem::new(404, "voucher-unavailable", "The voucher is not available");
    let rule = "must be the code or id of a voucher that is available";
    problem.fields.push(FieldError::new("code", rule));
    problem
}

fn problem(error: &RedeemVoucherError) -> Problem {
    match error {
        RedeemVoucherError::Unavailable(reason) => {
            tracing::info!(reason, "voucher not available");
            unavailable()
        }
        RedeemVoucherError::KeyOfOtherRequest => Problem::key_reused(),
        RedeemVoucherError::Store(error) => store_problem(error),
    }
}
