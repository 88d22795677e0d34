-- Who may call: the registry of participants, what may be used a single time, and what is shown to whom.

CREATE TABLE participant (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    profile TEXT NOT NULL,
    claims TEXT NOT NULL,
    vouched_by TEXT,
    vouched_at INTEGER,
    reason TEXT,
    recognised TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX participant_by_state ON participant (state, id);

-- Client assertions and proofs of possession: a key that is here has been used.
CREATE TABLE used_once (
    key TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX used_once_by_expiry ON used_once (expires_at);
CREATE INDEX process_of_counterparty ON process (counterparty, created_at, id);

-- 'all': also for participants that nobody has vouched for.
ALTER TABLE dataset ADD COLUMN open_to TEXT NOT NULL DEFAULT 'admitted';
