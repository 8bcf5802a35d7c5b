//! Which event goes where: the one table, from the template.

use std::collections::BTreeMap;

/// Queue URLs by event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRoutes(BTreeMap<String, Vec<String>>);

/// Why the table can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// It is not of the form that the template has.
    #[error(
        "EVENT_ROUTES must be a JSON object from event type to a list of queue URLs: mend it in template.yaml"
    )]
    Malformed,
    /// It has no entry.
    #[error("EVENT_ROUTES is empty: no event would ever leave; mend it in template.yaml")]
    Empty,
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
            Err(RoutesError::Empty)
        } else {
            Ok(Self(table))
        }
    }

    /// The event types that have a route.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Where events of this type go.
    #[must_use]
    pub fn queues(&self, event_type: &str) -> &[String] {
        self.0
            .get(event_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
