//! Anchors the day's audit heads.
