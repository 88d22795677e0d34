-- What was delivered, metered and released.

-- file: bytes pass as they are. table: rows leave as the agreement says; described is the table as JSON.
ALTER TABLE source ADD COLUMN kind TEXT NOT NULL DEFAULT 'file';
ALTER TABLE source ADD COLUMN declares TEXT NOT NULL DEFAULT '[]';
ALTER TABLE source ADD COLUMN described TEXT;
-- Why nothing is delivered of it until it is published again, and the column that it is about.
ALTER TABLE source ADD COLUMN changed TEXT;
-- The worst that was measured of its offers: vehicles, and the share of them that is unique.
ALTER TABLE source ADD COLUMN measured_vehicles INTEGER;
ALTER TABLE source ADD COLUMN measured_unique REAL;
ALTER TABLE source ADD COLUMN changed_column TEXT;

-- What a transfer delivers, fixed by its first request. generation counts its artifacts; the last one is the one that counts.
CREATE TABLE delivery (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    agreement_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'table')),
    ask TEXT NOT NULL,
    purpose TEXT,
    permissions TEXT NOT NULL,
    generation INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    -- When it was metered, right before its first byte; NULL: nothing has left.
    reserved_at INTEGER
) STRICT;

CREATE INDEX delivery_of_agreement ON delivery (agreement_id, counterparty);

CREATE TABLE artifact (
    flow_id TEXT NOT NULL REFERENCES delivery (flow_id),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('making', 'ready', 'stale', 'failed')),
    plan TEXT,
    plan_digest TEXT,
    table_id TEXT,
    snapshot TEXT NOT NULL,
    -- The period of the table, epoch seconds.
    first_s INTEGER,
    last_s INTEGER,
    ledger INTEGER NOT NULL,
    -- What the buyer had of the table, and what was used up of the day, when it was made: it leaves only if that still holds.
    coverage INTEGER NOT NULL,
    day TEXT,
    day_requests INTEGER NOT NULL DEFAULT 0,
    left_out INTEGER NOT NULL DEFAULT 0,
    file TEXT,
    index_file TEXT,
    keep_file TEXT,
    made TEXT,
    code TEXT,
    reason TEXT,
    culprit TEXT,
    made_at INTEGER,
    -- When the first byte of this artifact was allowed to leave.
    reserved_at INTEGER,
    -- Its files are gone, but the index of its vehicles.
    dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id, generation)
) STRICT;

CREATE INDEX artifact_state ON artifact (state);

-- What an agreement has used so far. period: 'all', a UTC day or a UTC month. last_at: when it was last used.
CREATE TABLE meter (
    agreement_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    period TEXT NOT NULL,
    calls INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (agreement_id, counterparty, period)
) STRICT;

-- One for each transfer: what it was metered with. A resume finds it here and is free.
CREATE TABLE reservation (
    flow_id TEXT PRIMARY KEY REFERENCES delivery (flow_id),
    agreement_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    permission INTEGER,
    day TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    vehicles INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- What of a raw table a buyer has: positions in rows, or cells of one grid. Its version is counted in holding.
CREATE TABLE released (
    flow_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    buyer TEXT NOT NULL,
    table_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('rows', 'cells')),
    grid TEXT NOT NULL,
    after_s INTEGER NOT NULL,
    before_s INTEGER NOT NULL,
    areas TEXT NOT NULL,
    file TEXT,
    PRIMARY KEY (flow_id, generation)
) STRICT;

CREATE INDEX released_to ON released (buyer, table_id);

CREATE TABLE holding (
    buyer TEXT NOT NULL,
    table_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (buyer, table_id)
) STRICT;

-- Withdrawals that deliveries have been held against, up to this number of the ledger.
CREATE TABLE held_against (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;

-- A delivery that held a vehicle whose consent was withdrawn after it left.
CREATE TABLE erasure (
    id TEXT NOT NULL,
    flow_id TEXT NOT NULL REFERENCES delivery (flow_id),
    ordinal INTEGER NOT NULL,
    ledger INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (flow_id, ordinal, ledger)
) STRICT;
