//! How a handler meets Lambda: triggers, problems, logs, metrics, partial failures.
