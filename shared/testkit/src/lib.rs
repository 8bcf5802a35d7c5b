//! Real parts and builders for tests.
