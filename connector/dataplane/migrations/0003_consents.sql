-- Who agreed to what. Every commit has a number, and whatever it wrote stays as it is: the ledger can be read at any number.

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

-- What a consent is for.
CREATE TABLE consent_key (
    id INTEGER PRIMARY KEY,
    category TEXT NOT NULL,
    purpose TEXT NOT NULL,
    recipient TEXT NOT NULL,
    basis TEXT NOT NULL,
    UNIQUE (category, purpose, recipient, basis)
) STRICT;

-- Files of the ledger's folder that count; any other one there is left over. Of kind 'vehicles': vehicle and ordinal, sorted by
-- vehicle; 'import': what was imported, sorted by key and ordinal.
CREATE TABLE consent_file (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('vehicles', 'import')),
    number INTEGER NOT NULL,
    entries INTEGER NOT NULL
) STRICT;

-- Vehicles that are not in a file of vehicles yet.
CREATE TABLE consent_vehicle (
    ordinal INTEGER PRIMARY KEY,
    vehicle TEXT NOT NULL UNIQUE
) STRICT;

-- The set of vehicles that agreed to a key as of a number: a file with one bit for each ordinal.
CREATE TABLE consent_bitmap (
    key_id INTEGER NOT NULL REFERENCES consent_key (id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    vehicles INTEGER NOT NULL,
    PRIMARY KEY (key_id, number)
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

CREATE INDEX consent_decision_of ON consent_decision (ordinal);

CREATE INDEX consent_decision_in ON consent_decision (number);

-- The buyer's own reference of a vehicle, such as an insurance contract, with the driver's consent.
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

CREATE UNIQUE INDEX consent_enrolled ON consent_enrolment (recipient, ordinal) WHERE ended IS NULL;

CREATE INDEX consent_enrolment_of ON consent_enrolment (ordinal);

CREATE INDEX consent_enrolment_ended ON consent_enrolment (ended) WHERE ended IS NOT NULL;

-- Keys of pseudonyms. One that was destroyed stays NULL and is never made again.
CREATE TABLE pseudonym_key (
    recipient TEXT NOT NULL,
    agreement TEXT NOT NULL,
    secret BLOB,
    PRIMARY KEY (recipient, agreement)
) STRICT;
