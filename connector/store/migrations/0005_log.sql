-- What has been said for the contract log and is not in it yet: written with what it tells, taken in order of seq. leaf: its bytes
-- (RFC 8785, as text). sha256, payload: what stands beside it, encrypted, and the digest of that.
CREATE TABLE leaf (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    leaf TEXT NOT NULL,
    sha256 TEXT,
    payload BLOB,
    queued_at INTEGER NOT NULL
) STRICT;

-- How many leaves have left this database for the log, and which folder the log is: the SHA-256 of its salt; '': none yet.
CREATE TABLE log_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    folder TEXT NOT NULL
) STRICT;

INSERT INTO log_state (one, size, folder) VALUES (1, 0, '');
