//! `cargo xtask check`: everything that is true of the sources without running them.
use std::process::Stdio;
use std::time::{Duration, Instant};

use sam_template::Template;
use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::run_shown;
use crate::terminal::{cargo, seconds};
use crate::tools::{self, AWS};
use crate::workspace_root;

const QUICK_LIMIT: Duration = Duration::from_secs(300);
const CLIPPY_LIMIT: Duration = Duration::from_secs(1800);
const NETWORK_LIMIT: Duration = Duration::from_secs(60);
const TEMPLATE: &str = "template.yaml";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fail where a tool (sam, cfn-lint, cargo-deny) cannot be had, instead of saying so
    #[arg(long)]
    require_tools: bool,
}

/// How a check ended.
enum Verdict {
    Passed,
    Failed(Failure),
    /// The tool cannot be had here.
    Skipped(Failure),
}

pub(crate) async fn run(options: Options) -> Outcome {
    let mut report = Report {
        failed: Vec::new(),
        skipped: Vec::new(),
        before: Instant::now(),
    };
    report.add("rustfmt", rustfmt().await);
    report.add("template.yaml by our own rules", own_rules());
    report.add("sam validate --lint", aws_tool("sam", SAM_VALIDATE).await);
    report.add("cfn-lint", aws_tool("cfn-lint", CFN_LINT).await);
    report.add(
        "cargo deny check licenses bans sources",
        deny(DENY_OFFLINE, QUICK_LIMIT).await,
    );
    report.add("cargo deny check advisories", advisories().await);
    report.add("clippy with warnings denied", clippy().await);
    report.verdict(options.require_tools)
}

struct Report {
    failed: Vec<&'static str>,
    skipped: Vec<&'static str>,
    /// When the check before ended.
    before: Instant,
}

impl Report {
    /// Tells how a check ended; the checks after it run all the same.
    fn add(&mut self, name: &'static str, verdict: Verdict) {
        let taken = seconds(self.before.elapsed());
        self.before = Instant::now();
        match verdict {
            Verdict::Passed => println!("ok: {name}, {taken}"),
            Verdict::Failed(failure) => {
                println!("FAILED: {name}, {taken}: {failure}");
                self.failed.push(name);
            }
            Verdict::Skipped(failure) => {
                println!("not checked: {name}: {failure}");
                self.skipped.push(name);
            }
        }
    }

    fn verdict(self, require_tools: bool) -> Outcome {
        let mut wrong = self.failed;
        // The advisories need GitHub, which a machine may not reach: told, never required.
        if require_tools {
            wrong.extend(
                self.skipped
                    .into_iter()
                    .filter(|name| !name.ends_with("advisories")),
            );
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!("failed: {}", wrong.join("; "))))
        }
    }
}

fn verdict_of(outcome: Outcome) -> Verdict {
    outcome.map_or_else(Verdict::Failed, |()| Verdict::Passed)
}

/// What SAM and cfn-lint let pass: schedules, batches, visibility, dead letters, permissions.
fn own_rules() -> Verdict {
    let template = match Template::read(&workspace_root().join(TEMPLATE)) {
        Ok(template) => template,
        Err(error) => return Verdict::Failed(Failure::from(error)),
    };
    let findings = sam_template::check(&template);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Verdict::Passed,
        1 => Verdict::Failed(Failure::new("1 thing to mend")),
        found => Verdict::Failed(Failure::new(format!("{found} things to mend"))),
    }
}

async fn rustfmt() -> Verdict {
    let mut command = cargo("fmt");
    command.args(["--all", "--", "--check"]);
    let outcome = run_shown("cargo fmt", command, QUICK_LIMIT).await;
    verdict_of(outcome.map_err(|failure| Failure::new(format!("{failure}: run `cargo fmt --all`"))))
}

async fn clippy() -> Verdict {
    let mut command = cargo("clippy");
    command.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    verdict_of(run_shown("cargo clippy", command, CLIPPY_LIMIT).await)
}

const SAM_VALIDATE: &[&str] = &[
    "validate",
    "--lint",
    "--template",
    TEMPLATE,
    "--region",
    "sa-east-1",
];
const CFN_LINT: &[&str] = &["--regions", "sa-east-1", "--", TEMPLATE];

async fn aws_tool(program: &str, arguments: &[&str]) -> Verdict {
    let bin = match AWS.ready().await {
        Ok(bin) => bin,
        Err(failure) => return Verdict::Skipped(failure),
    };
    let mut command = Command::new(bin.join(program));
    command.args(arguments).current_dir(workspace_root());
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    verdict_of(run_shown(program, command, QUICK_LIMIT).await)
}

const DENY_OFFLINE: &[&str] = &[
    "--offline",
    "check",
    "--hide-inclusion-graph",
    "licenses",
    "bans",
    "sources",
];
const DENY_ADVISORIES: &[&str] = &["check", "advisories"];

async fn deny(arguments: &[&str], limit: Duration) -> Verdict {
    let program = match tools::cargo_deny().await {
        Ok(program) => program,
        Err(failure) => return Verdict::Skipped(failure),
    };
    // It reads the crates of every platform, and a build has fetched this one's.
    let mut fetch = cargo("fetch");
    fetch.arg("--quiet").current_dir(workspace_root());
    if let Err(failure) = run_shown("cargo fetch", fetch, limit).await {
        return Verdict::Skipped(failure);
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace_root());
    verdict_of(run_shown("cargo deny", command, limit).await)
}

/// The advisory database is a git repository on GitHub; where that is out of reach this is told.
async fn advisories() -> Verdict {
    const DATABASE: &str = "https://github.com/RustSec/advisory-db";
    let mut probe = Command::new("git");
    probe
        .args(["ls-remote", "--exit-code", DATABASE, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0");
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    if run_shown("git ls-remote", probe, NETWORK_LIMIT)
        .await
        .is_err()
    {
        return Verdict::Skipped(Failure::new(format!("{DATABASE} cannot be reached")));
    }
    deny(DENY_ADVISORIES, QUICK_LIMIT).await
}
