-- Agreements signed by both: one row for each agreement that we have signed, or whose counterparty has. negotiation: our process, empty for
-- an agreement that is held without one. own, theirs: each party's signature of the agreement's canonical bytes, a compact JWS; empty
-- while there is none. disputed: a signature of theirs that holds and is of other words. told_at: when ours was queued. refused: why
-- a signature of theirs did not hold, its code. tries: checks that could not be made. digest: SHA-256 of the agreement's canonical bytes.
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

CREATE INDEX signature_of_agreement ON signature (agreement);
CREATE INDEX signature_untold ON signature (counterparty, created_at, agreement) WHERE told_at IS NULL;
