-- Proof of each deletion: a pseudonym, when and what, chained by hash.
CREATE TABLE IF NOT EXISTS erasure_receipts (
    place BIGINT NOT NULL PRIMARY KEY,
    consumer VARCHAR(64) NOT NULL,
    subject VARCHAR(32) NOT NULL,
    erased_ms BIGINT NOT NULL,
    erased VARCHAR(200) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    previous_hash VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL
);
