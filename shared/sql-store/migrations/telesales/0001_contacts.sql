-- Whom telesales may call. Nothing else of a customer fits in here: name, phone and region, and of a
-- deleted one a pseudonym with its version, so that no older change revives it. subject is the HMAC
-- of the customer's id, phone_mark that of the phone.
CREATE TABLE IF NOT EXISTS contacts (
    subject VARCHAR(32) NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    source_partition INTEGER,
    source_offset BIGINT,
    recorded_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    deleted INTEGER NOT NULL,
    name VARCHAR(200),
    phone VARCHAR(16),
    region VARCHAR(2),
    phone_mark VARCHAR(32)
);
CREATE INDEX contacts_by_region ON contacts (region, subject);
CREATE INDEX contacts_by_change ON contacts (changed_ms, subject);

-- Who calls whom, and how the last call ended.
CREATE TABLE IF NOT EXISTS calls (
    subject VARCHAR(32) NOT NULL PRIMARY KEY,
    agent VARCHAR(64),
    claimed_until_ms BIGINT NOT NULL,
    outcome VARCHAR(16),
    outcome_ms BIGINT
);

-- Phones whose owners asked not to be called, as HMACs: they survive updates and erasure.
CREATE TABLE IF NOT EXISTS do_not_call (
    phone_mark VARCHAR(32) NOT NULL PRIMARY KEY,
    since_ms BIGINT NOT NULL
);

-- Every look at a contact: who, whom, when, what for.
CREATE TABLE IF NOT EXISTS access_log (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    agent VARCHAR(64) NOT NULL,
    subject VARCHAR(32) NOT NULL,
    purpose VARCHAR(16) NOT NULL,
    accessed_ms BIGINT NOT NULL
);
CREATE INDEX access_log_by_age ON access_log (accessed_ms);

-- Contacts that an agent saw in an hour.
CREATE TABLE IF NOT EXISTS agent_hours (
    agent VARCHAR(64) NOT NULL,
    hour_ms BIGINT NOT NULL,
    contacts BIGINT NOT NULL,
    PRIMARY KEY (agent, hour_ms)
);
CREATE INDEX agent_hours_by_age ON agent_hours (hour_ms);
