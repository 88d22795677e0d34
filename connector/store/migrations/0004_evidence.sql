-- Evidence of deliveries: receipts, duties to erase, statements; and what each dataset can be governed by.
ALTER TABLE dataset ADD COLUMN able TEXT NOT NULL DEFAULT '';
