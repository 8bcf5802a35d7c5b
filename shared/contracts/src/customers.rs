//! `clientes`: the company's customers, keyed by `id_cliente`; a record without value deletes.
//!
//! `{id_cliente, versao|atualizado_em, nome, cpf, email, telefone, regiao, consentimentos}`.
//! Architecture invariant: what is refused here names a field and never holds a value of it.

mod outgoing;

use domain::Invalid;
use domain::customers::{News, Place, Profile};
use domain::identity::CustomerId;
use domain::personal::{Cpf, Email, PersonName, Phone, Region};
use domain::time::UtcMillis;
use serde_json::Value;

use crate::fields::{BadMessage, Fields};

pub use outgoing::{CHANGED, CustomerChanged, write};

/// The topic.
pub const TOPIC: &str = "clientes";
/// Names under which a customer agrees to take part in referrals; we write the first.
const REFERRAL_CONSENTS: [&str; 2] = ["mgm", "indicacao"];
/// The name under which a customer agrees to be called.
const TELESALES_CONSENTS: [&str; 1] = ["televendas"];

/// A record of the topic, as Kafka holds it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The key's bytes: needed only where there is no value.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The partition.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
    /// The record's time in milliseconds; below zero where it has none.
    pub timestamp_ms: i64,
}

/// Reads a record of `clientes`.
///
/// # Errors
/// The first field that is missing or wrong; `chave` is the record's key.
pub fn read(source: Source<'_>) -> Result<News, BadMessage> {
    let Source { key, value, .. } = source;
    let recorded = UtcMillis::new(source.timestamp_ms.max(0))
        .map_err(|invalid| BadMessage::invalid("timestamp", invalid.rule))?;
    let place = Place {
        partition: source.partition,
        offset: source.offset,
        recorded,
    };
    let Some(value) = value else {
        return Ok(News {
            customer: customer_of(key)?,
            version: None,
            place,
            profile: None,
        });
    };
    let fields = Fields::read(value)?;
    Ok(News {
        customer: fields.parse("id_cliente", |text| CustomerId::parse(text))?,
        version: version(&fields)?,
        place,
        profile: Some(Profile {
            name: said(&fields, "nome", PersonName::parse)?,
            cpf: said(&fields, "cpf", Cpf::parse)?,
            email: said(&fields, "email", Email::parse)?,
            phone: said(&fields, "telefone", Phone::parse)?,
            region: said(&fields, "regiao", Region::parse)?,
            referral_consent: agreed(fields.value("consentimentos"), &REFERRAL_CONSENTS)?,
            telesales_consent: agreed(fields.value("consentimentos"), &TELESALES_CONSENTS)?,
        }),
    })
}

/// A personal field; a blank one says nothing, as many exports write what they do not know.
fn said<T>(
    fields: &Fields,
    name: &'static str,
    parse: fn(&str) -> Result<T, Invalid>,
) -> Result<Option<T>, BadMessage> {
    let blank = fields
        .optional_text(name)?
        .is_none_or(|text| text.trim().is_empty());
    if blank {
        Ok(None)
    } else {
        fields.parse(name, parse).map(Some)
    }
}

/// A key is the id as it stands, or as a JSON text.
fn customer_of(key: Option<&[u8]>) -> Result<CustomerId, BadMessage> {
    let key = key.ok_or(BadMessage::missing("chave"))?;
    let quoted: Option<String> = serde_json::from_slice(key).ok();
    let plain = quoted.or_else(|| std::str::from_utf8(key).ok().map(str::to_owned));
    CustomerId::parse(plain.unwrap_or_default())
        .map_err(|invalid| BadMessage::invalid("chave", invalid.rule))
}

/// `versao`, a number or its digits; else `atualizado_em` in milliseconds.
fn version(fields: &Fields) -> Result<Option<i64>, BadMessage> {
    const WRONG: BadMessage = BadMessage::invalid("versao", "must be a whole number from 0 on");
    let number = match fields.value("versao") {
        None => {
            let updated = fields.parse_optional("atualizado_em", UtcMillis::parse)?;
            return Ok(updated.map(UtcMillis::get));
        }
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(value) => value.as_i64(),
    };
    number
        .filter(|version| *version >= 0)
        .map(Some)
        .ok_or(WRONG)
}

