//! Files: Amazon S3 and a folder.
