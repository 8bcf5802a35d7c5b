//! What the command line says when something cannot go on, and with which exit code.

use std::fmt::Display;

/// A sentence for the person at the terminal that says what to mend.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// The sentence, without a final line break.
    pub sentence: String,
    /// The process's exit code: 2 for what the person must mend first, 1 for work that failed.
    pub exit_code: u8,
}

impl Failure {
    /// Something in the folder, the template or the settings has to be mended first: exit code 2.
    pub fn mend(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            exit_code: 2,
        }
    }

    /// The work was tried and failed: exit code 1.
    pub fn work(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            exit_code: 1,
        }
    }
}

/// Turns any error into a [`Failure`] that says what was being done.
pub trait OrFailure<T> {
    /// Exit code 2: `what` names the thing to mend.
    ///
    /// # Errors
    /// The failure made of `what` and the error's own text.
    fn or_mend(self, what: impl FnOnce() -> String) -> Result<T, Failure>;

    /// Exit code 1: `what` names the work that failed.
    ///
    /// # Errors
    /// The failure made of `what` and the error's own text.
    fn or_work(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Display> OrFailure<T> for Result<T, E> {
    fn or_mend(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::mend(format!("{}: {error}", what())))
    }

    fn or_work(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::work(format!("{}: {error}", what())))
    }
}
