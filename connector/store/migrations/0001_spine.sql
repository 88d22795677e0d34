-- The control database: processes, what was judged, what is to be sent, agreements, timers, the timeline, what is on offer.
-- Times are integer milliseconds since the epoch. JSON is kept as text.

CREATE TABLE process (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    awaiting TEXT,
    awaiting_id TEXT,
    version INTEGER NOT NULL,
    counterparty TEXT NOT NULL,
    peer_pid TEXT,
    peer_address TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    last_digest TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- A first message that names a known process id of the same counterparty is the same process.
CREATE UNIQUE INDEX process_of_peer ON process (kind, role, counterparty, peer_pid) WHERE origin = 'peer';
CREATE INDEX process_by_time ON process (kind, created_at, id);
CREATE INDEX process_by_subject ON process (subject);

CREATE TABLE inbox (
    counterparty TEXT NOT NULL,
    message_id TEXT NOT NULL,
    process_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT,
    judged_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, message_id)
) STRICT;

CREATE INDEX inbox_of_process ON inbox (process_id);

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    lane TEXT NOT NULL,
    channel TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    process_id TEXT NOT NULL,
    message TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    conflict_since INTEGER,
    missing_since INTEGER,
    last_error TEXT,
    dead_at INTEGER,
    owner TEXT,
    lease_until INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_lane ON outbox (lane, seq) WHERE dead_at IS NULL;
CREATE INDEX outbox_due ON outbox (due_at, seq) WHERE dead_at IS NULL;

CREATE TABLE agreement (
    id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    role TEXT NOT NULL,
    negotiation_id TEXT NOT NULL,
    dataset TEXT NOT NULL,
    document TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, role, id)
) STRICT;

CREATE UNIQUE INDEX agreement_of_negotiation ON agreement (negotiation_id);
CREATE INDEX agreement_by_id ON agreement (id);

CREATE TABLE timer (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    process_id TEXT NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX timer_due ON timer (due_at);
CREATE INDEX timer_of_process ON timer (process_id);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    process_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    message TEXT,
    message_id TEXT,
    state TEXT NOT NULL,
    awaiting TEXT,
    note TEXT
) STRICT;

CREATE INDEX event_of_process ON event (process_id, seq);

CREATE TABLE dataset (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    source TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    withdrawn_at INTEGER
) STRICT;

CREATE TABLE offer (
    id TEXT PRIMARY KEY,
    dataset TEXT NOT NULL
) STRICT;

CREATE INDEX offer_of_dataset ON offer (dataset);

CREATE TABLE capability (
    counterparty TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
