//! The result, for people and for programs.

use serde_json::{Value, json};

use super::replay::Outcome;
use crate::failure::Failure;
use crate::terminal;

/// The line of `--json`, and the funnel's fields that it takes.
const LINE: [(&str, &str); 5] = [
    ("promotores", "links"),
    ("indicacoes", "indicacoes"),
    ("cupons", "cupons"),
    ("anuladas", "anuladas"),
    ("vouchers", "vouchers"),
];

/// The funnel, one figure a line, on standard error.
pub fn print_funnel(outcome: &Outcome) {
    terminal::note("The campaign's funnel:");
    for (name, value) in total(outcome).as_object().into_iter().flatten() {
        match value {
            Value::Object(reasons) => {
                terminal::note(&format!("  {name}"));
                for (reason, count) in reasons {
                    terminal::note(&format!("    {reason:<30} {count:>14}"));
                }
            }
            Value::String(text) => terminal::note(&format!("  {name:<32} {text:>14}")),
            other => terminal::note(&format!("  {name:<32} {other:>14}")),
        }
    }
    terminal::note(&format!(
        "  {:<32} {:>14}",
        "fila_morta", outcome.dead_letters
    ));
}

/// One line of JSON.
///
/// # Errors
/// When the funnel lacks a figure.
pub fn json_line(outcome: &Outcome) -> Result<String, Failure> {
    let total = total(outcome);
    let mut line = serde_json::Map::new();
    for (name, field) in LINE {
        let figure = total.get(field).and_then(Value::as_i64);
        let figure = figure.ok_or_else(|| Failure::work(format!("the funnel has no {field}")))?;
        line.insert(name.to_owned(), figure.into());
    }
    line.insert("fila_morta".to_owned(), json!(outcome.dead_letters));
    Ok(Value::Object(line).to_string())
}

fn total(outcome: &Outcome) -> &Value {
    outcome.funnel.get("total").unwrap_or(&Value::Null)
}
