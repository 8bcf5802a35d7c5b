//! Why a command stopped, in a sentence for the person who ran it.
use std::error::Error;
use std::fmt;

/// A sentence that says what went wrong and, where known, what to do.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What a command or a step of it ends with.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

// `Failure` is no `Error` itself, so that `?` takes every error there is.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
