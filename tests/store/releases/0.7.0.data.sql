CREATE TABLE answered (
    message_id TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
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
    dropped INTEGER NOT NULL DEFAULT 0, worker TEXT,
    PRIMARY KEY (flow_id, generation)
) STRICT;
CREATE TABLE callback (
    id TEXT PRIMARY KEY,
    flow_id TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER
) STRICT;
CREATE TABLE consent_bitmap (
    key_id INTEGER NOT NULL REFERENCES consent_key (id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    vehicles INTEGER NOT NULL,
    PRIMARY KEY (key_id, number)
) STRICT;
CREATE TABLE consent_commit (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('decisions', 'import', 'enrolments')),
    entries INTEGER NOT NULL,
    -- whether something was withdrawn in it
    withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
    -- how many ordinals are given out: the next one
    vehicles INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE consent_decision (
    key_id INTEGER NOT NULL REFERENCES consent_key (id),
    number INTEGER NOT NULL REFERENCES consent_commit (number),
    ordinal INTEGER NOT NULL,
    given INTEGER NOT NULL CHECK (given IN (0, 1)),
    decided_by TEXT NOT NULL,
    text_sha256 BLOB,
    at INTEGER NOT NULL,
    PRIMARY KEY (key_id, number, ordinal)
) STRICT;
CREATE TABLE consent_enrolment (
    recipient TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    number INTEGER NOT NULL REFERENCES consent_commit (number),
    reference TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    text_sha256 BLOB NOT NULL,
    at INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (recipient, ordinal, number)
) STRICT;
CREATE TABLE consent_file (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('vehicles', 'import')),
    number INTEGER NOT NULL,
    entries INTEGER NOT NULL
) STRICT;
CREATE TABLE consent_key (
    id INTEGER PRIMARY KEY,
    category TEXT NOT NULL,
    purpose TEXT NOT NULL,
    recipient TEXT NOT NULL,
    basis TEXT NOT NULL,
    UNIQUE (category, purpose, recipient, basis)
) STRICT;
CREATE TABLE consent_vehicle (
    ordinal INTEGER PRIMARY KEY,
    vehicle TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE controlplane (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL
) STRICT;
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
, passes INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE download (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    phase TEXT NOT NULL CHECK (phase IN ('running', 'placing', 'done', 'failed')),
    etag TEXT,
    total INTEGER,
    digest TEXT,
    bytes INTEGER,
    sha256 TEXT
, worker TEXT) STRICT;
CREATE TABLE erased (
    id TEXT PRIMARY KEY,
    report TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE erasure (
    id TEXT NOT NULL,
    flow_id TEXT NOT NULL REFERENCES delivery (flow_id),
    ordinal INTEGER NOT NULL,
    ledger INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (flow_id, ordinal, ledger)
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
, renews INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE held_against (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;
CREATE TABLE holding (
    buyer TEXT NOT NULL,
    table_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (buyer, table_id)
) STRICT;
CREATE TABLE http_source (
    dataset_id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE landing (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    ask TEXT NOT NULL,
    into_table TEXT NOT NULL,
    format TEXT,
    data_rows INTEGER,
    rows_digest TEXT,
    plan_digest TEXT,
    ledger INTEGER,
    suppressed INTEGER,
    sha256 TEXT,
    erased_at INTEGER
) STRICT;
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
CREATE TABLE passage (
    flow_id TEXT PRIMARY KEY REFERENCES delivery (flow_id),
    calls INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    running TEXT NOT NULL,
    last_bytes INTEGER,
    last_sha256 TEXT,
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE passage_use (
    flow_id TEXT NOT NULL REFERENCES passage (flow_id),
    day TEXT NOT NULL,
    permission INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (flow_id, day, permission)
) STRICT;
CREATE TABLE pseudonym_key (
    recipient TEXT NOT NULL,
    agreement TEXT NOT NULL,
    secret BLOB,
    PRIMARY KEY (recipient, agreement)
) STRICT;
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
    file TEXT, place INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id, generation)
) STRICT;
CREATE TABLE renewal (
    flow_id TEXT PRIMARY KEY REFERENCES flow (id),
    renew_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
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
CREATE TABLE revocation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO "revocation" VALUES(1,0);
CREATE TABLE revoked (
    number INTEGER PRIMARY KEY,
    flow_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE schema_migration (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT;
INSERT INTO "schema_migration" VALUES(1,'0001_dataplane','e859d32f501c39cbb8d9643526c5f3ae465d10506bab59ad88ad4c5a8f5db33d',1000);
INSERT INTO "schema_migration" VALUES(2,'0002_deliveries','87073b12812ad89b97aa7358f53ccf5d6750e33ab4326e6b4a56725bca33e627',1000);
INSERT INTO "schema_migration" VALUES(3,'0003_consents','ca3d74b8c899eacc6335c3efa4abbb589484aae11fb683db2ee53e5758529497',1000);
INSERT INTO "schema_migration" VALUES(4,'0004_tokens','839e3b5bbdd274097c8aaa9c600b04f2c20953affd22d4866ebdd49f230a5df6',1000);
INSERT INTO "schema_migration" VALUES(5,'0005_landing','7be44a8cc93baa4d4db827a670efa017b9aecdd747d01b558bd5cb7c97815241',1000);
INSERT INTO "schema_migration" VALUES(6,'0006_user_requests','151b9354234f194d1f2311560234e625cf5f803ff35a5016c693db6fdbd70ac9',1000);
INSERT INTO "schema_migration" VALUES(7,'0007_leaves','40b046d5b34802bd88c93ee5a6f110a7267ff12386fc9ae394afcf166fd33610',1000);
INSERT INTO "schema_migration" VALUES(8,'0008_http_sources','36002136bcf81009f7a3af70afe28036c1096eda9fbcea9f70e9554c8381e487',1000);
CREATE TABLE source (
    dataset_id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    -- device, inode, size and times when it was published: a file that differs is not what was offered
    identity TEXT NOT NULL
, kind TEXT NOT NULL DEFAULT 'file', declares TEXT NOT NULL DEFAULT '[]', described TEXT, changed TEXT, measured_vehicles INTEGER, measured_unique REAL, changed_column TEXT) STRICT;
CREATE TABLE token (
    sha256 BLOB PRIMARY KEY,
    flow_id TEXT NOT NULL REFERENCES flow (id),
    dead INTEGER NOT NULL CHECK (dead IN (0, 1))
, refresh_sha256 BLOB, expires_at INTEGER, used INTEGER NOT NULL DEFAULT 1, made_at INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE user_request (
    id TEXT PRIMARY KEY,
    ordinal INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    categories TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    text_sha256 BLOB,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL REFERENCES consent_commit (number),
    ended INTEGER,
    ended_at INTEGER
) STRICT;
CREATE TABLE vehicle_index (
    flow_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    vehicles INTEGER NOT NULL,
    PRIMARY KEY (flow_id, generation)
) STRICT;
CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    lease_until INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX flow_sink ON flow (sink) WHERE state <> 'TERMINATED';
CREATE INDEX token_of_flow ON token (flow_id);
CREATE INDEX callback_due ON callback (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_of_agreement ON delivery (agreement_id, counterparty);
CREATE INDEX artifact_state ON artifact (state);
CREATE INDEX released_to ON released (buyer, table_id);
CREATE INDEX consent_decision_of ON consent_decision (ordinal);
CREATE INDEX consent_decision_in ON consent_decision (number);
CREATE UNIQUE INDEX consent_enrolled ON consent_enrolment (recipient, ordinal) WHERE ended IS NULL;
CREATE INDEX consent_enrolment_of ON consent_enrolment (ordinal);
CREATE INDEX consent_enrolment_ended ON consent_enrolment (ended) WHERE ended IS NOT NULL;
CREATE UNIQUE INDEX token_refresh ON token (refresh_sha256) WHERE refresh_sha256 IS NOT NULL;
CREATE INDEX user_request_in ON user_request (number);
CREATE INDEX user_request_ended ON user_request (ended) WHERE ended IS NOT NULL;
