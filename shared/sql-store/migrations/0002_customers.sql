-- Customers as the company's system or our registration knows them. A deleted one keeps its id,
-- its highest version and nothing personal, so that a late older change can't bring it back.
CREATE TABLE IF NOT EXISTS customers (
    customer_id VARCHAR(64) NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    source_partition INTEGER,
    source_offset BIGINT,
    deleted INTEGER NOT NULL,
    name VARCHAR(200),
    cpf VARCHAR(11),
    email VARCHAR(254),
    phone VARCHAR(16),
    region VARCHAR(2),
    consented_ms BIGINT,
    registered_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
