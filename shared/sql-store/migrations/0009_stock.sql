-- One stock: the newest level that a warehouse told of a product. What may be sold is units less
-- reserved_units, the open reservations since told_ms. A minimum has a time of its own, since a
-- message may leave it out. low_reason is null while the stock is not low.
CREATE TABLE IF NOT EXISTS stock (
    product_id VARCHAR(64) NOT NULL PRIMARY KEY,
    units BIGINT NOT NULL,
    told_ms BIGINT NOT NULL,
    reserved_units BIGINT NOT NULL,
    minimum_units BIGINT,
    minimum_told_ms BIGINT NOT NULL,
    low_reason VARCHAR(16),
    alert_id VARCHAR(26),
    version BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- One row a crossing; ended_ms is null while the stock is low.
CREATE TABLE IF NOT EXISTS stock_alerts (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    product_id VARCHAR(64) NOT NULL,
    reason VARCHAR(16) NOT NULL,
    units BIGINT NOT NULL,
    available_units BIGINT NOT NULL,
    sold_units BIGINT NOT NULL,
    threshold_units BIGINT NOT NULL,
    told_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX stock_alerts_by_end ON stock_alerts (ended_ms, id);

-- Units of a product sold in the 28 days before until_day, as the sales were known then.
CREATE TABLE IF NOT EXISTS product_sales (
    product_id VARCHAR(64) NOT NULL PRIMARY KEY,
    sold_units BIGINT NOT NULL,
    until_day VARCHAR(10) NOT NULL
);
CREATE INDEX product_sales_by_day ON product_sales (until_day, product_id);
