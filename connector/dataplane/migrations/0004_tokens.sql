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
