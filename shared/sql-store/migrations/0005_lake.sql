-- The catalogue of the lake: the tables of DuckLake 1.0, as DuckDB 1.5.5 makes them on MySQL, and
-- indexes of ours. Times are text, since SQLite's DuckLake reads them so. Rows come by `register`.
CREATE TABLE IF NOT EXISTS ducklake_metadata (
    `key` VARCHAR(255) NOT NULL,
    `value` TEXT NOT NULL,
    scope VARCHAR(255),
    scope_id BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_snapshot (
    snapshot_id BIGINT NOT NULL PRIMARY KEY,
    snapshot_time VARCHAR(40),
    schema_version BIGINT,
    next_catalog_id BIGINT,
    next_file_id BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_snapshot_changes (
    snapshot_id BIGINT NOT NULL PRIMARY KEY,
    changes_made TEXT,
    author TEXT,
    commit_message TEXT,
    commit_extra_info TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_schema (
    schema_id BIGINT NOT NULL PRIMARY KEY,
    schema_uuid VARCHAR(36),
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    schema_name TEXT,
    path TEXT,
    path_is_relative TINYINT(1)
);
CREATE TABLE IF NOT EXISTS ducklake_table (
    table_id BIGINT,
    table_uuid VARCHAR(36),
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    schema_id BIGINT,
    table_name TEXT,
    path TEXT,
    path_is_relative TINYINT(1)
);
CREATE TABLE IF NOT EXISTS ducklake_column (
    column_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    table_id BIGINT,
    column_order BIGINT,
    column_name TEXT,
    column_type TEXT,
    initial_default TEXT,
    default_value TEXT,
    nulls_allowed TINYINT(1),
    parent_column BIGINT,
    default_value_type TEXT,
    default_value_dialect TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_data_file (
    data_file_id BIGINT NOT NULL PRIMARY KEY,
    table_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    file_order BIGINT,
    path TEXT,
    path_is_relative TINYINT(1),
    file_format TEXT,
    record_count BIGINT,
    file_size_bytes BIGINT,
    footer_size BIGINT,
    row_id_start BIGINT,
    partition_id BIGINT,
    encryption_key TEXT,
    mapping_id BIGINT,
    partial_max BIGINT
);
CREATE INDEX ducklake_data_file_by_table ON ducklake_data_file (table_id, begin_snapshot);
CREATE INDEX ducklake_data_file_by_end ON ducklake_data_file (end_snapshot);
CREATE TABLE IF NOT EXISTS ducklake_delete_file (
    delete_file_id BIGINT NOT NULL PRIMARY KEY,
    table_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    data_file_id BIGINT,
    path TEXT,
    path_is_relative TINYINT(1),
    format TEXT,
    delete_count BIGINT,
    file_size_bytes BIGINT,
    footer_size BIGINT,
    encryption_key TEXT,
    partial_max BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_file_column_stats (
    data_file_id BIGINT,
    table_id BIGINT,
    column_id BIGINT,
    column_size_bytes BIGINT,
    value_count BIGINT,
    null_count BIGINT,
    min_value TEXT,
    max_value TEXT,
    contains_nan TINYINT(1),
    extra_stats TEXT
);
CREATE INDEX ducklake_file_column_stats_by_file ON ducklake_file_column_stats (data_file_id);
CREATE INDEX ducklake_file_column_stats_by_column ON ducklake_file_column_stats (table_id, column_id);
CREATE TABLE IF NOT EXISTS ducklake_file_variant_stats (
    data_file_id BIGINT,
    table_id BIGINT,
    column_id BIGINT,
    variant_path TEXT,
    shredded_type TEXT,
    column_size_bytes BIGINT,
    value_count BIGINT,
    null_count BIGINT,
    min_value TEXT,
    max_value TEXT,
    contains_nan TINYINT(1),
    extra_stats TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_file_partition_value (
    data_file_id BIGINT,
    table_id BIGINT,
    partition_key_index BIGINT,
    partition_value TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_files_scheduled_for_deletion (
    data_file_id BIGINT,
    path TEXT,
    path_is_relative TINYINT(1),
    schedule_start VARCHAR(40)
);
CREATE TABLE IF NOT EXISTS ducklake_table_stats (
    table_id BIGINT,
    record_count BIGINT,
    next_row_id BIGINT,
    file_size_bytes BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_table_column_stats (
    table_id BIGINT,
    column_id BIGINT,
    contains_null TINYINT(1),
    contains_nan TINYINT(1),
    min_value TEXT,
    max_value TEXT,
    extra_stats TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_partition_info (
    partition_id BIGINT,
    table_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_partition_column (
    partition_id BIGINT,
    table_id BIGINT,
    partition_key_index BIGINT,
    column_id BIGINT,
    `transform` TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_sort_info (
    sort_id BIGINT,
    table_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_sort_expression (
    sort_id BIGINT,
    table_id BIGINT,
    sort_key_index BIGINT,
    expression TEXT,
    dialect TEXT,
    sort_direction TEXT,
    null_order TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_inlined_data_tables (
    table_id BIGINT,
    table_name TEXT,
    schema_version BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_schema_versions (
    begin_snapshot BIGINT,
    schema_version BIGINT,
    table_id BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_view (
    view_id BIGINT,
    view_uuid VARCHAR(36),
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    schema_id BIGINT,
    view_name TEXT,
    dialect TEXT,
    `sql` TEXT,
    column_aliases TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_tag (
    object_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    `key` TEXT,
    `value` TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_column_tag (
    table_id BIGINT,
    column_id BIGINT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT,
    `key` TEXT,
    `value` TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_column_mapping (
    mapping_id BIGINT,
    table_id BIGINT,
    `type` TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_name_mapping (
    mapping_id BIGINT,
    column_id BIGINT,
    source_name TEXT,
    target_field_id BIGINT,
    parent_column BIGINT,
    is_partition TINYINT(1)
);
CREATE TABLE IF NOT EXISTS ducklake_macro (
    schema_id BIGINT,
    macro_id BIGINT,
    macro_name TEXT,
    begin_snapshot BIGINT,
    end_snapshot BIGINT
);
CREATE TABLE IF NOT EXISTS ducklake_macro_impl (
    macro_id BIGINT,
    impl_id BIGINT,
    dialect TEXT,
    `sql` TEXT,
    `type` TEXT
);
CREATE TABLE IF NOT EXISTS ducklake_macro_parameters (
    macro_id BIGINT,
    impl_id BIGINT,
    column_id BIGINT,
    parameter_name TEXT,
    parameter_type TEXT,
    default_value TEXT,
    default_value_type TEXT
);

-- Which snapshot changed a table's files last, and the oldest that all of its files are still
-- there for. Its rows are what commits queue up at.
CREATE TABLE IF NOT EXISTS lake_versions (
    table_id BIGINT NOT NULL PRIMARY KEY,
    changed_snapshot BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    oldest_snapshot BIGINT NOT NULL
);

-- Files of sales that were seen. `identity` is the hash of bucket, key, time and etag.
CREATE TABLE IF NOT EXISTS sales_loads (
    number BIGINT NOT NULL PRIMARY KEY,
    id VARCHAR(26) NOT NULL,
    identity VARCHAR(64) NOT NULL,
    place VARCHAR(64) NOT NULL,
    bucket VARCHAR(63) NOT NULL,
    object_key TEXT NOT NULL,
    etag VARCHAR(200) NOT NULL,
    modified_ms BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    lines_read BIGINT NOT NULL,
    lines_kept BIGINT NOT NULL,
    lines_quarantined BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    revenue_centavos BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    quarantine_key TEXT,
    report TEXT,
    started_ms BIGINT NOT NULL,
    finished_ms BIGINT,
    snapshot_id BIGINT
);
CREATE UNIQUE INDEX sales_loads_by_id ON sales_loads (id);
CREATE UNIQUE INDEX sales_loads_by_identity ON sales_loads (identity);
CREATE INDEX sales_loads_by_place ON sales_loads (place, status, modified_ms);
CREATE INDEX sales_loads_by_end ON sales_loads (status, finished_ms);

-- What the catalogue of the shop says of products that sales name.
CREATE TABLE IF NOT EXISTS products (
    product_id VARCHAR(64) NOT NULL PRIMARY KEY,
    category VARCHAR(100),
    updated_ms BIGINT NOT NULL
);
