//! Asynchronous invocation of another function.
