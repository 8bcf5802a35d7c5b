//! What refuses an operator, over HTTP.

use contracts::fields::BadMessage;
use contracts::mgm::campaigns::{wire_name, wire_violation};
use domain::mgm::campaign::AmendError;
use lambda_kit::{FieldError, Problem};
use sql_store::mgm::campaigns::{ChangeCampaignError, OpenCampaignError};

/// 400 with every wrong field.
pub fn wrong_fields(wrong: Vec<BadMessage>) -> Problem {
    let field = |bad: BadMessage| FieldError::new(bad.field.unwrap_or("body"), bad.rule);
    Problem::invalid(wrong.into_iter().map(field).collect())
}

/// 404.
pub fn unknown_campaign() -> Problem {
    let mut problem = Problem::not_found("There is no such campaign");
    problem
        .fields
        .push(FieldError::new("id", "must be the id of a campaign"));
    problem
}

/// Why a campaign was not opened.
pub fn of_open(error: OpenCampaignError) -> Problem {
    match error {
        OpenCampaignError::Wrong(violations) => {
            wrong_fields(violations.into_iter().map(wire_violation).collect())
        }
        OpenCampaignError::KeyOfOtherRequest => Problem::key_reused(),
        OpenCampaignError::Store(error) => cold_start::store_problem(&error),
    }
}

/// Why a campaign was not changed.
pub fn of_change(error: ChangeCampaignError) -> Problem {
    match error {
        ChangeCampaignError::Unknown => unknown_campaign(),
        ChangeCampaignError::Store(error) => cold_start::store_problem(&error),
        ChangeCampaignError::Refused(refusal) => of_amendment(refusal),
    }
}

fn of_amendment(refusal: AmendError) -> Problem {
    match refusal {
        AmendError::Wrong(violations) => {
            wrong_fields(violations.into_iter().map(wire_violation).collect())
        }
        AmendError::Promised(fields) => {
            let rule = "must stay as it is: a referral or coupon was promised it";
            let mut problem = Problem::conflict(
                "campaign-terms-promised",
                "A campaign keeps what it has promised",
            );
            let named = fields
                .into_iter()
                .map(|field| FieldError::new(wire_name(field), rule));
            problem.fields = named.collect();
            problem
        }
        AmendError::Ended => {
            let mut problem = Problem::conflict("campaign-ended", "An ended campaign stays ended");
            problem
                .fields
                .push(FieldError::new("status", "must stay encerrada"));
            problem
        }
        AmendError::BudgetBelowCommitments => {
            let mut problem = Problem::conflict(
                "budget-below-commitments",
                "The budget must hold what is already reserved and spent",
            );
            let rule = "must be at least what is reserved and spent";
            problem.fields.push(FieldError::new("orcamento", rule));
            problem
        }
    }
}