/// An object of true and false, or a list of what was agreed to. What is not said is not agreed to.
fn agreed(consents: Option<&Value>, asked: &[&str]) -> Result<bool, BadMessage> {
    const WRONG: BadMessage = BadMessage::invalid(
        "consentimentos",
        "must be an object of booleans or a list of texts",
    );
    match consents {
        None => Ok(false),
        Some(Value::Object(by_name)) => {
            if by_name.values().any(|agreed| !agreed.is_boolean()) {
                return Err(WRONG);
            }
            let agreed = |name: &&str| by_name.get(*name) == Some(&Value::Bool(true));
            Ok(asked.iter().any(agreed))
        }
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            Ok(names.ok_or(WRONG)?.iter().any(|name| asked.contains(name)))
        }
        Some(_) => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id_cliente":"c1","versao":7,"nome":"Ana Lima","cpf":"529.982.247-25",
        "email":"Ana@Example.com","telefone":"(11) 96416-6764","regiao":"SP",
        "consentimentos":{"mgm":true,"newsletter":false},"segmento":"ouro"}"#;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Source<'a> {
        Source {
            key,
            value,
            partition: 0,
            offset: 3,
            timestamp_ms: -1,
        }
    }

    fn parse(json: &str) -> Result<News, BadMessage> {
        read(record(None, Some(json.as_bytes())))
    }

    #[test]
    fn a_customer_is_read_with_version_and_consent() {
        let news = parse(GOOD).unwrap();
        assert_eq!((news.customer.as_str(), news.version), ("c1", Some(7)));
        let profile = news.profile.unwrap();
        assert_eq!(profile.phone.unwrap().expose(), "+5511964166764");
        assert!(profile.referral_consent);
    }

    #[test]
    fn a_time_serves_as_version_and_may_be_absent() {
        let timed = GOOD.replace(r#""versao":7"#, r#""atualizado_em":"2026-11-20T00:00:00Z""#);
        assert_eq!(parse(&timed).unwrap().version, Some(1_795_132_800_000));
        assert_eq!(
            parse(&GOOD.replace(r#""versao":7,"#, "")).unwrap().version,
            None
        );
        assert_eq!(
            parse(&GOOD.replace(":7,", r#":"12","#)).unwrap().version,
            Some(12)
        );
    }

    #[test]
    fn what_is_not_said_is_not_agreed_to() {
        for (consents, agreed) in [
            (r#"{"indicacao":true}"#, true),
            (r#"["email","mgm"]"#, true),
            (r#"{"mgm":false}"#, false),
            (r#"["email"]"#, false),
            ("{}", false),
            ("null", false),
        ] {
            let json = GOOD.replace(r#"{"mgm":true,"newsletter":false}"#, consents);
            assert_eq!(
                parse(&json).unwrap().profile.unwrap().referral_consent,
                agreed,
                "{consents}"
            );
        }
    }

    #[test]
    fn a_blank_field_says_nothing() {
        let blank = GOOD
            .replace("Ana@Example.com", " ")
            .replace("529.982.247-25", "");
        let profile = parse(&blank).unwrap().profile.unwrap();
        assert_eq!((profile.email, profile.cpf), (None, None));
    }

    #[test]
    fn a_record_without_value_deletes_whom_its_key_names() {
        for key in ["c9", "\"c9\""] {
            let news = read(record(Some(key.as_bytes()), None)).unwrap();
            assert_eq!((news.customer.as_str(), news.profile), ("c9", None));
        }
        assert_eq!(read(record(None, None)).unwrap_err().field, Some("chave"));
        assert_eq!(
            read(record(Some(&[0xff]), None)).unwrap_err().field,
            Some("chave")
        );
    }

    #[test]
    fn each_wrong_field_is_named_without_its_value() {
        for (from, to, field) in [
            (r#""id_cliente":"c1""#, r#""id_cliente":"""#, "id_cliente"),
            (r#""id_cliente":"c1","#, "", "id_cliente"),
            (":7,", ":-1,", "versao"),
            (":7,", ":1.5,", "versao"),
            (":7,", r#":"sete","#, "versao"),
            ("Ana Lima", "Ana\\nLima", "nome"),
            ("529.982.247-25", "529.982.247-24", "cpf"),
            (r#""529.982.247-25""#, "52998224725", "cpf"),
            ("Ana@Example.com", "ana", "email"),
            ("(11) 96416-6764", "+1 202 555 0143", "telefone"),
            (r#""SP""#, r#""XX""#, "regiao"),
            (r#""mgm":true"#, r#""mgm":"sim""#, "consentimentos"),
        ] {
            let refusal = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{to}");
        }
        assert_eq!(parse("{").unwrap_err(), BadMessage::NOT_JSON);
    }
}
