-- Domain events on their way out, ordered by version within an aggregate.
CREATE TABLE IF NOT EXISTS outbox (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    shard INTEGER NOT NULL,
    aggregate_key VARCHAR(90) NOT NULL,
    version BIGINT NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    payload TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX outbox_by_age ON outbox (shard, created_ms);
CREATE INDEX outbox_by_key ON outbox (shard, aggregate_key, version);

CREATE TABLE IF NOT EXISTS outbox_shards (
    shard INTEGER NOT NULL PRIMARY KEY,
    holder VARCHAR(26) NOT NULL,
    leased_until_ms BIGINT NOT NULL
);

-- The mark that a message was handled, in the transaction of its effect; kept for 35 days.
CREATE TABLE IF NOT EXISTS handled_messages (
    consumer VARCHAR(64) NOT NULL,
    message_id VARCHAR(200) NOT NULL,
    handled_ms BIGINT NOT NULL,
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX handled_messages_by_age ON handled_messages (handled_ms);

-- The stored answer of a request with Idempotency-Key; kept for 24 hours.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    principal VARCHAR(64) NOT NULL,
    route VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(128) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (principal, route, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_ms);
