-- Datasets whose source is an HTTP API: each request of a buyer is a call of its own.

-- How the source is called, headers and credential with it: sealed with a key that is no part of the database.
CREATE TABLE http_source (
    dataset_id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

-- 1: what the transfer delivers is passed through from an HTTP API. Its kind says file then.
ALTER TABLE delivery ADD COLUMN passes INTEGER NOT NULL DEFAULT 0;

-- What has passed through in a transfer. running: SHA-256 (hex) of itself before and of the digest of each body, in the order in
-- which they ended. last: the last answer that was whole.
CREATE TABLE passage (
    flow_id TEXT PRIMARY KEY REFERENCES delivery (flow_id),
    calls INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    running TEXT NOT NULL,
    last_bytes INTEGER,
    last_sha256 TEXT,
    version INTEGER NOT NULL
) STRICT;

-- What of it was counted on a UTC day under a permission of the agreement. first_at: the first call of the day, ms since the epoch.
CREATE TABLE passage_use (
    flow_id TEXT NOT NULL REFERENCES passage (flow_id),
    day TEXT NOT NULL,
    permission INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (flow_id, day, permission)
) STRICT;
