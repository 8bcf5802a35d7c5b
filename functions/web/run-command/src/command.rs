//! What an operator asks for: `{"comando": "…", …}`.

use contracts::fields::{BadMessage, Fields};
use domain::{
    Invalid,
    identity::CustomerId,
    jobs::{self, Graph, Job, PIPELINE_ECOMMERCE},
    time::Day,
};
use serde_json::Value;
use sql_store::events::ConflictId;

/// A backfill covers at most so many days.
pub const MOST_DAYS: usize = 366;
/// Rows of a history.
pub const MOST_RUNS: i64 = 366;
/// Dead letters replayed by one command.
pub const MOST_REPLAYED: i64 = 10_000;

const COMMANDS: &str = "must be migrar, executar, reexecutar, grafo, executar_grafo, pausar, retomar, backfill, \
    verificar, reenviar, reenviar_lotes, historico, publicar_clientes, apagar_cliente, \
    conflitos or resolver_conflito";

/// A command that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `migrar`: brings the databases up to date.
    Migrate,
    /// `executar` and `reexecutar`: starts a job for a date.
    Run {
        /// The job.
        job: &'static Job,
        /// The date; the day on which the command came when none is named.
        date: Option<Day>,
        /// Whether a run that was done is done once more.
        again: bool,
        /// Whether a source that has nothing any more is believed.
        accepts_empty: bool,
    },
    /// `grafo` and `executar_grafo`: how a date's jobs that belong together stand.
    Graph {
        /// The graph.
        graph: &'static Graph,
        /// The date; the day before that on which the command came when none is named.
        date: Option<Day>,
        /// Whether the first job that is not done is started.
        starts: bool,
    },
    /// `pausar` and `retomar`: whether a job may start.
    Pause {
        /// The job.
        job: &'static Job,
        /// True stops it from starting.
        paused: bool,
    },
    /// `backfill`: starts a job for each date that was not done.
    Backfill {
        /// The job.
        job: &'static Job,
        /// The dates, oldest first.
        dates: Vec<Day>,
        /// `simular`: says what would start and starts nothing.
        dry_run: bool,
    },
    /// `verificar`: checks every audit chain and anchor, and the receipts of telesales.
    Verify,
    /// `reenviar`: sends dead letters back to their queue.
    Replay {
        /// The queue of dead letters, by its name in the template.
        queue: String,
        /// At most so many.
        most: u32,
    },
    /// `reenviar_lotes`: batches of records that failed for good go to their functions again.
    ReplayBatches {
        /// At most so many.
        most: u32,
    },
    /// `publicar_clientes`: customers as they are leave for the topic `clientes`.
    AnnounceCustomers {
        /// After this id; from the first on when none is named.
        after: Option<CustomerId>,
        /// At most so many.
        most: u32,
    },
    /// `apagar_cliente`: deletes a customer.
    DeleteCustomer {
        /// Whom.
        customer: CustomerId,
    },
    /// `conflitos`: events that came with the id of another one and said something else.
    Conflicts {
        /// After this one; from the first on when none is named.
        after: Option<ConflictId>,
        /// At most so many.
        most: u32,
    },
    /// `resolver_conflito`: what becomes of one of them.
    SettleConflict {
        /// Which one.
        conflict: ConflictId,
        /// `aceitar` ingests it as an event of its own, `descartar` forgets it.
        takes: bool,
    },
    /// `historico`: the runs of a job.
    History {
        /// The job.
        job: &'static Job,
        /// The first date; from the beginning when none is named.
        from: Option<Day>,
        /// The last date; up to the newest when none is named.
        to: Option<Day>,
        /// At most so many, newest first.
        most: u32,
    },
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// Names the field that is missing or wrong.
    pub fn read(payload: &Value) -> Result<Self, BadMessage> {
        let fields = Fields::of(payload, "payload")?;
        Ok(match fields.text("comando")? {
            "migrar" => Self::Migrate,
            "executar" => Self::Run {
                job: job(&fields)?,
                date: fields.parse_optional("data", Day::parse)?,
                again: false,
                accepts_empty: flag(&fields, "aceitar_vazio")?,
            },
            "reexecutar" => Self::Run {
                job: job(&fields)?,
                date: Some(fields.parse("data", Day::parse)?),
                again: true,
                accepts_empty: flag(&fields, "aceitar_vazio")?,
            },
            name @ ("grafo" | "executar_grafo") => Self::Graph {
                graph: fields.parse("grafo", graph)?,
                date: fields.parse_optional("data", Day::parse)?,
                starts: name == "executar_grafo",
            },
            "pausar" => Self::Pause {
                job: job(&fields)?,
                paused: true,
            },
            "retomar" => Self::Pause {
                job: job(&fields)?,
                paused: false,
            },
            "backfill" => Self::Backfill {
                job: job(&fields)?,
                dates: dates(&fields)?,
                dry_run: flag(&fields, "simular")?,
            },
            "verificar" => Self::Verify,
            "reenviar" => Self::Replay {
                queue: fields.text("fila")?.to_owned(),
                most: number(&fields, "maximo", 1_000, MOST_REPLAYED)?,
            },
            "reenviar_lotes" => Self::ReplayBatches {
                most: number(&fields, "maximo", 1_000, MOST_REPLAYED)?,
            },
            "publicar_clientes" => Self::AnnounceCustomers {
                after: fields.parse_optional("depois_de", |text| CustomerId::parse(text))?,
                most: number(&fields, "maximo", 1_000, MOST_REPLAYED)?,
            },
            "apagar_cliente" => Self::DeleteCustomer {
                customer: fields.parse("id_cliente", |text| CustomerId::parse(text))?,
            },
            "conflitos" => Self::Conflicts {
                after: fields.parse_optional("depois_de", ConflictId::parse)?,
                most: number(&fields, "limite", 30, MOST_RUNS)?,
            },
            "resolver_conflito" => Self::SettleConflict {
                conflict: fields.parse("id_conflito", ConflictId::parse)?,
                takes: decision(&fields)?,
            },
            "historico" => Self::History {
                job: job(&fields)?,
                from: fields.parse_optional("de", Day::parse)?,
                to: fields.parse_optional("ate", Day::parse)?,
                most: number(&fields, "limite", 30, MOST_RUNS)?,
            },
            _ => return Err(BadMessage::invalid("comando", COMMANDS)),
        })
    }
}

