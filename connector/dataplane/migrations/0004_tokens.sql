-- Tokens that expire and are renewed in pairs; workers that share the database.

-- A row of token is a pair: what opens the data, and what renews it. Both NULL: a token for as long as the transfer runs.
ALTER TABLE token ADD COLUMN refresh_sha256 BLOB;
ALTER TABLE token ADD COLUMN expires_at INTEGER;
-- 0: handed out in exchange for another pair, and nothing came back with it yet, so that the other one holds as well.
ALTER TABLE token ADD COLUMN used INTEGER NOT NULL DEFAULT 1;
ALTER TABLE token ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX token_refresh ON token (refresh_sha256) WHERE refresh_sha256 IS NOT NULL;

-- Whether the consumer of a provider's flow can renew tokens.
ALTER TABLE flow ADD COLUMN renews INTEGER NOT NULL DEFAULT 1;

-- When a consumer renews the token that its flow's address has, and when it ends.
CREATE TABLE renewal (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    renew_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- Processes that share this database (PostgreSQL). A worker serves while its lease runs, by the clock of the database; seen is the
-- last revocation after which it had cut what it had to.
CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    lease_until INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT;

CREATE TABLE revocation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;

INSERT INTO revocation (one, number) VALUES (1, 0);

-- Flows of which nothing may be written any more by what ran when the number was given out.
CREATE TABLE revoked (
    number INTEGER PRIMARY KEY,
    flow_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Which worker makes an artifact, and which one runs a download; NULL: the only one, or none.
ALTER TABLE artifact ADD COLUMN worker TEXT;
ALTER TABLE download ADD COLUMN worker TEXT;

-- The order in which something left for a buyer.
ALTER TABLE released ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
