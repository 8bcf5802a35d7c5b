//! Queues: Amazon SQS and the embedded queue of a laptop.
