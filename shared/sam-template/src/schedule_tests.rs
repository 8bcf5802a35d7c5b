use super::*;

fn next(expression: &str, after: &str, zone: &str) -> Option<String> {
    let schedule: ScheduleExpression = expression.parse().unwrap();
    let zone = TimeZone::get(zone).unwrap();
    schedule
        .next_after(after.parse().unwrap(), &zone)
        .map(|time| time.to_string())
}

fn sao_paulo(expression: &str, after: &str) -> String {
    next(expression, after, "America/Sao_Paulo").unwrap()
}

#[test]
fn rate_keeps_its_rhythm_over_restarts() {
    assert_eq!(
        sao_paulo("rate(1 minute)", "2026-11-20T06:00:00Z"),
        "2026-11-20T06:01:00Z"
    );
    assert_eq!(
        sao_paulo("rate(5 minutes)", "2026-11-20T06:02:59Z"),
        "2026-11-20T06:05:00Z"
    );
    assert_eq!(
        sao_paulo("rate(1 day)", "2026-11-20T06:02:59Z"),
        "2026-11-21T00:00:00Z"
    );
}

#[test]
fn cron_runs_in_the_time_zone_of_the_schedule() {
    assert_eq!(
        sao_paulo("cron(0 3 * * ? *)", "2026-11-20T05:59:59Z"),
        "2026-11-20T06:00:00Z"
    );
    assert_eq!(
        sao_paulo("cron(0 3 * * ? *)", "2026-11-20T06:00:00Z"),
        "2026-11-21T06:00:00Z"
    );
    assert_eq!(
        next(
            "cron(0/15 8-9 ? * MON-FRI *)",
            "2026-11-20T09:45:00Z",
            "UTC"
        )
        .unwrap(),
        "2026-11-23T08:00:00Z"
    );
}

#[test]
fn cron_knows_last_nearest_and_nth_days() {
    let cases = [
        ("cron(0 3 L * ? *)", "2026-11-30T06:00:00Z"),
        // The 15th of November 2026 is a Sunday, so the Monday after; it is past, so December.
        ("cron(0 3 15W * ? *)", "2026-12-15T06:00:00Z"),
        ("cron(0 3 LW 1 ? *)", "2027-01-29T06:00:00Z"),
        ("cron(0 3 1W 5 ? *)", "2027-05-03T06:00:00Z"),
        ("cron(0 3 ? * 6L *)", "2026-11-27T06:00:00Z"),
        ("cron(0 3 ? * FRI#3 *)", "2026-12-18T06:00:00Z"),
        ("cron(0 3 ? * L *)", "2026-11-21T06:00:00Z"),
        ("cron(0 3 29 2 ? *)", "2028-02-29T06:00:00Z"),
        ("cron(0 3 ? JAN,JUL 1 2028)", "2028-01-02T06:00:00Z"),
    ];
    for (expression, expected) in cases {
        assert_eq!(
            sao_paulo(expression, "2026-11-20T12:00:00Z"),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn skipped_hours_do_not_run_and_repeated_ones_run_once() {
    // New York skips 02:30 on 2026-03-08 and repeats 01:30 on 2026-11-01.
    let skipped = next(
        "cron(30 2 * * ? *)",
        "2026-03-08T00:00:00Z",
        "America/New_York",
    )
    .unwrap();
    assert_eq!(skipped, "2026-03-09T06:30:00Z");
    let first = next(
        "cron(30 1 * * ? *)",
        "2026-11-01T00:00:00Z",
        "America/New_York",
    )
    .unwrap();
    assert_eq!(first, "2026-11-01T05:30:00Z");
    let second = next("cron(30 1 * * ? *)", &first, "America/New_York").unwrap();
    assert_eq!(second, "2026-11-02T06:30:00Z");
}

#[test]
fn at_runs_once() {
    let at = "at(2026-11-20T06:00:00)";
    assert_eq!(
        sao_paulo(at, "2026-11-20T06:00:00Z"),
        "2026-11-20T09:00:00Z"
    );
    assert_eq!(next(at, "2026-11-20T09:00:00Z", "America/Sao_Paulo"), None);
}

#[test]
fn a_year_that_is_over_has_no_next_run() {
    assert_eq!(
        next("cron(0 3 * * ? 2025)", "2026-11-20T06:00:00Z", "UTC"),
        None
    );
}

#[test]
fn wrong_schedules_say_what_to_write() {
    let wrong = [
        ("rate(5 minuts)", "rate(5 minutes)"),
        ("rate(1 minutes)", "rate(1 minute)"),
        ("rate(0 minutes)", "rate(1 minute)"),
        ("every 5 minutes", "is no schedule"),
        ("cron(0 6 * * *)", "six fields"),
        ("cron(0 6 * * * *)", "exactly one"),
        ("cron(0 6 ? * ? *)", "exactly one"),
        ("cron(60 6 * * ? *)", "minutes"),
        ("cron(0/0 6 * * ? *)", "minutes"),
        ("cron(0 24 * * ? *)", "hours"),
        ("cron(0 6 32 * ? *)", "day of month"),
        ("cron(0 6 * 13 ? *)", "month"),
        ("cron(0 6 ? * 0 *)", "day of week"),
        ("cron(0 6 ? * 6#6 *)", "day of week"),
        ("cron(0 6 ? * +1 *)", "day of week"),
        ("cron(0 6 * * ? 1969)", "year"),
        ("cron(0 6 30 2 ? *)", "never runs"),
        ("at(2026-11-20 06:00:00)", "yyyy-mm-ddThh:mm:ss"),
        ("at(2026-13-20T06:00:00)", "yyyy-mm-ddThh:mm:ss"),
    ];
    for (expression, says) in wrong {
        let error = expression
            .parse::<ScheduleExpression>()
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{expression}: {error}");
    }
}
