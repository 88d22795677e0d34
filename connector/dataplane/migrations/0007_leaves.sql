-- Which index of the vehicles of a delivery stands beside the contract log: its SHA-256 (hex) and how many are in it.
CREATE TABLE vehicle_index (
    flow_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    vehicles INTEGER NOT NULL,
    PRIMARY KEY (flow_id, generation)
) STRICT;
