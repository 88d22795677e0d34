-- What the management interface keeps: definitions of which datasets and offers are made, secrets, keys of callers, approvals,
-- and answers to requests that may come twice.

-- JSON texts: keys of properties are whole IRIs. version grows with every write.
CREATE TABLE asset (
    id TEXT PRIMARY KEY,
    properties TEXT NOT NULL,
    private_properties TEXT NOT NULL,
    data_address TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX asset_by_time ON asset (created_at, id);
-- What its data plane has found out about its data, as JSON; empty: it has no data, and is not offered.
ALTER TABLE asset ADD COLUMN source TEXT NOT NULL DEFAULT '';

-- policy: as its owner wrote it, in full ODRL (normalised JSON).
CREATE TABLE policy_definition (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    private_properties TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX policy_definition_by_time ON policy_definition (created_at, id);

-- selector: a JSON array of criteria, all of which an asset meets. reached: the id of the last asset up to which this version has been
-- looked through; null when it has been looked through to the end.
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

-- Grows with every change of contract definitions and of policies: what is offered is made of one version of all of them.
INSERT INTO ledger (name, version) VALUES ('definitions', 0);

CREATE INDEX contract_definition_by_time ON contract_definition (created_at, id);
CREATE INDEX contract_definition_by_access ON contract_definition (access_policy);
CREATE INDEX contract_definition_by_contract ON contract_definition (contract_policy);

-- What definitions can be asked for: every value of every document once, at its path (a JSON array of segments). resource: asset,
-- policy or definition. first is 1 for the first value at a path, by which a list is sorted. head tells values apart, rank orders
-- them, sought is what patterns look at (null: no text), folded the same without case. created_at: of the document.
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

CREATE INDEX property_of ON property (resource, id, path);
CREATE INDEX property_by_value ON property (resource, path, head, created_at, id);
CREATE INDEX property_by_rank ON property (resource, path, rank, id, created_at);

-- How many documents of a kind there are, and how often one has been written: what was counted holds until that changes.
CREATE TABLE tally (
    resource TEXT PRIMARY KEY,
    held INTEGER NOT NULL,
    changes INTEGER NOT NULL
) STRICT;

INSERT INTO tally (resource, held, changes) VALUES ('asset', 0, 0), ('policy', 0, 0), ('definition', 0, 0);

-- sealed: the value under the key of secrets, which is not in this database.
CREATE TABLE secret (
    id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- digest: SHA-256 of the secret part of the key. roles: a line for each. vehicle: the consent ledger's own number of it. person: who is
-- behind the key, whatever name it has: as many keys as one person has, they are one where people are counted.
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

CREATE INDEX api_key_by_time ON api_key (created_at, id);

-- A request that may be repeated: what was answered to it. status is 0 while it is being worked on.
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

CREATE INDEX idempotency_by_time ON idempotency (created_at);

-- Who has said what about something that waits for people. version: of the process when it was said.
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

-- Since when a process waits for people (ms since the epoch); null: it does not. What waited before is found by its text.
ALTER TABLE process ADD COLUMN waits_since INTEGER;
UPDATE process SET waits_since = updated_at WHERE detail LIKE '%"pending":"decide-%' AND state NOT IN ('FINALIZED', 'COMPLETED', 'TERMINATED');
CREATE INDEX process_waiting ON process (waits_since, id) WHERE waits_since IS NOT NULL;

-- Who is asked before an offer binds us, as JSON; empty: the settings decide.
ALTER TABLE offer ADD COLUMN approval TEXT NOT NULL DEFAULT '';
-- The contract definition that an offer was made of; empty: it was published as it is.
ALTER TABLE offer ADD COLUMN definition TEXT NOT NULL DEFAULT '';
-- The access policy of a contract definition, in full ODRL: it decides who sees an offer beside the offer's own; empty: none.
ALTER TABLE visibility ADD COLUMN access TEXT NOT NULL DEFAULT '';
CREATE INDEX offer_by_definition ON offer (definition) WHERE definition <> '';
-- Lists of processes and agreements by what they are about.
CREATE INDEX process_by_update ON process (kind, updated_at, id);
CREATE INDEX agreement_by_time ON agreement (created_at, id);
CREATE INDEX agreement_by_dataset ON agreement (dataset);
-- Transfers whose endpoint data reference somebody has put away.
CREATE TABLE reference_dropped (
    transfer TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
