CREATE TABLE answered (
    message_id TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE callback (
    id TEXT PRIMARY KEY,
    flow_id TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER
) STRICT;
CREATE TABLE controlplane (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL
) STRICT;
CREATE TABLE download (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    phase TEXT NOT NULL CHECK (phase IN ('running', 'placing', 'done', 'failed')),
    etag TEXT,
    total INTEGER,
    digest TEXT,
    bytes INTEGER,
    sha256 TEXT
) STRICT;
CREATE TABLE flow (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('provider', 'consumer')),
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    dataset_id TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    sink TEXT,
    address TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE schema_migration (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT;
INSERT INTO "schema_migration" VALUES(1,'0001_dataplane','e859d32f501c39cbb8d9643526c5f3ae465d10506bab59ad88ad4c5a8f5db33d',1000);
CREATE TABLE source (
    dataset_id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    -- device, inode, size and times when it was published: a file that differs is not what was offered
    identity TEXT NOT NULL
) STRICT;
CREATE TABLE token (
    sha256 BLOB PRIMARY KEY,
    flow_id TEXT NOT NULL REFERENCES flow (id),
    dead INTEGER NOT NULL CHECK (dead IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX flow_sink ON flow (sink) WHERE state <> 'TERMINATED';
CREATE INDEX token_of_flow ON token (flow_id);
CREATE INDEX callback_due ON callback (due_at) WHERE due_at IS NOT NULL;
