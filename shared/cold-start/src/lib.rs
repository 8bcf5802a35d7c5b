//! What a function builds once, before its first event.
