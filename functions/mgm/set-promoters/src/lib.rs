//! Makes promoters of eligible customers.
