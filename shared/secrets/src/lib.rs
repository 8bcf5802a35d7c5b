//! Secrets and settings: .env in dev, Secrets Manager in prod.
