use super::*;
use crate::telesales::Telesales;
use domain::telesales::Contact;

const NOW: i64 = 1_795_132_800_000;
const GOOD: &str = r#"{"id_cliente":"c1","versao":7,"nome":"Ana Lima","cpf":"529.982.247-25",
    "email":"ana@example.com","telefone":"(11) 96416-6764","regiao":"SP",
    "endereco":{"rua":"Rua das Flores","numero":7},
    "consentimentos":{"televendas":true,"mgm":false},"segmento":["ouro"]}"#;

fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
    Record {
        key,
        value,
        partition: 2,
        offset: 9,
        timestamp_ms: NOW,
    }
}

fn read_in(mapping: &str, json: &str) -> Result<Change<Contact>, BadMessage> {
    let shape = Shape::parse::<Telesales>(mapping).unwrap();
    let now = UtcMillis::new(NOW).unwrap();
    read::<Telesales>(&shape, &record(None, Some(json.as_bytes())), now)
}

fn parse(json: &str) -> Result<Change<Contact>, BadMessage> {
    read_in("", json)
}

fn told(contact: &Contact) -> (&str, &str, &str) {
    (
        contact.name.expose(),
        contact.phone.expose(),
        contact.region.as_str(),
    )
}

#[test]
fn name_phone_and_region_are_taken_and_nothing_else() {
    let change = parse(GOOD).unwrap();
    assert_eq!(change.customer.as_str(), "c1");
    assert_eq!(change.stamp.version, Some(7));
    let contact = change.row.unwrap();
    assert_eq!(told(&contact), ("Ana Lima", "+5511964166764", "SP"));
}

