//! What can go wrong with a queue; no variant carries a body, a key or a credential.

/// Why one message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The body is empty; SQS takes at least one character.
    #[error("the message's body is empty")]
    EmptyBody,
    /// The body holds a character outside XML's; SQS refuses it (send binary as base64).
    #[error("the message's body holds a character that queues refuse")]
    IllegalCharacter,
    /// The body is larger than a message may be.
    #[error("the message has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Size of the body in bytes.
        bytes: usize,
        /// The most that a message may have, in bytes.
        limit: usize,
    },
    /// A FIFO queue needs a group.
    #[error("a message for a FIFO queue needs a group id")]
    MissingGroup,
    /// A FIFO queue without content-based deduplication needs a deduplication id.
    #[error("a message for a FIFO queue needs a deduplication id")]
    MissingDeduplication,
    /// Group and deduplication ids have 1 to 128 letters, digits and punctuation characters.
    #[error("a group or deduplication id has 1 to 128 letters, digits and punctuation characters")]
    InvalidIdentifier,
    /// A standard queue takes no deduplication id.
    #[error("a standard queue takes no deduplication id")]
    UnexpectedDeduplication,
    /// The delay is longer than 900 seconds, or the queue is FIFO and takes none per message.
    #[error("the delay is longer than 900 s or the queue is FIFO and takes none per message")]
    InvalidDelay,
    /// An earlier message of the same FIFO group was not sent, so this one waits for it.
    #[error("held back behind an earlier message of its group")]
    HeldBack,
    /// The queue refused the message and would refuse it again.
    #[error("the queue refused the message ({code})")]
    Refused {
        /// SQS's error code.
        code: String,
    },
    /// Every attempt failed for reasons that pass.
    #[error("the queue could not be reached or did not take the message ({code})")]
    Unavailable {
        /// SQS's error code, or the kind of failure.
        code: String,
    },
    /// The address, the queue or the queue's file is wrong; nothing was sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl SendError {
    /// Whether the same message may be sent with success later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::HeldBack | Self::Unavailable { .. } => true,
            Self::Queue(error) => error.is_transient(),
            Self::EmptyBody
            | Self::IllegalCharacter
            | Self::TooLarge { .. }
            | Self::MissingGroup
            | Self::MissingDeduplication
            | Self::InvalidIdentifier
            | Self::UnexpectedDeduplication
            | Self::InvalidDelay
            | Self::Refused { .. } => false,
        }
    }
}

/// Why an operation on a queue failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A process on SQS was given the address of an embedded queue.
    #[error("feira:// queues exist in STAGE=dev only: give this function the queue's SQS URL")]
    EmbeddedRefused,
    /// A process with embedded queues was given another address.
    #[error("STAGE=dev uses embedded queues: the queue's address must be feira://queues/<Name>")]
    NotEmbedded,
    /// The address is no URL of a queue.
    #[error("a queue is addressed by its https:// URL; this address is none")]
    NotAQueueUrl,
    /// No queue of this name was ever defined.
    #[error("the queue {name} does not exist; cargo local defines the queues of template.yaml")]
    UnknownQueue {
        /// The queue's name.
        name: String,
    },
    /// A definition contradicts itself, the other definitions or what the queue holds.
    #[error("the queue {name} cannot be defined: {reason}")]
    InvalidDefinition {
        /// The queue's name.
        name: String,
        /// What to mend.
        reason: &'static str,
    },
    /// SQS refused the request and would refuse it again.
    #[error("SQS refused the request ({code})")]
    Refused {
        /// SQS's error code.
        code: String,
    },
    /// SQS was not reached or asked to come back later.
    #[error("SQS could not be reached ({code})")]
    Unavailable {
        /// SQS's error code, or the kind of failure.
        code: String,
    },
    /// The queue file could not be opened, read or written.
    #[error("the queue file failed: {reason}")]
    File {
        /// SQLite's own words, which quote no value.
        reason: String,
        /// Whether another process held the file for too long.
        busy: bool,
    },
}

impl QueueError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::File { busy, .. } => *busy,
            Self::EmbeddedRefused
            | Self::NotEmbedded
            | Self::NotAQueueUrl
            | Self::UnknownQueue { .. }
            | Self::InvalidDefinition { .. }
            | Self::Refused { .. } => false,
        }
    }
}
