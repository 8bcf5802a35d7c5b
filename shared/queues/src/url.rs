//! How a queue is addressed, and which part an address belongs to.

use crate::error::QueueError;

/// What every address of an embedded queue starts with.
pub const EMBEDDED_SCHEME: &str = "feira://queues/";

/// The address of the embedded queue of this name.
#[must_use]
pub fn embedded_queue_url(name: &str) -> String {
    format!("{EMBEDDED_SCHEME}{name}")
}

/// The queue's name in an embedded address; `None` for any other address.
#[must_use]
pub fn embedded_queue_name(queue_url: &str) -> Option<&str> {
    queue_url
        .strip_prefix(EMBEDDED_SCHEME)
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Whether the address names a FIFO queue: on SQS the name says it by its ending.
pub(crate) fn is_fifo_url(queue_url: &str) -> bool {
    queue_url.ends_with(".fifo")
}

/// Lets only web addresses through to SQS.
pub(crate) fn require_sqs(queue_url: &str) -> Result<(), QueueError> {
    if queue_url.starts_with(EMBEDDED_SCHEME) {
        return Err(QueueError::EmbeddedRefused);
    }
    if queue_url.starts_with("https://") || queue_url.starts_with("http://") {
        return Ok(());
    }
    Err(QueueError::NotAQueueUrl)
}

/// Lets only embedded addresses through and gives the queue's name.
pub(crate) fn require_embedded(queue_url: &str) -> Result<&str, QueueError> {
    embedded_queue_name(queue_url).ok_or(QueueError::NotEmbedded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_address_gives_its_name_back() {
        assert_eq!(
            embedded_queue_name(&embedded_queue_url("Pedidos.fifo")),
            Some("Pedidos.fifo")
        );
        assert_eq!(embedded_queue_name("feira://queues/"), None);
        assert_eq!(embedded_queue_name("feira://queues/a/b"), None);
        assert_eq!(
            embedded_queue_name("https://sqs.us-east-1.amazonaws.com/1/a"),
            None
        );
    }

    #[test]
    fn sqs_never_takes_an_embedded_address() {
        assert!(matches!(
            require_sqs("feira://queues/a"),
            Err(QueueError::EmbeddedRefused)
        ));
        assert!(matches!(require_sqs("a"), Err(QueueError::NotAQueueUrl)));
        assert!(require_sqs("https://sqs.us-east-1.amazonaws.com/1/a").is_ok());
    }
}
