//! What neither SAM nor cfn-lint tells about a template, checked before it is deployed.

mod access;
mod crates;
mod limits;
mod triggers;
mod watching;

use std::fmt;

use crate::template::Template;

/// What a finding is about. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A schedule expression or time zone that `EventBridge` refuses.
    ScheduleSyntax,
    /// A schedule that does not pass the time it was meant for, so that a retry works for another
    /// day.
    ScheduledTime,
    /// A batch that SQS or Lambda refuses.
    BatchSize,
    /// A message that becomes visible again while its function still works on it.
    Visibility,
    /// A queue, or an asynchronous invocation, whose failures are lost.
    DeadLetters,
    /// A batch of which one bad message fails its neighbours.
    PartialBatch,
    /// A route without scopes, scopes without a route, or a route whose guard is not asked.
    Scopes,
    /// A route that a page of an allowed origin cannot call.
    Cors,
    /// More instances than the database has connections.
    Connections,
    /// A function that would start itself by the files it writes.
    OwnTrigger,
    /// The topic of customers would lie in a queue.
    PersonalTopic,
    /// A topic that the bridge reads and has no queue for.
    TopicQueues,
    /// A policy that allows more than it names.
    Wildcard,
    /// A permission that a trigger or a variable needs and the role lacks, or a role for two.
    Permission,
    /// A function whose log has no end, or is another's too.
    Logs,
    /// A function whose failures nobody hears of.
    Alarms,
    /// A function without its crate, a crate without its function, or a wrong name.
    Crate,
    /// A function without event files, event files without a function, or a file that is no JSON.
    Events,
    /// More resources than one stack holds.
    ResourceLimit,
}

impl Rule {
    /// The rule's name as it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScheduleSyntax => "schedule-syntax",
            Self::ScheduledTime => "scheduled-time",
            Self::BatchSize => "batch-size",
            Self::Visibility => "visibility",
            Self::DeadLetters => "dead-letters",
            Self::PartialBatch => "partial-batch",
            Self::Scopes => "scopes",
            Self::Cors => "cors",
            Self::Connections => "connections",
            Self::OwnTrigger => "own-trigger",
            Self::PersonalTopic => "personal-topic",
            Self::TopicQueues => "topic-queues",
            Self::Wildcard => "wildcard",
            Self::Permission => "permission",
            Self::Logs => "logs",
            Self::Alarms => "alarms",
            Self::Crate => "crate",
            Self::Events => "events",
            Self::ResourceLimit => "resource-limit",
        }
    }
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is about.
    pub rule: Rule,
    /// The resource, and the event in it where there is one.
    pub place: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}: {}",
            self.rule.name(),
            self.place,
            self.what
        )
    }
}

/// Everything to mend in a template, in order of rule and place; empty when it is right.
///
/// Reads the folder of the template for the crates under functions/ and the files under events/.
pub fn check(template: &Template) -> Vec<Finding> {
    let mut findings = Findings::default();
    triggers::check(template, &mut findings);
    access::check(template, &mut findings);
    limits::check(template, &mut findings);
    watching::check(template, &mut findings);
    crates::check(template, &mut findings);
    findings.0.sort();
    findings.0
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: Rule, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Finding {
            rule,
            place: place.into(),
            what: what.into(),
        });
    }
}
