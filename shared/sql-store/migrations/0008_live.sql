-- The events of the last 14 days, by the hash of their identity and of what they said.
CREATE TABLE IF NOT EXISTS ingested_events (
    event_key VARCHAR(32) NOT NULL PRIMARY KEY,
    content_hash BIGINT NOT NULL,
    ingested_ms BIGINT NOT NULL
);
CREATE INDEX ingested_events_by_age ON ingested_events (ingested_ms);

-- Events that came with the identity of another one and said something else.
CREATE TABLE IF NOT EXISTS conflicting_events (
    event_key VARCHAR(32) NOT NULL,
    content_hash BIGINT NOT NULL,
    content TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (event_key, content_hash)
);
CREATE INDEX conflicting_events_by_age ON conflicting_events (received_ms);

-- What each batch of events was. Nobody changes a row of another batch.
CREATE TABLE IF NOT EXISTS event_batches (
    batch_id VARCHAR(26) NOT NULL PRIMARY KEY,
    received_ms BIGINT NOT NULL,
    events BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    carts BIGINT NOT NULL,
    purchases BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    conflicts BIGINT NOT NULL,
    late BIGINT NOT NULL,
    ahead BIGINT NOT NULL
);
CREATE INDEX event_batches_by_age ON event_batches (received_ms);

-- Live figures of a batch by minute of the event, merged when they are read (docs/adr/0090).
CREATE TABLE IF NOT EXISTS live_parts (
    minute_ms BIGINT NOT NULL,
    part_id VARCHAR(26) NOT NULL,
    figures BLOB NOT NULL,
    PRIMARY KEY (minute_ms, part_id)
);

-- Views by São Paulo day and product: a row for each batch, put together into the one without a
-- batch each hour.
CREATE TABLE IF NOT EXISTS product_views (
    view_day INTEGER NOT NULL,
    product_id VARCHAR(64) NOT NULL,
    part_id VARCHAR(26) NOT NULL,
    views BIGINT NOT NULL,
    PRIMARY KEY (view_day, product_id, part_id)
);
CREATE INDEX product_views_by_part ON product_views (part_id);

-- Who looked at what in the last 30 days, with what the profile said then.
CREATE TABLE IF NOT EXISTS click_log (
    user_id VARCHAR(64) NOT NULL,
    clicked_ms BIGINT NOT NULL,
    event_key VARCHAR(32) NOT NULL,
    product_id VARCHAR(64) NOT NULL,
    session_id VARCHAR(64),
    region VARCHAR(2),
    segment VARCHAR(16),
    favourite_category VARCHAR(100),
    logged_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, clicked_ms, event_key)
);
CREATE INDEX click_log_by_age ON click_log (logged_ms);

-- What is known of a customer as a buyer, from the customer's region and own orders.
CREATE TABLE IF NOT EXISTS profiles (
    user_id VARCHAR(64) NOT NULL PRIMARY KEY,
    region VARCHAR(2),
    segment VARCHAR(16) NOT NULL,
    orders BIGINT NOT NULL,
    last_purchase_ms BIGINT,
    favourite_category VARCHAR(100),
    refreshed_ms BIGINT NOT NULL
);
CREATE INDEX profiles_by_age ON profiles (refreshed_ms);

CREATE INDEX purchases_by_approval ON purchases (approved_ms);
