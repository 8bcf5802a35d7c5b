//! Copies the company's customers into database 1.
