//! Runs a consumer as a process of its own: ECS, Kubernetes, any machine with Kafka.
//!
//! One thread polls Kafka and reads the records where librdkafka holds them, the other applies
//! batches to the store. Offsets are committed when the store's transaction has, so that what is
//! cut off comes again, and coming again changes nothing.
//!
//! Architecture invariant: a record's bytes are never copied; its dead letter is sealed.

mod health;
mod letters;
mod poller;
mod replay;
mod runner;
mod settings;

pub use kafka_settings::BadSettings;
pub use letters::{KafkaDeadLetters, LETTER_DAYS, LONGEST_LETTER_DAYS};
pub use replay::{Replayed, replay_letters};
pub use runner::{Keys, RunError, run, start, stop_on_signal};
pub use settings::Settings;
