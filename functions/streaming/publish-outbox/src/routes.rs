//! Which event goes where: the one table, from the template.

use std::collections::BTreeMap;

/// What a topic's name stands behind in the table.
const TOPIC: &str = "kafka:";

/// Targets by event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRoutes(BTreeMap<String, Vec<Target>>);

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The URL of a queue.
    Queue(String),
    /// The name of a Kafka topic.
    Topic(String),
}

/// Why the table can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// It is not of the form that the template has.
    #[error(
        "EVENT_ROUTES must be a JSON object from event type to a list of queue URLs and kafka:<topic>: mend it in template.yaml"
    )]
    Malformed,
    /// It has no entry.
    #[error("EVENT_ROUTES is empty: no event would ever leave; mend it in template.yaml")]
    Empty,
    /// It names a topic, and there is no Kafka.
    #[error("EVENT_ROUTES names a topic: set KAFKA_BROKERS, or take it out of template.yaml")]
    NoKafka,
}

impl EventRoutes {
    /// Reads the table of the template.
    ///
    /// # Errors
    /// When it is malformed or empty.
    pub fn parse(json: &str) -> Result<Self, RoutesError> {
        let table: BTreeMap<String, Vec<String>> =
            serde_json::from_str(json).map_err(|_| RoutesError::Malformed)?;
        if table.is_empty() {
            return Err(RoutesError::Empty);
        }
        let table = table.into_iter().map(|(event_type, targets)| {
            let targets = targets.into_iter().map(Target::parse);
            Ok((event_type, targets.collect::<Result<_, _>>()?))
        });
        table.collect::<Result<_, _>>().map(Self)
    }

    /// The event types that have a route. One with an empty list goes nowhere by intention.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Where events of this type go.
    #[must_use]
    pub fn targets(&self, event_type: &str) -> &[Target] {
        self.0
            .get(event_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Whether Kafka is needed.
    #[must_use]
    pub fn has_topics(&self) -> bool {
        let mut all = self.0.values().flatten();
        all.any(|target| matches!(target, Target::Topic(_)))
    }
}

impl Target {
    fn parse(text: String) -> Result<Self, RoutesError> {
        match text.strip_prefix(TOPIC) {
            Some("") => Err(RoutesError::Malformed),
            Some(topic) => Ok(Self::Topic(topic.to_owned())),
            None => Ok(Self::Queue(text)),
        }
    }
}
