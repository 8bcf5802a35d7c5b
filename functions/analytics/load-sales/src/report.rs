//! The report of a load.

use contracts::sales::{LoadReport, Quarantined, signed_amount};
use domain::{
    sales::{Sums, fault::Column},
    time::UtcMillis,
};
use lake::{RepeatedLines, input::BadFile};
use sql_store::sales_loads::{Load, LoadCounts, LoadStatus};

use crate::{
    intake::Intake,
    limits::{MOST_PARQUET_ROWS, MOST_TEXT_BYTES},
    place::Placed,
};

/// Why nothing of a file was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The file as a whole is to blame.
    File(BadFile),
    /// Its bad lines are too many.
    BadLines,
    /// Sums or names are beyond what is counted in.
    TooMuch,
    /// What it takes the place of lies in more of the lake than can be made anew in time.
    TooMuchWork,
    /// Another file has its key by now.
    Replaced,
}

impl Reason {
    const fn code(&self) -> &'static str {
        match self {
            Self::File(bad) => bad.code(),
            Self::BadLines => "linhas_ruins_demais",
            Self::TooMuch => "valores_demais",
            Self::TooMuchWork => "reescrita_grande",
            Self::Replaced => "arquivo_trocado",
        }
    }

    fn columns(&self) -> &[Column] {
        match self {
            Self::File(bad) => bad.columns(),
            _ => &[],
        }
    }

    fn advice(&self) -> String {
        match self {
            Self::File(BadFile::TooLarge) => format!(
                "divida o arquivo: cada parte com no máximo {} MiB de texto, ou {} milhões de \
                 linhas em Parquet",
                MOST_TEXT_BYTES / (1024 * 1024),
                MOST_PARQUET_ROWS / 1_000_000
            ),
            Self::File(BadFile::Empty) => {
                "o arquivo precisa ao menos do cabeçalho com os nomes das colunas".to_owned()
            }
            Self::File(BadFile::ColumnsMissing(_)) => {
                "inclua as colunas no cabeçalho, com estes nomes, em qualquer ordem".to_owned()
            }
            Self::File(BadFile::ColumnTwice(_)) => "deixe a coluna uma só vez".to_owned(),
            Self::File(BadFile::ColumnType(_)) => {
                "grave a coluna como texto, número inteiro, decimal ou data".to_owned()
            }
            Self::File(BadFile::Broken | BadFile::NotParquet) => {
                "envie o arquivo de novo: ele terminou antes do fim".to_owned()
            }
            Self::BadLines => {
                "corrija as linhas do arquivo de quarentena e envie tudo de novo".to_owned()
            }
            Self::TooMuch => "divida o arquivo por período".to_owned(),
            Self::TooMuchWork => {
                "o arquivo substitui pedidos em uma parte do histórico que não se \
                                  regrava a tempo: divida-o por período, um mês por arquivo, e \
                                  envie as partes uma depois da outra"
                    .to_owned()
            }
            Self::Replaced => "a versão mais nova do arquivo tem uma carga própria".to_owned(),
        }
    }
}

/// The report of a load as far as nothing of its file was read.
fn begun(load: &Load, status: LoadStatus, now: UtcMillis) -> LoadReport {
    LoadReport {
        id: load.id.clone(),
        arquivo: load.file.key.clone(),
        situacao: status.as_str().to_owned(),
        receita: signed_amount(0),
        iniciada_em: UtcMillis::new(load.started_ms).unwrap_or(now).to_string(),
        terminada_em: Some(now.to_string()),
        ..LoadReport::default()
    }
}

/// The report of a file of which nothing was loaded.
pub(crate) fn refused(
    load: &Load,
    reason: &Reason,
    intake: Option<&Intake>,
    quarantine_key: Option<&str>,
    now: UtcMillis,
) -> LoadReport {
    let mut report = begun(load, LoadStatus::Refused, now);
    if let Some(intake) = intake {
        add_intake(&mut report, intake, intake.sums, quarantine_key);
    }
    report.motivo = Some(reason.code().to_owned());
    report.colunas = reason
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    report.conselho = Some(reason.advice());
    report
}

/// The report of a file that was loaded.
pub(crate) fn loaded(
    load: &Load,
    intake: &Intake,
    placed: &Placed,
    sums: Sums,
    quarantine_key: Option<&str>,
    now: UtcMillis,
) -> LoadReport {
    let mut report = begun(load, LoadStatus::Loaded, now);
    add_intake(&mut report, intake, sums, quarantine_key);
    report.linhas_repetidas = placed.repeated.lines;
    report.pedidos_substituidos = placed.replaced_orders;
    report.linhas_no_lago = placed.lines;
    report
}

/// What the lines that are taken come to.
pub(crate) fn sums_of(intake: &Intake, placed: &Placed, repeated_lines: RepeatedLines) -> Sums {
    match repeated_lines {
        RepeatedLines::Kept => intake.sums,
        RepeatedLines::Dropped => Sums {
            quantity: intake.sums.quantity - placed.repeated.quantity,
            revenue_centavos: intake.sums.revenue_centavos - placed.repeated.revenue_centavos,
            orders: intake.sums.orders,
        },
    }
}

fn add_intake(report: &mut LoadReport, intake: &Intake, sums: Sums, quarantine_key: Option<&str>) {
    let counts = &intake.counts;
    report.linhas_lidas = counts.lines;
    report.linhas_aceitas = counts.accepted;
    report.quarentena = Quarantined {
        total: counts.refused_lines(),
        por_motivo: counts
            .refused
            .iter()
            .map(|(fault, lines)| (fault.code().to_owned(), *lines))
            .collect(),
        arquivo: quarantine_key.map(str::to_owned),
    };
    report.quantidade = sums.quantity;
    report.receita = signed_amount(sums.revenue_centavos);
    report.pedidos = intake.sorted.distinct_orders();
    if let Some((first, last)) = intake.sold {
        report.primeiro_dia = Some(first.day().to_string());
        report.ultimo_dia = Some(last.day().to_string());
    }
}

/// The counts of the ledger, with the sums that the report tells.
pub(crate) fn counts_of(intake: &Intake, sums: Sums) -> LoadCounts {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    LoadCounts {
        read: signed(intake.counts.lines),
        kept: signed(intake.counts.accepted),
        quarantined: signed(intake.counts.refused_lines()),
        sums: Sums {
            orders: signed(intake.sorted.distinct_orders()),
            ..sums
        },
    }
}
