-- When the last poll of a warehouse's API began that brought everything, by a hash of its address.
CREATE TABLE IF NOT EXISTS stock_polls (
    source VARCHAR(64) NOT NULL PRIMARY KEY,
    begun_ms BIGINT NOT NULL
);
