//! What is broken before the start stops it, with a sentence that says what to mend.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::shop::SECRET;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(TEMPLATE, folder.path().join("template.yaml")).expect("copies");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("writes");
    }

    fn feira(&self, arguments: &[&str]) -> Output {
        Command::new(testkit::function_binaries().join("feira-local"))
            .args(["--no-build", "--port", "0", "--state-dir"])
            .arg(self.path().join("estado"))
            .args(arguments)
            .env_remove("DATABASE_URL_LOCAL")
            .stdin(Stdio::null())
            .current_dir(self.path())
            .output()
            .expect("runs")
    }

    /// Ends with 2 and one sentence that has `mend` in it, and shows neither a value nor the inside.
    fn assert_refuses(&self, what: &str, arguments: &[&str], mend: &str) {
        let output = self.feira(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(
            said.contains(mend),
            "{what}: {said:?} does not say {mend:?}"
        );
        for word in [SECRET, "panicked", "RUST_BACKTRACE", ".rs:"] {
            assert!(!said.contains(word), "{what} shows {word}: {said}");
        }
        assert!(said.trim().lines().count() <= 3, "{what}: {said}");
    }
}

#[test]
fn a_broken_template_stops_the_start() {
    let folder = Folder::new();
    let right = std::fs::read_to_string(TEMPLATE).expect("the template");
    let changed = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        right.replacen(from, to, 1)
    };
    let cases = [
        ("no YAML", "{ broken: [".to_owned(), "not valid YAML"),
        ("a list", "- a\n- b\n".to_owned(), "add one"),
        ("empty", String::new(), "add one"),
        ("without functions", "Resources: {}".to_owned(), "add one"),
        (
            "a rate",
            changed("rate(1 minute)", "rate(1 minuts)"),
            "write rate(1 minute)",
        ),
        (
            "a cron",
            changed("cron(0 3 * * ? *)", "cron(0 3 * *)"),
            "cron",
        ),
        (
            "a route without scopes",
            changed("        CreateCampaign: [mgm:admin]\n", ""),
            "Metadata.Scopes",
        ),
        (
            "an authorizer that is not there",
            changed(
                "!GetAtt AuthorizeFunction.Arn",
                "!GetAtt NoSuchFunction.Arn",
            ),
            "NoSuchFunction",
        ),
    ];
    for (what, template, mend) in cases {
        folder.write("quebrado.yaml", &template);
        folder.assert_refuses(what, &["--template", "quebrado.yaml"], mend);
    }
    folder.assert_refuses("no file", &["--template", "nenhum.yaml"], "nenhum.yaml");
    let unknown = ["--parameter", "Nenhum=1"];
    folder.assert_refuses("an unknown parameter", &unknown, "Nenhum");
    let stage = ["--parameter", "Stage=homologacao"];
    folder.assert_refuses("an unknown stage", &stage, "prod, dev");
}

#[test]
fn a_broken_event_job_or_date_stops_the_command() {
    let folder = Folder::new();
    folder.write("quebrado.json", &format!("{{\"cpf\": \"{SECRET}\""));
    folder.write("certo.json", "{}");
    let function = "RedeemVoucherFunction";
    for (what, arguments, mend) in [
        (
            "no JSON",
            vec!["invoke", function, "quebrado.json"],
            "quebrado.json",
        ),
        (
            "no file",
            vec!["invoke", function, "nenhum.json"],
            "nenhum.json",
        ),
        (
            "no function",
            vec!["invoke", "NoFunction", "certo.json"],
            "NoFunction",
        ),
        ("no job", vec!["run", "nenhum"], "mgm_set_promoters"),
        (
            "no date",
            vec!["run", "mgm_set_promoters", "--date", "ontem"],
            "2026-11-20",
        ),
        (
            "a date to come",
            vec!["run", "mgm_set_promoters", "--date", "9998-12-31"],
            "lies after today",
        ),
        ("no queue", vec!["send", "NoQueue", "certo.json"], "NoQueue"),
        (
            "no key",
            vec!["produce", "clientes", "--key", "id_cliente", "certo.json"],
            "line 1: it has no id_cliente",
        ),
        (
            "no topic",
            vec!["produce", "nenhum", "certo.json"],
            "nenhum",
        ),
    ] {
        folder.assert_refuses(what, &arguments, mend);
    }
}

