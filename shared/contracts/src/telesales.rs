//! What telesales takes of a customer, and what its screens see.

use domain::{
    personal::{Phone, Region},
    telesales::Contact,
};
use serde::Serialize;

use crate::{
    changes::{Field, Projection, Taken},
    fields::BadMessage,
};

/// The consumer of database 2.
#[derive(Debug, Clone, Copy)]
pub struct Telesales;

impl Projection for Telesales {
    const NAME: &'static str = "televendas";
    const FIELDS: &'static [Field] = &[
        Field::text("nome", "to address the customer in the call"),
        Field::text("telefone", "to call the customer"),
        Field::text("regiao", "to choose whom to call by region"),
        Field::consent(
            "consentimentos",
            "televendas",
            "to know whether the customer agreed to be called; it is not kept",
        ),
    ];
    type Row = Contact;

    /// Who withdrew is not kept, whatever else the record holds or lacks; nor who did not agree, or has
    /// no name or phone. A field that is missing otherwise is an unknown shape: nothing is deleted for
    /// it.
    fn row(taken: &Taken<'_>) -> Result<Option<Contact>, BadMessage> {
        if taken.withdraws("consentimentos") {
            return Ok(None);
        }
        for field in ["nome", "telefone"] {
            taken.parse_present(field, |_| Ok(()))?;
        }
        if !taken.agrees("consentimentos")? {
            return Ok(None);
        }
        let name = taken.parse_present("nome", Contact::parse_name)?;
        let phone = taken.parse_present("telefone", Phone::parse)?;
        let region = taken.parse_optional("regiao", Region::parse)?;
        let (Some(name), Some(phone)) = (name, phone) else {
            return Ok(None);
        };
        let region = region
            .or_else(|| phone.region())
            .ok_or(BadMessage::invalid("telefone", "must have a DDD"))?;
        Ok(Some(Contact {
            name,
            phone,
            region,
        }))
    }
}

/// A contact as an agent sees it: personal data, so it has no `Debug`.
#[derive(Serialize)]
pub struct ContactBody {
    /// Its id, which names nobody.
    pub id_contato: String,
    /// How to address them.
    pub nome: String,
    /// Where to call them, E.164.
    pub telefone: String,
    /// Their state.
    pub regiao: &'static str,
    /// How the last call ended, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ultimo_resultado: Option<&'static str>,
}

/// The answer to a claim.
#[derive(Debug, Serialize)]
pub struct ClaimBody {
    /// The contact.
    pub id_contato: String,
    /// Until when no other agent gets it.
    pub reservado_ate: String,
}

/// The answer to an outcome.
#[derive(Debug, Serialize)]
pub struct OutcomeBody {
    /// The contact.
    pub id_contato: String,
    /// How the call ended.
    pub resultado: &'static str,
}
