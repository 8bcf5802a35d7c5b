//! The result, for people and for programs.

use serde::Serialize;
use serde_json::Value;

use super::replay::Outcome;
use crate::failure::{Failure, OrFailure};
use crate::terminal;

/// The line of `--json`, in this order.
#[derive(Serialize)]
struct Line {
    promotores: i64,
    indicacoes: i64,
    cupons: i64,
    anuladas: i64,
    vouchers: i64,
    fila_morta: u64,
}

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
    let figure = |field: &str| {
        let figure = total(outcome).get(field).and_then(Value::as_i64);
        figure.ok_or_else(|| Failure::work(format!("the funnel has no {field}")))
    };
    let line = Line {
        promotores: figure("links")?,
        indicacoes: figure("indicacoes")?,
        cupons: figure("cupons")?,
        anuladas: figure("anuladas")?,
        vouchers: figure("vouchers")?,
        fila_morta: outcome.dead_letters,
    };
    serde_json::to_string(&line).or_work(|| "the result".to_owned())
}

fn total(outcome: &Outcome) -> &Value {
    outcome.funnel.get("total").unwrap_or(&Value::Null)
}
