-- What users asked for: that the data of their vehicle go to somebody of their choice (Data Act, article 5).

-- categories: of which data, with a blank between two. number, ended: the commits that wrote and withdrew it.
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

CREATE INDEX user_request_in ON user_request (number);

CREATE INDEX user_request_ended ON user_request (ended) WHERE ended IS NOT NULL;
