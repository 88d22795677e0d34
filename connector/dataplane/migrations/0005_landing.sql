-- Where received data stand, and what was erased of them.

-- ask: the query parameters of our request, as JSON. into: "database:table" for rows that are put into a DuckDB table, empty for a
-- file that stays. The other columns are what the provider said of the file, and sha256 is of the file as it stands now.
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

-- What we answered to each order to erase: the same order gets the same answer.
CREATE TABLE erased (
    id TEXT PRIMARY KEY,
    report TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
