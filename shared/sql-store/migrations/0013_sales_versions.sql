-- Which version of which file was exported for a date: bucket and key by their hash, then when it was changed.
ALTER TABLE sales_exports ADD COLUMN place VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE sales_exports ADD COLUMN object_modified_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sales_exports ADD COLUMN object_etag VARCHAR(200) NOT NULL DEFAULT '';
