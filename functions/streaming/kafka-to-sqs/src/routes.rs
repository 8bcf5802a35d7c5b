//! Which topic goes to which queue: the one table, from the template.

use std::collections::BTreeMap;

/// The topic whose records are personal data: it never lies in a queue.
const PERSONAL_TOPIC: &str = "clientes";

/// Queue URLs by topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicQueues(BTreeMap<String, String>);

/// Why the table can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// It is not of the form that the template has.
    #[error("TOPIC_QUEUES must be a JSON object from topic to queue URL: mend it in template.yaml")]
    Malformed,
    /// It has no entry.
    #[error("TOPIC_QUEUES is empty: no record would ever leave; mend it in template.yaml")]
    Empty,
    /// It names the customers.
    #[error("TOPIC_QUEUES names clientes, which carries personal data: take it out")]
    Personal,
}

impl TopicQueues {
    /// Reads the table of the template.
    ///
    /// # Errors
    /// When it is malformed or empty, or names the topic of customers.
    pub fn parse(json: &str) -> Result<Self, RoutesError> {
        let table: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|_| RoutesError::Malformed)?;
        if table.is_empty() {
            Err(RoutesError::Empty)
        } else if table.contains_key(PERSONAL_TOPIC) {
            Err(RoutesError::Personal)
        } else {
            Ok(Self(table))
        }
    }

    /// The queue of a topic.
    pub(crate) fn of(&self, topic: &str) -> Option<&str> {
        self.0.get(topic).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_entries_and_no_customers() {
        assert_eq!(TopicQueues::parse("[]"), Err(RoutesError::Malformed));
        assert_eq!(TopicQueues::parse("{}"), Err(RoutesError::Empty));
        let personal = TopicQueues::parse(r#"{"pedidos":"q","clientes":"q"}"#);
        assert_eq!(personal, Err(RoutesError::Personal));
        let table = TopicQueues::parse(r#"{"pedidos":"q"}"#).unwrap();
        assert_eq!((table.of("pedidos"), table.of("outro")), (Some("q"), None));
    }
}
