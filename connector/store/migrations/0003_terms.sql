-- Terms that mean something: records and offers as their owner wrote them, who sees what, terms of delivery, exclusivity.

-- record: the owner's catalogue record as JSON. brief: the dataset as it stands in a page of many, without its offers. words:
-- lower-cased text that a search looks in. theme: a line for each theme.
ALTER TABLE dataset ADD COLUMN record TEXT NOT NULL DEFAULT '{}';
ALTER TABLE dataset ADD COLUMN brief TEXT NOT NULL DEFAULT '';
ALTER TABLE dataset ADD COLUMN words TEXT NOT NULL DEFAULT '';
ALTER TABLE dataset ADD COLUMN theme TEXT NOT NULL DEFAULT '';
CREATE INDEX dataset_on_offer ON dataset (id) WHERE withdrawn_at IS NULL;

-- document: the offer as it stands in the catalogue. odrl: the offer as its owner wrote it. An offer without a document was
-- published by an earlier release; it stands in the document of its dataset, and is completed at the next start.
ALTER TABLE offer ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE offer ADD COLUMN document TEXT NOT NULL DEFAULT '';
ALTER TABLE offer ADD COLUMN odrl TEXT NOT NULL DEFAULT '';
ALTER TABLE offer ADD COLUMN visibility TEXT NOT NULL DEFAULT '';
CREATE INDEX offer_by_visibility ON offer (visibility, dataset);

-- What decides who sees an offer: a row for each distinct policy, however many datasets it is used for.
CREATE TABLE visibility (
    digest TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    open_to TEXT NOT NULL
) STRICT;

-- The terms of delivery that an agreement was compiled to, as JSON.
ALTER TABLE agreement ADD COLUMN delivery TEXT NOT NULL DEFAULT '';

-- The ground that agreements of ours as a provider cover (bounds: as JSON); exclusive is 1 if nobody else may have any of it.
CREATE TABLE exclusivity (
    agreement_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    dataset TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    bounds TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, agreement_id)
) STRICT;

CREATE INDEX exclusivity_of_dataset ON exclusivity (dataset);

-- Agreements that were made before. Where the word stands anywhere, it is read whenever somebody looks.
INSERT INTO exclusivity (agreement_id, counterparty, dataset, exclusive, bounds, created_at)
SELECT id, counterparty, dataset, CASE WHEN document LIKE '%exclusive%' THEN 1 ELSE 0 END, document, created_at
FROM agreement WHERE role = 'provider' AND state <> 'void';

-- Versions of whole tables. Whoever looks at all of one before it writes takes the version along: of two that looked at once, one
-- loses. Whoever keeps what it has read in memory sees by the version that there is more.
CREATE TABLE ledger (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

INSERT INTO ledger (name, version) VALUES ('visibility', 0);
