//! The JSON that AWS hands to functions, one file per source.

pub mod kafka;
pub mod s3;
pub mod schedule;
pub mod sqs;
