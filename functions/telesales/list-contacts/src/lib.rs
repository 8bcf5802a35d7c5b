//! Whom telesales may call: agents list contacts of a region, claim one, tell how the call ended.
//!
//! The agent is whom the token speaks for, never somebody that the request names.

use cold_start::store_problem;
use contracts::{
    page::{PageBody, decode_cursor},
    telesales::{ClaimBody, ContactBody, OutcomeBody},
};
use domain::{
    identity::{AgentId, ContactId},
    personal::{PersonName, Region},
    telesales::{CallOutcome, NotYours},
};
use lambda_kit::{
    FieldError, Problem,
    http::{Handler, Request, Response},
};
use sql_store::{
    Store,
    page::LARGEST_PAGE,
    telesales::contacts::{Listed, TelesalesError, claim, end_call, list},
};

/// Answers the routes under `/televendas/contatos`.
pub struct ListContacts {
    store: Store,
}

impl ListContacts {
    /// Over database 2.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for ListContacts {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "GET /televendas/contatos" => self.list(request).await,
            "POST /televendas/contatos/{id}/claims" => self.claim(request).await,
            "POST /televendas/contatos/{id}/outcomes" => self.end_call(request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}

impl ListContacts {
    async fn list(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["regiao", "limite", "cursor"])?;
        let agent = agent(request)?;
        let region = request
            .query_parameter("regiao")
            .ok_or_else(|| Problem::field("regiao", "must be given"))?;
        let region =
            Region::parse(region).map_err(|invalid| Problem::field("regiao", invalid.rule))?;
        let limit = request.page_size(LARGEST_PAGE)?;
        let after = request.query_parameter("cursor").map(cursor).transpose()?;
        let page = list(
            &self.store,
            &agent,
            region,
            after.as_ref(),
            limit,
            request.now,
        )
        .await;
        let page = page.map_err(|error| problem(&error))?;
        let contacts = page.rows.iter().map(contact_body).collect();
        let place = |contact: &ContactBody| vec![contact.id_contato.clone()];
        let body = PageBody::new(contacts, page.has_more, place);
        Ok(Response::json(200, &body))
    }

    async fn claim(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let agent = agent(request)?;
        let contact = contact(request)?;
        if !request.body.is_empty() {
            request.fields()?.only(&[])?;
        }
        let until = claim(&self.store, &agent, &contact, request.now)
            .await
            .map_err(|error| problem(&error))?;
        let body = ClaimBody {
            id_contato: contact.to_string(),
            reservado_ate: until.to_string(),
        };
        Ok(Response::json(200, &body))
    }

    async fn end_call(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let agent = agent(request)?;
        let contact = contact(request)?;
        let fields = request.fields()?;
        fields.only(&["resultado"])?;
        let outcome = fields.parse("resultado", CallOutcome::parse)?;
        end_call(&self.store, &agent, &contact, outcome, request.now)
            .await
            .map_err(|error| problem(&error))?;
        let body = OutcomeBody {
            id_contato: contact.to_string(),
            resultado: outcome.as_str(),
        };
        Ok(Response::json(200, &body))
    }
}

fn agent(request: &Request) -> Result<AgentId, Problem> {
    let subject = request.principal()?.subject.as_str();
    AgentId::parse(subject).map_err(|_| Problem::unauthenticated())
}

/// A text that can be no id names no contact either: the same answer.
fn contact(request: &Request) -> Result<ContactId, Problem> {
    ContactId::parse(request.path_parameter("id")?).map_err(|_| unknown())
}

fn cursor(text: &str) -> Result<ContactId, Problem> {
    decode_cursor(text, 1)
        .and_then(|keys| ContactId::parse(keys.into_iter().next()?).ok())
        .ok_or_else(|| Problem::field("cursor", "must be one that a page gave as proximo"))
}

fn contact_body(listed: &Listed) -> ContactBody {
    ContactBody {
        id_contato: listed.id.to_string(),
        nome: PersonName::expose(&listed.contact.name).to_owned(),
        telefone: listed.contact.phone.expose().to_owned(),
        regiao: listed.contact.region.as_str(),
        ultimo_resultado: listed.outcome.map(CallOutcome::as_str),
    }
}

/// The one answer for a contact that is not there, was erased, or asked not to be called.
fn unknown() -> Problem {
    let mut problem = Problem::not_found("There is no such contact to be called");
    let rule = "must be the id of a contact of the list";
    problem.fields.push(FieldError::new("id", rule));
    problem
}

fn problem(error: &TelesalesError) -> Problem {
    match error {
        TelesalesError::Unknown => unknown(),
        TelesalesError::NotYours(NotYours::Claimed) => {
            Problem::conflict("contact-claimed", "Another agent has this contact")
                .with_detail("take another one of the list")
        }
        TelesalesError::NotYours(NotYours::NotClaimed) => {
            Problem::conflict("contact-not-claimed", "You have no claim on this contact")
                .with_detail("claim it before the call")
        }
        TelesalesError::NotYours(NotYours::Ended) => Problem::conflict(
            "contact-ended",
            "The last call to this contact ended for good",
        )
        .with_detail("take another one of the list"),
        TelesalesError::NotYours(NotYours::TooMany) => {
            Problem::conflict("too-many-claims", "You hold as many contacts as one may")
                .with_detail("tell an outcome first")
        }
        TelesalesError::HourIsFull { retry_after_ms } => {
            Problem::too_many(*retry_after_ms).with_detail(error.to_string())
        }
        TelesalesError::Store(error) => store_problem(error),
    }
}
