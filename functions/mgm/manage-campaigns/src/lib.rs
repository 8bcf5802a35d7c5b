//! Campaigns for operators: rules, budget, dates, and what became of them.

mod lists;
mod problems;
mod stories;

use contracts::mgm::campaigns::{CampaignBody, read_change, read_new};
use domain::identity::CampaignId;
use domain::mgm::campaign::{Campaign, Loopback};
use lambda_kit::http::{Handler, Request, Response};
use lambda_kit::{FieldError, Problem};
use sql_store::Store;
use sql_store::idempotency::{RequestKey, StoredAnswer};
use sql_store::mgm::campaigns;

/// The handler of every route under /mgm/campaigns and /mgm/referrals.
pub struct ManageCampaigns {
    store: Store,
    loopback: Loopback,
}

impl ManageCampaigns {
    /// `loopback` allows shops on this very machine, for laptops.
    #[must_use]
    pub const fn new(store: Store, loopback: Loopback) -> Self {
        Self { store, loopback }
    }

    async fn open(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let operator = &request.principal()?.subject;
        let key = request.required_idempotency_key()?;
        let asked = read_new(&request.body, self.loopback).map_err(problems::wrong_fields)?;
        let key = RequestKey::new(operator, &request.route, key, &request.body);
        let encode = |campaign: &Campaign| StoredAnswer::json(201, &CampaignBody::from(campaign));
        let answer = campaigns::open_campaign(&self.store, &key, &asked, request.now, encode)
            .await
            .map_err(problems::of_open)?;
        Ok(Response::json_text(answer.status, answer.body))
    }

    async fn show(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let id = campaign_id(request)?;
        let found = campaigns::find(&self.store, &id).await;
        let found = found.map_err(|error| cold_start::store_problem(&error))?;
        let campaign = found.ok_or_else(problems::unknown_campaign)?;
        Ok(Response::json(200, &CampaignBody::from(&campaign)))
    }

    async fn change(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let id = campaign_id(request)?;
        let asked = read_change(&request.body, self.loopback).map_err(problems::wrong_fields)?;
        let campaign = campaigns::change_campaign(&self.store, &id, &asked, request.now)
            .await
            .map_err(problems::of_change)?;
        Ok(Response::json(200, &CampaignBody::from(&campaign)))
    }
}

impl Handler for ManageCampaigns {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "POST /mgm/campaigns" => self.open(request).await,
            "GET /mgm/campaigns" => lists::campaigns(&self.store, request).await,
            "GET /mgm/campaigns/{id}" => self.show(request).await,
            "PATCH /mgm/campaigns/{id}" => self.change(request).await,
            "GET /mgm/campaigns/{id}/refusals" => lists::refusals(&self.store, request).await,
            "GET /mgm/campaigns/{id}/funnel" => {
                stories::campaign_funnel(&self.store, request).await
            }
            "GET /mgm/referrals" => stories::referrals(&self.store, request).await,
            "GET /mgm/referrals/{id}/trace" => stories::referral_trace(&self.store, request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}

fn campaign_id(request: &Request) -> Result<CampaignId, Problem> {
    let id = request.path_parameter("id")?;
    CampaignId::parse(id)
        .map_err(|invalid| Problem::invalid(vec![FieldError::new("id", invalid.rule)]))
}
