//! What a check comes to, in a word and a sentence.

use std::collections::BTreeMap;

use domain::time::{Day, UtcMillis};
use sql_store::quality::CheckResult;

use crate::{
    failures::Failures,
    plan::{Check, Kind, Severity},
};

/// Nothing is wrong.
pub const OK: &str = "ok";
/// Worth a look.
pub const WARNING: &str = "aviso";
/// Wrong.
pub const ERROR: &str = "erro";

const HOUR_MS: i64 = 3_600_000;
const WHOLE: i64 = 10_000;

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => WARNING,
        Severity::Error => ERROR,
    }
}

/// By how many of those looked at failed.
pub fn of_failures(check: &Check, failures: &Failures, result: &mut CheckResult) {
    (result.checked, result.failures) = (failures.checked, failures.failed);
    if failures.checked == 0 {
        return;
    }
    let tolerated = failures.checked.saturating_mul(check.tolerance_points) / WHOLE;
    let verdict = if failures.failed > tolerated {
        word(check.severity)
    } else {
        OK
    };
    verdict.clone_into(&mut result.verdict);
    result.detail = format!("{} de {} falharam.", failures.failed, failures.checked);
}

/// By how long ago the newest load ended.
pub fn freshness(
    check: &Check,
    newest: Option<UtcMillis>,
    now: UtcMillis,
    result: &mut CheckResult,
) {
    let Kind::Frescor {
        aviso_horas,
        erro_horas,
    } = &check.kind
    else {
        return;
    };
    let Some(newest) = newest else {
        return;
    };
    let hours = (now.get() - newest.get()) / HOUR_MS;
    let verdict = if hours >= *erro_horas {
        word(check.severity)
    } else if hours >= *aviso_horas {
        WARNING
    } else {
        OK
    };
    verdict.clone_into(&mut result.verdict);
    result.checked = 1;
    result.failures = i64::from(verdict != OK);
    result.detail = format!("A última carga terminou há {hours} h.");
}

/// By the lines of a day against those of a usual one: the mean of the days before that have any.
pub fn volume(check: &Check, by_day: &BTreeMap<i32, i64>, date: Day, result: &mut CheckResult) {
    let Kind::Volume {
        dias,
        minimo_de_dias,
        minimo_pontos,
        maximo_pontos,
    } = &check.kind
    else {
        return;
    };
    let today = date.epoch_days();
    let first = today.saturating_sub(i32::try_from(*dias).unwrap_or(i32::MAX));
    let before: Vec<i64> = by_day
        .range(first..today)
        .map(|(_, lines)| *lines)
        .collect();
    let days = i64::try_from(before.len()).unwrap_or(i64::MAX);
    let lines = by_day.get(&today).copied().unwrap_or_default();
    result.checked = lines;
    if days < *minimo_de_dias || days == 0 {
        result.detail = format!("{lines} linhas; {days} dias de histórico são poucos.");
        return;
    }
    let usual = before.iter().sum::<i64>() / days;
    let points = lines.saturating_mul(WHOLE) / usual.max(1);
    let verdict = if (*minimo_pontos..=*maximo_pontos).contains(&points) {
        OK
    } else {
        word(check.severity)
    };
    verdict.clone_into(&mut result.verdict);
    result.failures = i64::from(verdict != OK);
    result.detail = format!("{lines} linhas; um dia comum tem {usual}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const NO_DATA: &str = "sem_dados";

    fn check(name: &str) -> Check {
        let plan = Plan::own().unwrap();
        plan.checks
            .into_iter()
            .find(|check| check.name == name)
            .unwrap()
    }

    fn now() -> UtcMillis {
        UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
    }

    fn result() -> CheckResult {
        CheckResult::begun(now().day(), "x", "x", now())
    }

    #[test]
    fn failures_within_the_tolerance_are_none() {
        let check = check("vendas_regiao_preenchida");
        for (failed, verdict) in [(0, OK), (20, OK), (21, WARNING)] {
            let mut failures = Failures::among(100);
            failures.failed = failed;
            let mut result = result();
            of_failures(&check, &failures, &mut result);
            assert_eq!(
                (result.verdict.as_str(), result.failures),
                (verdict, failed)
            );
        }
        let mut nothing = result();
        of_failures(&check, &Failures::default(), &mut nothing);
        assert_eq!(nothing.verdict, NO_DATA);
    }

    #[test]
    fn an_old_load_warns_first_and_fails_later() {
        let check = check("vendas_recentes");
        for (hours, verdict) in [(29, OK), (30, WARNING), (53, WARNING), (54, ERROR)] {
            let mut result = result();
            let newest = now().plus_millis(-hours * HOUR_MS);
            freshness(&check, Some(newest), now(), &mut result);
            assert_eq!(result.verdict, verdict, "{hours}");
        }
        let mut never = result();
        freshness(&check, None, now(), &mut never);
        assert_eq!(never.verdict, NO_DATA);
    }

    #[test]
    fn a_day_of_half_or_twice_the_usual_lines_is_told() {
        let check = check("vendas_volume");
        let today = now().day().epoch_days();
        for (lines, verdict) in [(49, WARNING), (50, OK), (200, OK), (201, WARNING)] {
            let mut by_day: BTreeMap<i32, i64> = (1..=7).map(|day| (today - day, 100)).collect();
            by_day.insert(today, lines);
            let mut judged = result();
            volume(&check, &by_day, now().day(), &mut judged);
            assert_eq!(judged.verdict, verdict, "{lines}");
            by_day.remove(&(today - 1));
            let mut young = result();
            volume(&check, &by_day, now().day(), &mut young);
            assert_eq!(young.verdict, NO_DATA, "six days are too few");
        }
    }
}