fn decision(fields: &Fields) -> Result<bool, BadMessage> {
    match fields.text("decisao")? {
        "aceitar" => Ok(true),
        "descartar" => Ok(false),
        _ => Err(BadMessage::invalid(
            "decisao",
            "must be aceitar or descartar",
        )),
    }
}

fn graph(name: &str) -> Result<&'static Graph, Invalid> {
    let rule = "must be pipeline_ecommerce";
    (name == PIPELINE_ECOMMERCE.name)
        .then_some(&PIPELINE_ECOMMERCE)
        .ok_or(Invalid::new(rule))
}

fn job(fields: &Fields) -> Result<&'static Job, BadMessage> {
    fields.parse("job", |name| {
        let rule = "must be mgm_set_promoters, mgm_create_promoter_voucher, mgm_anchor_audit, \
            televendas_expirar_contatos, televendas_reconciliar, lago_limpar, vendas_exportar, \
            vendas_verificar_qualidade, vendas_sincronizar_armazem or estoque_consultar";
        jobs::ALL
            .iter()
            .find(|job| job.name == name)
            .ok_or(Invalid::new(rule))
    })
}

fn flag(fields: &Fields, name: &'static str) -> Result<bool, BadMessage> {
    match fields.value(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(BadMessage::invalid(name, "must be true or false")),
    }
}

fn number(fields: &Fields, name: &'static str, default: u32, most: i64) -> Result<u32, BadMessage> {
    let Some(number) = fields.optional_integer(name)? else {
        return Ok(default);
    };
    let rule = if most == MOST_REPLAYED {
        "must be a whole number from 1 to 10000"
    } else {
        "must be a whole number from 1 to 366"
    };
    u32::try_from(number)
        .ok()
        .filter(|_| (1..=most).contains(&number))
        .ok_or(BadMessage::invalid(name, rule))
}

fn dates(fields: &Fields) -> Result<Vec<Day>, BadMessage> {
    let first = fields.parse("de", Day::parse)?;
    let last = fields.parse("ate", Day::parse)?;
    if last < first {
        return Err(BadMessage::invalid("ate", "must not be before de"));
    }
    let mut days = vec![first];
    while let Some(day) = days.last().copied().filter(|day| *day < last) {
        if days.len() == MOST_DAYS {
            return Err(BadMessage::invalid(
                "ate",
                "must be at most 365 days after de",
            ));
        }
        days.push(day.next());
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_backfill_names_each_day_once() {
        let asked = json!({"comando": "backfill", "job": "mgm_set_promoters",
            "de": "2026-10-30", "ate": "2026-11-01", "simular": true});
        let Command::Backfill { dates, dry_run, .. } = Command::read(&asked).unwrap() else {
            panic!()
        };
        let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
        assert_eq!(
            (dates.join(" ").as_str(), dry_run),
            ("2026-10-30 2026-10-31 2026-11-01", true)
        );
    }

    #[test]
    fn a_wrong_command_names_its_field() {
        for (asked, field) in [
            (json!([]), "payload"),
            (json!({}), "comando"),
            (json!({"comando": 7}), "comando"),
            (json!({"comando": "apagar"}), "comando"),
            (json!({"comando": "executar"}), "job"),
            (json!({"comando": "executar", "job": "outro"}), "job"),
            (
                json!({"comando": "executar", "job": "mgm_set_promoters", "data": "ontem"}),
                "data",
            ),
            (
                json!({"comando": "reexecutar", "job": "mgm_set_promoters"}),
                "data",
            ),
            (
                json!({"comando": "backfill", "job": "mgm_set_promoters"}),
                "de",
            ),
            (
                json!({"comando": "backfill", "job": "mgm_set_promoters", "de": "2026-11-02",
                    "ate": "2026-11-01"}),
                "ate",
            ),
            (
                json!({"comando": "backfill", "job": "mgm_set_promoters", "de": "2020-01-01",
                    "ate": "2026-11-01"}),
                "ate",
            ),
            (
                json!({"comando": "backfill", "job": "mgm_set_promoters", "de": "2026-11-01",
                    "ate": "2026-11-01", "simular": "sim"}),
                "simular",
            ),
            (json!({"comando": "grafo", "grafo": "outro"}), "grafo"),
            (json!({"comando": "reenviar"}), "fila"),
            (json!({"comando": "apagar_cliente"}), "id_cliente"),
            (
                json!({"comando": "resolver_conflito", "id_conflito": "x"}),
                "id_conflito",
            ),
            (
                json!({"comando": "reenviar", "fila": "X", "maximo": 0}),
                "maximo",
            ),
            (
                json!({"comando": "historico", "job": "mgm_set_promoters", "limite": 999}),
                "limite",
            ),
        ] {
            assert_eq!(
                Command::read(&asked).unwrap_err().field,
                Some(field),
                "{asked}"
            );
        }
    }
}
