CREATE TABLE agreement (
    id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    role TEXT NOT NULL,
    negotiation_id TEXT NOT NULL,
    dataset TEXT NOT NULL,
    document TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, delivery TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (counterparty, role, id)
) STRICT;
INSERT INTO "agreement" VALUES('urn:uuid:agreement','did:web:city.example','provider','urn:uuid:negotiation','trips','{"@id":"urn:uuid:agreement"}','binding',1,2,'');
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    roles TEXT NOT NULL,
    vehicle INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    person TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE TABLE approval (
    process_id TEXT NOT NULL,
    step TEXT NOT NULL,
    version INTEGER NOT NULL,
    caller TEXT NOT NULL,
    role TEXT NOT NULL,
    verdict TEXT NOT NULL,
    comment TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (process_id, version, caller)
) STRICT;
CREATE TABLE asset (
    id TEXT PRIMARY KEY,
    properties TEXT NOT NULL,
    private_properties TEXT NOT NULL,
    data_address TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
, source TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE capability (
    counterparty TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
INSERT INTO "capability" VALUES('did:web:city.example','{"features":["hello"]}',700);
CREATE TABLE contract_definition (
    id TEXT PRIMARY KEY,
    access_policy TEXT NOT NULL,
    contract_policy TEXT NOT NULL,
    selector TEXT NOT NULL,
    private_properties TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    reached TEXT
) STRICT;
CREATE TABLE dataset (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    source TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    withdrawn_at INTEGER
, open_to TEXT NOT NULL DEFAULT 'admitted', record TEXT NOT NULL DEFAULT '{}', brief TEXT NOT NULL DEFAULT '', words TEXT NOT NULL DEFAULT '', theme TEXT NOT NULL DEFAULT '', able TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "dataset" VALUES('trips','{"@id":"trips"}','trips.csv',500,NULL,'admitted','{}','{"@id":"trips"}','trips','','');
CREATE TABLE duty (
    counterparty TEXT NOT NULL,
    role TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    agreement TEXT NOT NULL,
    state TEXT NOT NULL,
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    notice TEXT NOT NULL,
    attestation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER,
    told_at INTEGER,
    fulfilled_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, role, id)
) STRICT;
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
INSERT INTO "event" VALUES(1,'urn:uuid:transfer',2000,'received','REQUEST','urn:uuid:m','REQUESTED',NULL,NULL);
CREATE TABLE exclusivity (
    agreement_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    dataset TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    bounds TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, agreement_id)
) STRICT;
CREATE TABLE greeted (
    counterparty TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    status INTEGER NOT NULL,
    media TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT;
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
INSERT INTO "inbox" VALUES('did:web:city.example','urn:uuid:m','urn:uuid:negotiation','digest',201,'{}',1500);
CREATE TABLE leaf (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    leaf TEXT NOT NULL,
    sha256 TEXT,
    payload BLOB,
    queued_at INTEGER NOT NULL
) STRICT;
CREATE TABLE ledger (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;
INSERT INTO "ledger" VALUES('visibility',1);
INSERT INTO "ledger" VALUES('definitions',0);
CREATE TABLE log_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    folder TEXT NOT NULL
) STRICT;
INSERT INTO "log_state" VALUES(1,0,'');
CREATE TABLE offer (
    id TEXT PRIMARY KEY,
    dataset TEXT NOT NULL
, position INTEGER NOT NULL DEFAULT 0, document TEXT NOT NULL DEFAULT '', odrl TEXT NOT NULL DEFAULT '', visibility TEXT NOT NULL DEFAULT '', approval TEXT NOT NULL DEFAULT '', definition TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "offer" VALUES('urn:offer:1','trips',0,'{"@id":"urn:offer:1"}','','digest','','');
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
INSERT INTO "outbox" VALUES(1,'urn:uuid:start','urn:uuid:transfer','dsp','did:web:city.example','urn:uuid:transfer','START','https://city.example/dsp/2025-1/transfers/x/start','{}','correlation',1000,9000000000000,1000,0,NULL,NULL,NULL,NULL,NULL,0);
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
CREATE TABLE policy_definition (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    private_properties TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
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
, waits_since INTEGER) STRICT;
INSERT INTO "process" VALUES('urn:uuid:negotiation','negotiation','provider','peer','FINALIZED',NULL,NULL,0,'did:web:city.example','urn:uuid:theirs','https://city.example/dsp/2025-1','correlation','trips','{"first_digest":"digest","offer":{"@id":"urn:offer:1","@type":"Offer","target":"trips","permission":[{"action":"use"}]},"offer_from":"consumer"}',NULL,1000,2000,NULL);
INSERT INTO "process" VALUES('urn:uuid:transfer','transfer','provider','peer','REQUESTED','START','urn:uuid:start',0,'did:web:city.example','urn:uuid:their-transfer','https://city.example/dsp/2025-1','correlation','urn:uuid:agreement','{"format":"HttpData-PULL","dataset":"trips"}',NULL,1000,2000,NULL);
CREATE TABLE property (
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    path TEXT NOT NULL,
    first INTEGER NOT NULL,
    head TEXT NOT NULL,
    rank TEXT NOT NULL,
    sought TEXT,
    folded TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (resource, path, id, head)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipt (
    transfer TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    agreement TEXT NOT NULL,
    state TEXT NOT NULL,
    content TEXT NOT NULL,
    signed TEXT NOT NULL,
    answer TEXT NOT NULL,
    findings TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    tries INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE reference_dropped (
    transfer TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE schema_migration (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT;
INSERT INTO "schema_migration" VALUES(1,'0001_spine','48528916efaafd1dd75dcb7850227530333ec36179c05b1b498945da5d60576a',1000);
INSERT INTO "schema_migration" VALUES(2,'0002_identity','f8447892bfd1de62ae4a0ee0685dcac32139ab6642bba3103704c4071b2e9c6b',1000);
INSERT INTO "schema_migration" VALUES(3,'0003_terms','4469e5511622c498ca93ee53ce88b2acef54d49403270be7fad6d4445be499d1',1000);
INSERT INTO "schema_migration" VALUES(4,'0004_evidence','7d08c5004897206247ef821d807c998f983f3f84ff30bb0133d2b3ed9f141cc2',1000);
INSERT INTO "schema_migration" VALUES(5,'0005_log','dfdd65dcd22156c26c53698bc7b171f9d97be5e9792fd2e21d2ae2512e1f1c97',1000);
INSERT INTO "schema_migration" VALUES(6,'0006_signatures','b73a195d808352e6133ce29e499fdf94aeff6b4874dc89977460779d09e71b16',1000);
INSERT INTO "schema_migration" VALUES(7,'0007_witness','6a13637024d34c4cf6f6b1f4caee028bd639cb2fbe615c0b65e1600243b77b66',1000);
INSERT INTO "schema_migration" VALUES(8,'0008_management','494ba39300a9e9b9d334efa418ee0cf911ac3702c4fd3f88479cde5ac1f3f461',1000);
CREATE TABLE secret (
    id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE signature (
    agreement TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    role TEXT NOT NULL,
    negotiation TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    own TEXT NOT NULL,
    own_thumbprint TEXT NOT NULL,
    theirs TEXT NOT NULL,
    their_thumbprint TEXT NOT NULL,
    disputed TEXT NOT NULL,
    refused TEXT NOT NULL,
    tries INTEGER NOT NULL,
    told_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, role, agreement)
) STRICT;
CREATE TABLE tally (
    resource TEXT PRIMARY KEY,
    held INTEGER NOT NULL,
    changes INTEGER NOT NULL
) STRICT;
INSERT INTO "tally" VALUES('asset',0,0);
INSERT INTO "tally" VALUES('policy',0,0);
INSERT INTO "tally" VALUES('definition',0,0);
CREATE TABLE timer (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    process_id TEXT NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;
INSERT INTO "timer" VALUES('urn:uuid:timer','transfer-deadline','urn:uuid:transfer',9000000000000);
CREATE TABLE used_once (
    key TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE visibility (
    digest TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    open_to TEXT NOT NULL
, access TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "visibility" VALUES('digest','{"permission":[{"action":"use"}]}','admitted','');
CREATE TABLE witness (
    counterparty TEXT PRIMARY KEY,
    told_size INTEGER NOT NULL DEFAULT 0,
    shown_size INTEGER NOT NULL DEFAULT 0,
    shown_note TEXT NOT NULL DEFAULT '',
    shown_time INTEGER NOT NULL DEFAULT 0,
    shown_message TEXT NOT NULL DEFAULT '',
    cosigned_size INTEGER NOT NULL DEFAULT 0,
    cosigned_note TEXT NOT NULL DEFAULT '',
    cosigned_at INTEGER NOT NULL DEFAULT 0,
    refused TEXT NOT NULL DEFAULT '',
    retries INTEGER NOT NULL DEFAULT 0,
    asked_at INTEGER NOT NULL DEFAULT 0,
    seen_size INTEGER NOT NULL DEFAULT 0,
    seen_root TEXT NOT NULL DEFAULT '',
    seen_note TEXT NOT NULL DEFAULT '',
    seen_time INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL DEFAULT 0,
    handed TEXT NOT NULL DEFAULT '',
    refusal TEXT NOT NULL DEFAULT '',
    split_code TEXT NOT NULL DEFAULT '',
    split_note TEXT NOT NULL DEFAULT '',
    split_at INTEGER NOT NULL DEFAULT 0,
    accepted_at INTEGER NOT NULL DEFAULT 0,
    accepted_reason TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE witness_inbox (
    counterparty TEXT NOT NULL,
    kind TEXT NOT NULL,
    message_id TEXT NOT NULL,
    document TEXT NOT NULL,
    tries INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, kind)
) STRICT;
CREATE UNIQUE INDEX process_of_peer ON process (kind, role, counterparty, peer_pid) WHERE origin = 'peer';
CREATE INDEX process_by_time ON process (kind, created_at, id);
CREATE INDEX process_by_subject ON process (subject);
CREATE INDEX inbox_of_process ON inbox (process_id);
CREATE INDEX outbox_lane ON outbox (lane, seq) WHERE dead_at IS NULL;
CREATE INDEX outbox_due ON outbox (due_at, seq) WHERE dead_at IS NULL;
CREATE UNIQUE INDEX agreement_of_negotiation ON agreement (negotiation_id);
CREATE INDEX agreement_by_id ON agreement (id);
CREATE INDEX timer_due ON timer (due_at);
CREATE INDEX timer_of_process ON timer (process_id);
CREATE INDEX event_of_process ON event (process_id, seq);
CREATE INDEX offer_of_dataset ON offer (dataset);
CREATE INDEX participant_by_state ON participant (state, id);
CREATE INDEX used_once_by_expiry ON used_once (expires_at);
CREATE INDEX process_of_counterparty ON process (counterparty, created_at, id);
CREATE INDEX dataset_on_offer ON dataset (id) WHERE withdrawn_at IS NULL;
CREATE INDEX offer_by_visibility ON offer (visibility, dataset);
CREATE INDEX exclusivity_of_dataset ON exclusivity (dataset);
CREATE INDEX receipt_of_counterparty ON receipt (counterparty, state, created_at, transfer);
CREATE INDEX receipt_of_agreement ON receipt (agreement, counterparty, created_at, transfer);
CREATE INDEX receipt_by_time ON receipt (created_at, transfer);
CREATE INDEX duty_by_time ON duty (created_at, id);
CREATE INDEX duty_open ON duty (due_at, id) WHERE fulfilled_at IS NULL;
CREATE INDEX duty_of_agreement ON duty (agreement, counterparty);
CREATE INDEX signature_of_agreement ON signature (agreement);
CREATE INDEX signature_untold ON signature (counterparty, created_at, agreement) WHERE told_at IS NULL;
CREATE INDEX asset_by_time ON asset (created_at, id);
CREATE INDEX policy_definition_by_time ON policy_definition (created_at, id);
CREATE INDEX contract_definition_by_time ON contract_definition (created_at, id);
CREATE INDEX contract_definition_by_access ON contract_definition (access_policy);
CREATE INDEX contract_definition_by_contract ON contract_definition (contract_policy);
CREATE INDEX property_of ON property (resource, id, path);
CREATE INDEX property_by_value ON property (resource, path, head, created_at, id);
CREATE INDEX property_by_rank ON property (resource, path, rank, id, created_at);
CREATE INDEX api_key_by_time ON api_key (created_at, id);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX process_waiting ON process (waits_since, id) WHERE waits_since IS NOT NULL;
CREATE INDEX offer_by_definition ON offer (definition) WHERE definition <> '';
CREATE INDEX process_by_update ON process (kind, updated_at, id);
CREATE INDEX agreement_by_time ON agreement (created_at, id);
CREATE INDEX agreement_by_dataset ON agreement (dataset);
