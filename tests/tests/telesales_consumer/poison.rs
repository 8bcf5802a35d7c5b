//! Records that can't be read, each with the reason code that it must get.

use domain::time::UtcMillis;
use serde_json::{Value, json};

const KINDS: usize = 11;
/// Of so many bad records one is huge.
const HUGE_EVERY: usize = 8 * KINDS;
/// Beyond the 1 MiB that is looked at.
const TOO_LARGE: usize = 1_100_000;

type Made = (Option<Vec<u8>>, Option<Vec<u8>>, &'static str);

/// Spoils `value`, a good record of `id`, in the next of many ways; `now_ms` is the consumer's clock.
pub fn make(nth: usize, id: &str, mut value: Value, now_ms: i64) -> Made {
    let key = Some(id.as_bytes().to_vec());
    let bytes = |value: &Value| Some(value.to_string().into_bytes());
    match nth % KINDS {
        0 => {
            let text = value.to_string();
            let half = text.as_bytes()[..text.len() - 9].to_vec();
            (key, Some(half), "json_invalido")
        }
        1 => {
            value["telefone"] = json!({"celular": value["telefone"]});
            (key, bytes(&value), "campo_invalido")
        }
        2 if nth % HUGE_EVERY == 2 => {
            value["observacao"] = json!("x".repeat(TOO_LARGE));
            (key, bytes(&value), "grande_demais")
        }
        2 | 3 => {
            value.as_object_mut().unwrap().remove("id_cliente");
            (key, bytes(&value), "campo_ausente")
        }
        4 => {
            let mut bytes = value.to_string().into_bytes();
            let name = b"\"nome\":\"";
            let place = bytes.windows(name.len()).position(|part| part == name);
            bytes[place.unwrap() + name.len()] = 0xff;
            (key, Some(bytes), "utf8_invalido")
        }
        5 => {
            value["telefone"] = json!("+1 415 555 2671");
            (key, bytes(&value), "campo_invalido")
        }
        6 => {
            let future = UtcMillis::new(now_ms).unwrap().plus_days(30);
            value["atualizado_em"] = json!(future.to_string());
            (key, bytes(&value), "versao_no_futuro")
        }
        7 => (None, None, "campo_ausente"),
        8 => {
            value.as_object_mut().unwrap().remove("consentimentos");
            (key, bytes(&value), "campo_ausente")
        }
        9 => {
            let text = value.to_string();
            let text = text.replacen('{', "{\"nome\":\"outra pessoa\",", 1);
            (key, Some(text.into_bytes()), "campo_repetido")
        }
        _ => {
            value["versao"] = json!(-1);
            (key, bytes(&value), "campo_invalido")
        }
    }
}
