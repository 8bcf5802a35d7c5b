//! What the bridge reaches: queues, and a bucket for values that are too large for a message.

use std::time::Duration;

use domain::time::UtcMillis;
use files::{FileAddress, FileError, Files, Overwrite};
use queues::{Outbox, Queues, SendError, SentMessage};

/// Queues, bucket and clock; the simulation has its own.
pub trait Outside {
    /// Sends within `time` and answers for each message, in the order given; of a FIFO group
    /// nothing is sent after a message that was not.
    fn send<O: Outbox + ?Sized>(
        &self,
        queue_url: &str,
        outbox: &O,
        time: Duration,
    ) -> impl Future<Output = Vec<Result<SentMessage, SendError>>>;

    /// Writes a value that is too large for a message; the same one again changes nothing.
    ///
    /// # Errors
    /// When it was not written.
    fn put_value(
        &self,
        address: &FileAddress,
        value: Vec<u8>,
    ) -> impl Future<Output = Result<(), FileError>>;

    /// Waits.
    fn pause(&self, length: Duration) -> impl Future<Output = ()>;

    /// The time.
    fn now(&self) -> UtcMillis;
}

/// The real ones.
pub struct Parts {
    queues: Queues,
    files: Files,
}

impl Parts {
    /// From what the cold start opened.
    #[must_use]
    pub const fn new(queues: Queues, files: Files) -> Self {
        Self { queues, files }
    }
}

impl Outside for Parts {
    async fn send<O: Outbox + ?Sized>(
        &self,
        queue_url: &str,
        outbox: &O,
        time: Duration,
    ) -> Vec<Result<SentMessage, SendError>> {
        let now_ms = self.now().get();
        self.queues
            .send_within(queue_url, outbox, now_ms, time)
            .await
    }

    async fn put_value(&self, address: &FileAddress, value: Vec<u8>) -> Result<(), FileError> {
        let kind = "application/octet-stream";
        self.files
            .put(address, value, kind, Overwrite::Replace)
            .await
    }

    async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    fn now(&self) -> UtcMillis {
        lambda_kit::clock::now()
    }
}
