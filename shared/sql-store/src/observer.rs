//! Where a run can be watched, or cut off, between any two statements.

/// A point in a use case between which nothing else reaches the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point<'a> {
    /// The statement (or `BEGIN`, `COMMIT`) is about to be sent.
    Before(&'a str),
    /// The database has answered it.
    After(&'a str),
}

/// Sees every point. The fault simulation uses it to end the run there; production has none.
pub trait StatementObserver: Send + Sync {
    /// True cuts the run off here, as a killed process would be: the use case never goes on.
    fn cuts_at(&self, point: Point<'_>) -> bool;
}
