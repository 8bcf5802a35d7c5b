-- The lines of orders, as the newest news that told them said.
CREATE TABLE IF NOT EXISTS order_lines (
    order_id VARCHAR(64) NOT NULL,
    line INTEGER NOT NULL,
    product_id VARCHAR(64) NOT NULL,
    quantity BIGINT NOT NULL,
    price_centavos BIGINT NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- The São Paulo days on which news of a paid order came: what is exported for a date.
CREATE TABLE IF NOT EXISTS order_news (
    day VARCHAR(10) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (day, order_id)
);

-- The files that were exported, so that a file that would be the same is not written again.
CREATE TABLE IF NOT EXISTS sales_exports (
    day VARCHAR(10) NOT NULL PRIMARY KEY,
    sha256 VARCHAR(64) NOT NULL,
    lines_written BIGINT NOT NULL,
    orders_written BIGINT NOT NULL,
    written_ms BIGINT NOT NULL
);

-- What the checks of the sales found, by date; a run replaces what the same date had.
CREATE TABLE IF NOT EXISTS quality_results (
    day VARCHAR(10) NOT NULL,
    check_name VARCHAR(100) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    verdict VARCHAR(16) NOT NULL,
    failures BIGINT NOT NULL,
    checked BIGINT NOT NULL,
    detail VARCHAR(500) NOT NULL,
    failures_key VARCHAR(200),
    snapshot_id BIGINT,
    checked_ms BIGINT NOT NULL,
    PRIMARY KEY (day, check_name)
);
CREATE INDEX quality_results_by_check ON quality_results (check_name, day);
