//! What leaves where Feira is the customers' master: an event with ids only, and the record of
//! `clientes` that is made of the customer's state when the event is sent.

use domain::{
    customers::Customer,
    identity::CustomerId,
    personal::{Cpf, Email, PersonName, Phone, Region},
    time::UtcMillis,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{REFERRAL_CONSENTS, TELESALES_CONSENTS};

/// The type of the event.
pub const CHANGED: &str = "cliente.alterado";

/// That a customer registered, changed or was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerChanged {
    /// [`CHANGED`].
    pub tipo: String,
    /// Whom it is about.
    pub id_cliente: String,
    /// The customer's version: events of one customer are ordered by it.
    pub versao: i64,
    /// When (RFC 3339, UTC, milliseconds).
    pub ocorrido_em: String,
}

impl CustomerChanged {
    /// That this customer now has this version.
    #[must_use]
    pub fn new(customer: &CustomerId, version: i64, now: UtcMillis) -> Self {
        Self {
            tipo: CHANGED.to_owned(),
            id_cliente: customer.to_string(),
            versao: version,
            ocorrido_em: now.to_string(),
        }
    }

    /// The aggregate whose events keep their order.
    #[must_use]
    pub fn aggregate_key(&self) -> String {
        format!("cliente/{}", self.id_cliente)
    }
}

/// The record's value: personal data, for the topic and for nothing else; none for a deleted
/// customer, whose record is a tombstone.
#[must_use]
pub fn write(customer: &Customer) -> Option<Vec<u8>> {
    let profile = customer.profile.as_ref()?;
    let mut fields = json!({
        "id_cliente": customer.id.as_str(),
        "nome": profile.name.as_ref().map(PersonName::expose),
        "cpf": profile.cpf.as_ref().map(Cpf::expose),
        "email": profile.email.as_ref().map(Email::expose),
        "telefone": profile.phone.as_ref().map(Phone::expose),
        "regiao": profile.region.map(Region::as_str),
    });
    let consents = REFERRAL_CONSENTS
        .first()
        .map(|name| (*name, profile.referral_consent))
        .into_iter()
        .chain(TELESALES_CONSENTS.map(|name| (name, profile.telesales_consent)));
    let consents = consents.map(|(name, agreed)| (name.to_owned(), Value::Bool(agreed)));
    let object = fields.as_object_mut()?;
    object.insert(
        "consentimentos".to_owned(),
        Value::Object(consents.collect()),
    );
    if let Some(version) = customer.version {
        object.insert("versao".to_owned(), version.into());
    }
    Some(fields.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use domain::{
        changes::Place,
        customers::{News, Profile},
    };

    use super::*;
    use crate::{
        changes::{Record, Shape, read as read_change},
        customers::{Source, read},
        telesales::Telesales,
    };

    fn customer(profile: Option<Profile>) -> Customer {
        let id = CustomerId::parse("c1").unwrap();
        let now = UtcMillis::new(1_795_176_000_000).unwrap();
        let kept = News {
            customer: id.clone(),
            version: Some(6),
            place: Place {
                partition: 0,
                offset: 1,
                recorded: now,
            },
            profile: None,
        };
        let kept = kept.applied(None, now).unwrap();
        Customer::changed(id, Some(&kept), profile, now).unwrap()
    }

    fn ana() -> Profile {
        Profile {
            name: Some(PersonName::parse("Ana \"Aninha\" Conceição").unwrap()),
            cpf: Some(Cpf::parse("529.982.247-25").unwrap()),
            email: Some(Email::parse("ana@example.com").unwrap()),
            phone: Some(Phone::parse("(11) 96416-6764").unwrap()),
            region: Some(Region::parse("SP").unwrap()),
            referral_consent: true,
            telesales_consent: true,
        }
    }

    #[test]
    fn every_reader_of_the_topic_finds_in_it_what_it_takes() {
        for profile in [
            ana(),
            Profile::default(),
            Profile {
                telesales_consent: false,
                ..ana()
            },
        ] {
            let value = write(&customer(Some(profile.clone()))).unwrap();
            let source = Source {
                key: Some(b"c1"),
                value: Some(&value),
                partition: 0,
                offset: 9,
                timestamp_ms: 0,
            };
            let news = read(source).unwrap();
            assert_eq!(news.version, Some(7));
            assert_eq!(news.profile, Some(profile.clone()));

            let shape = Shape::parse::<Telesales>("").unwrap();
            let record = Record {
                key: source.key,
                value: source.value,
                partition: 0,
                offset: 9,
                timestamp_ms: 0,
            };
            let now = UtcMillis::new(0).unwrap();
            let change = read_change::<Telesales>(&shape, &record, now).unwrap();
            assert_eq!(change.stamp.version, Some(7));
            let is_kept = profile.telesales_consent && profile.phone.is_some();
            assert_eq!(change.row.is_some(), is_kept);
        }
    }

    #[test]
    fn a_deleted_customer_is_a_tombstone() {
        let kept = customer(Some(ana()));
        let now = UtcMillis::new(0).unwrap();
        let gone = Customer::changed(kept.id.clone(), Some(&kept), None, now).unwrap();
        assert_eq!(write(&gone), None);
    }
}