#[test]
fn a_region_that_is_missing_comes_from_the_ddd() {
    for (from, to) in [
        (r#""regiao":"SP","#, ""),
        (r#""SP""#, "null"),
        (r#""SP""#, r#""  ""#),
    ] {
        let json = GOOD.replace(from, to).replace("(11)", "(85)");
        let contact = parse(&json).unwrap().row.unwrap();
        assert_eq!(contact.region.as_str(), "CE", "{to}");
    }
}

#[test]
fn withdrawn_consent_deletes_and_so_does_a_phone_that_is_gone() {
    let consents = r#"{"televendas":true,"mgm":false}"#;
    for (from, to) in [
        (consents, r#"{"televendas":false}"#),
        (consents, "{}"),
        (consents, "[]"),
        (consents, r#"["mgm"]"#),
        (consents, "null"),
        (r#""(11) 96416-6764""#, "null"),
        (r#""Ana Lima""#, r#""""#),
    ] {
        let change = parse(&GOOD.replace(from, to)).unwrap();
        assert_eq!((change.row, change.stamp.version), (None, Some(7)), "{to}");
    }
    let listed = parse(&GOOD.replace(consents, r#"["televendas"]"#)).unwrap();
    assert!(listed.row.is_some());
}

#[test]
fn withdrawn_consent_deletes_whatever_else_is_wrong_with_the_values() {
    for (from, to) in [
        (r#""(11) 96416-6764""#, r#""+1 415 555 2671""#),
        (r#""SP""#, r#""XX""#),
        (r#""Ana Lima""#, r#""\u0007""#),
    ] {
        let withdrawn = GOOD.replace(r#"{"televendas":true"#, r#"{"televendas":false"#);
        let change = parse(&withdrawn.replace(from, to)).unwrap();
        assert_eq!((change.row, change.stamp.version), (None, Some(7)), "{to}");
        let agreed = parse(&GOOD.replace(from, to));
        assert_eq!(agreed.unwrap_err().code, "campo_invalido", "{to}");
    }
}

#[test]
fn who_withdraws_in_so_many_words_is_deleted_whatever_is_missing() {
    let json = r#"{"id_cliente":"c1","versao":7,"consentimentos":{"televendas":false}}"#;
    let change = parse(json).unwrap();
    assert_eq!((change.row, change.stamp.version), (None, Some(7)));
    for unsaid in [r#"{"mgm":false}"#, r#"{"televendas":null}"#, "[]", "null"] {
        let json = json.replace(r#"{"televendas":false}"#, unsaid);
        let refused = parse(&json).unwrap_err();
        assert_eq!(refused.code, "campo_ausente", "{unsaid}");
    }
}

#[test]
fn what_stands_in_the_place_of_a_name_reaches_no_screen() {
    for wrong in [
        "52998224725",
        r#""529.982.247-25""#,
        r#""Ana 529.982.247-25""#,
        r#""ana@example.com""#,
        r#""+55 11 96416-6764""#,
        r#""-""#,
    ] {
        let refused = parse(&GOOD.replace(r#""Ana Lima""#, wrong)).unwrap_err();
        let named = (refused.code, refused.field);
        assert_eq!(named, ("campo_invalido", Some("nome")), "{wrong}");
    }
    for right in ["Ana 2ª", "D'Ávila", "Ng", "李"] {
        let change = parse(&GOOD.replace("Ana Lima", right)).unwrap();
        assert_eq!(change.row.unwrap().name.expose(), right);
    }
}

#[test]
fn consent_that_is_told_twice_is_none() {
    let twice = r#"{"televendas":false,"televendas":true"#;
    let refused = parse(&GOOD.replace(r#"{"televendas":true"#, twice));
    assert_eq!(refused.unwrap_err().field, Some("consentimentos"));
}

#[test]
fn a_record_without_value_deletes_whom_its_key_names() {
    let shape = Shape::parse::<Telesales>("").unwrap();
    let now = UtcMillis::new(NOW).unwrap();
    for key in ["c9", "\"c9\"", r#"{"id_cliente":"c9"}"#] {
        let tombstone = record(Some(key.as_bytes()), None);
        let change = read::<Telesales>(&shape, &tombstone, now).unwrap();
        assert_eq!((change.customer.as_str(), change.row), ("c9", None));
        assert_eq!(change.stamp.version, None);
    }
    for key in [None, Some(&b""[..]), Some(&[0xff][..]), Some(&b"{}"[..])] {
        let refused = read::<Telesales>(&shape, &record(key, None), now);
        assert_eq!(refused.unwrap_err().field, Some("chave"));
    }
}

#[test]
fn a_record_under_the_key_of_another_is_refused() {
    let shape = Shape::parse::<Telesales>("").unwrap();
    let now = UtcMillis::new(NOW).unwrap();
    let read = |key: &[u8]| {
        read::<Telesales>(&shape, &record(Some(key), Some(GOOD.as_bytes())), now)
            .map(|change| change.customer.as_str().to_owned())
            .map_err(|refused| refused.field)
    };
    for key in [
        &b"c1"[..],
        b"\"c1\"",
        br#"{"id_cliente":"c1"}"#,
        b"",
        b"\xff",
    ] {
        assert_eq!(read(key).as_deref(), Ok("c1"), "{key:?}");
    }
    for key in [&b"c2"[..], b"\"c2\"", br#"{"id_cliente":"c2"}"#] {
        assert_eq!(read(key), Err(Some("chave")), "{key:?}");
    }
}

#[test]
fn debezium_tells_creations_updates_and_deletions() {
    let mapping = r#"{"envelope":"debezium"}"#;
    for op in ["c", "r", "u"] {
        let alone = format!(r#"{{"before":null,"after":{GOOD},"op":"{op}","ts_ms":1}}"#);
        let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{alone}}}"#);
        for json in [alone, wrapped] {
            let change = read_in(mapping, &json).unwrap();
            assert_eq!(change.customer.as_str(), "c1");
            assert!(change.row.is_some());
        }
    }
    let deleted = format!(r#"{{"before":{GOOD},"after":null,"op":"d"}}"#);
    let change = read_in(mapping, &deleted).unwrap();
    assert_eq!((change.customer.as_str(), change.row), ("c1", None));
    let unknown = deleted.replace(r#""d""#, r#""t""#);
    assert_eq!(read_in(mapping, &unknown).unwrap_err().field, Some("op"));
    assert_eq!(read_in(mapping, GOOD).unwrap_err().field, Some("op"));
}

#[test]
fn a_mapping_finds_fields_that_stand_elsewhere() {
    let mapping =
        r#"{"campos":{"id_cliente":"id","telefone":"contato.celular","nome":"pessoa.nome"}}"#;
    let json = r#"{"id":"c1","atualizado_em":"2026-11-20T00:00:00Z","pessoa":{"nome":"Ana"},
        "contato":{"email":"a@b.c","celular":"11964166764"},"consentimentos":["televendas"]}"#;
    let change = read_in(mapping, json).unwrap();
    assert_eq!(change.stamp.version, Some(NOW));
    assert_eq!(told(&change.row.unwrap()), ("Ana", "+5511964166764", "SP"));
    for wrong in [
        "{",
        r#"{"campos":{"cpf":"documento"}}"#,
        r#"{"campos":{"nome":"telefone"}}"#,
        r#"{"campos":{"nome":"a","telefone":"a.b"}}"#,
        r#"{"envelope":"avro"}"#,
        r#"{"outro":1}"#,
    ] {
        assert!(Shape::parse::<Telesales>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_unknown_shape_is_not_half_read() {
    for (from, to, code, field) in [
        (r#""nome":"Ana Lima","#, "", "campo_ausente", Some("nome")),
        (
            r#""telefone""#,
            r#""phone""#,
            "campo_ausente",
            Some("telefone"),
        ),
        (
            r#""consentimentos""#,
            r#""consents""#,
            "campo_ausente",
            Some("consentimentos"),
        ),
        (
            r#""id_cliente":"c1","#,
            "",
            "campo_ausente",
            Some("id_cliente"),
        ),
        (r#""c1""#, "[]", "campo_invalido", Some("id_cliente")),
        (r#""Ana Lima""#, "{}", "campo_invalido", Some("nome")),
        (r#""Ana Lima""#, "true", "campo_invalido", Some("nome")),
        (
            r#""(11) 96416-6764""#,
            r#""+1 202 555 0143""#,
            "campo_invalido",
            Some("telefone"),
        ),
        (r#""SP""#, r#""XX""#, "campo_invalido", Some("regiao")),
        (":7,", ":-1,", "campo_invalido", Some("versao")),
        (":7,", ":1.5,", "campo_invalido", Some("versao")),
        (
            r#""versao":7"#,
            r#""atualizado_em":"2030-01-01T00:00:00Z""#,
            "versao_no_futuro",
            Some("atualizado_em"),
        ),
        (
            r#""televendas":true"#,
            r#""televendas":"sim""#,
            "campo_invalido",
            Some("consentimentos"),
        ),
        (
            r#""versao":7"#,
            r#""nome":"Eva","versao":7"#,
            "campo_repetido",
            None,
        ),
        (
            r#"{"televendas":true,"mgm":false}"#,
            r#"["televendas",{"tipo":"televendas"}]"#,
            "campo_invalido",
            Some("consentimentos"),
        ),
        (r#""segmento""#, r#"segmento"#, "json_invalido", None),
    ] {
        let refusal = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!((refusal.code, refusal.field), (code, field), "{to}");
    }
    assert_eq!(parse("[1]").unwrap_err().code, "forma_desconhecida");
    let nested = read_in(
        r#"{"campos":{"nome":"pessoa.nome"}}"#,
        &GOOD.replace("nome", "pessoa"),
    );
    assert_eq!(nested.unwrap_err().code, "forma_desconhecida");
    let huge = GOOD.replace("Rua das Flores", &"x".repeat(LARGEST_RECORD));
    assert_eq!(parse(&huge).unwrap_err().code, "grande_demais");
}

#[test]
fn what_is_not_utf8_is_named_so_wherever_it_stands() {
    let shape = Shape::parse::<Telesales>("").unwrap();
    let now = UtcMillis::new(NOW).unwrap();
    let (before, after) = GOOD.split_once("Flores").unwrap();
    let inside = [before.as_bytes(), &[0xff], after.as_bytes()].concat();
    for broken in [[GOOD.as_bytes(), &[b' ', 0xff]].concat(), inside] {
        let refused = read::<Telesales>(&shape, &record(None, Some(&broken)), now);
        assert_eq!(refused.unwrap_err().code, "utf8_invalido");
    }
}

#[test]
fn a_version_that_would_outrank_every_later_one_is_refused() {
    for version in ["9223372036854775807", r#""253402300799000""#] {
        let refused = parse(&GOOD.replacen(":7,", &format!(":{version},"), 1)).unwrap_err();
        let named = (refused.code, refused.field);
        assert_eq!(named, ("versao_no_futuro", Some("versao")), "{version}");
    }
    let micros = parse(&GOOD.replacen(":7,", ":1795132800000000,", 1)).unwrap();
    assert_eq!(micros.stamp.version, Some(1_795_132_800_000_000));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, place in 0_usize..400, byte: u8) {
        let shape = Shape::parse::<Telesales>("").unwrap();
        let now = UtcMillis::new(NOW).unwrap();
        let _ = read::<Telesales>(&shape, &record(Some(&bytes), Some(&bytes)), now);
        let mut good = GOOD.as_bytes().to_vec();
        if let Some(one) = good.get_mut(place) {
            *one = byte;
        }
        let _ = read::<Telesales>(&shape, &record(None, Some(&good)), now);
    }
}
