-- Throttles shared by all instances (generic cell rate algorithm).
CREATE TABLE IF NOT EXISTS throttles (
    bucket VARCHAR(128) NOT NULL PRIMARY KEY,
    theoretical_arrival_ms BIGINT NOT NULL
);
CREATE INDEX throttles_by_age ON throttles (theoretical_arrival_ms);

-- The ledger of scheduled jobs.
CREATE TABLE IF NOT EXISTS job_runs (
    job VARCHAR(64) NOT NULL,
    logical_date VARCHAR(10) NOT NULL,
    status VARCHAR(16) NOT NULL,
    attempt INTEGER NOT NULL,
    holder VARCHAR(64) NOT NULL,
    leased_until_ms BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    finished_ms BIGINT,
    resume_after VARCHAR(200),
    counts TEXT NOT NULL,
    error VARCHAR(200),
    PRIMARY KEY (job, logical_date)
);
CREATE TABLE IF NOT EXISTS job_pauses (
    job VARCHAR(64) NOT NULL PRIMARY KEY,
    paused_ms BIGINT NOT NULL
);