#[test]
fn a_broken_url_or_secret_stops_the_start() {
    let folder = Folder::new();
    let url = |url: &str| format!("DATABASE_URL_LOCAL={url}\n");
    for (what, dotenv, mend) in [
        ("no URL", url(SECRET), "DATABASE_URL_LOCAL"),
        (
            "another database",
            url(&format!("postgres://u:{SECRET}@h/x")),
            "DATABASE_URL_LOCAL",
        ),
        (
            "a port",
            url(&format!("mysql+aiomysql://u:{SECRET}@h:99999/x")),
            "65535",
        ),
        (
            "no name",
            url(&format!("mysql://u:{SECRET}@h:3306")),
            "DATABASE_URL_LOCAL",
        ),
        (
            "nobody there",
            url(&format!("mysql://u:{SECRET}@127.0.0.1:1/x")),
            "not reachable",
        ),
        (
            "no folder",
            url("sqlite:///nenhuma/pasta/x.sqlite"),
            "is there such a folder?",
        ),
        (
            "no URI of MongoDB",
            format!("MONGODB_URI=mongodb://u:{SECRET}@h:port/x\n"),
            "MONGODB_URI must be",
        ),
        (
            "no MongoDB there",
            format!("MONGODB_URI=mongodb://u:{SECRET}@127.0.0.1:1/x\n"),
            "MongoDB is not reachable",
        ),
        ("no pair", format!("{SECRET} sem igual\n"), "Line 1"),
        ("a quote", format!("A=1\nB='{SECRET}\n"), "Line 2"),
        (
            "a short key",
            format!("REF_SIGNING_KEY={SECRET}\n"),
            "REF_SIGNING_KEY",
        ),
        (
            "no base64",
            "DEAD_LETTER_KEY=%%%\n".to_owned(),
            "DEAD_LETTER_KEY",
        ),
    ] {
        folder.write(".env", &dotenv);
        folder.assert_refuses(what, &[], mend);
        let said = String::from_utf8_lossy(&folder.feira(&[]).stderr).into_owned();
        assert!(
            !said.contains(".env.merged"),
            "{what}: that file is not theirs to mend: {said}"
        );
    }
}

/// A deployed function's cold start with these variables: what it logs as its reason.
fn cold_start(variables: &[(&str, &str)]) -> String {
    let output = Command::new(testkit::function_binaries().join("open-referral-link"))
        .env_clear()
        // Nobody listens there: the function ends with its reason in the log.
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .env("AWS_REGION", "sa-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .expect("runs");
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn settings_that_are_wrong_stop_a_functions_cold_start() {
    let folder = Folder::new();
    folder.write(
        "dois.env",
        &format!("DATABASE_URL_LOCAL=sqlite://{SECRET}.sqlite\n"),
    );
    let dotenv = folder.path().join("dois.env").display().to_string();
    let prod = [
        ("STAGE", "prod"),
        ("ENVIRONMENT", SECRET),
        ("APP_SECRET_ID", "x"),
    ];
    for (variables, reasons) in [
        (&[][..], &["STAGE must be dev"][..]),
        (&[("STAGE", SECRET)], &["STAGE must be dev"]),
        (&prod, &["ENVIRONMENT must be development", "or production"]),
        (
            &[("STAGE", "dev"), ("FEIRA_DOTENV", &dotenv)],
            &["REF_SIGNING_KEY, PSEUDONYM_KEY"],
        ),
    ] {
        let said = cold_start(variables);
        assert!(said.contains("cold start failed"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
        for reason in reasons {
            assert!(said.contains(reason), "{said} does not say {reason}");
        }
    }
}
