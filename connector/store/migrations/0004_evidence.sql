-- Evidence of deliveries: receipts, duties to erase, statements; and what each dataset can be governed by.
ALTER TABLE dataset ADD COLUMN able TEXT NOT NULL DEFAULT '';

-- What was delivered in a transfer, as the consumer signed it and the provider answered. transfer: our own process id. content: what
-- was signed (RFC 8785, as text). signed, answer: JWS of the consumer and of the provider. findings: members in which the two
-- differ, as JSON. thumbprint: of the key that the other side's signature was verified with. tries: checks that could not be made.
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

CREATE INDEX receipt_of_counterparty ON receipt (counterparty, state, created_at, transfer);
CREATE INDEX receipt_of_agreement ON receipt (agreement, counterparty, created_at, transfer);
CREATE INDEX receipt_by_time ON receipt (created_at, transfer);

-- What has to be erased: owed by us as consumer, expected by us as provider. kind: erase (a notice) or delete (a term of the agreement).
-- content: what it is about, as JSON; notice, attestation: the JWS that went between the parties. outcome: what was erased and what was
-- out of reach, as JSON. due_at: NULL where the agreement names an event and no moment. told_at: when the notice was queued.
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

CREATE INDEX duty_by_time ON duty (created_at, id);
CREATE INDEX duty_open ON duty (due_at, id) WHERE fulfilled_at IS NULL;
CREATE INDEX duty_of_agreement ON duty (agreement, counterparty);

-- Whom we have greeted of our own accord, to learn what it can do: once.
CREATE TABLE greeted (
    counterparty TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
