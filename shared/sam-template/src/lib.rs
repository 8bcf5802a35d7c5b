//! template.yaml, read into types and checked.
