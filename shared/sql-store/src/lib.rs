//! The SQL store: one set of queries for SQLite and MySQL, with migrations and transactions.
