-- What each counterparty has seen of our log, and we of its log. told_size, told_root: to there it has our log, as it last said; the
-- next proof begins there. shown_*: the checkpoint that it was shown last (time in seconds, never going back). cosigned_*: the last
-- one that it cosigned, with its line. refused: the code with which it last refused. retries: checkpoints shown again since the last
-- success. seen_*: the last checkpoint of its log that we cosigned. handed: a verifier key of its log that an older one announced.
-- refusal: the code with which we last refused. split_*: the checkpoint that contradicts seen_note, and how, until the operator
-- accepts the log as it is.
CREATE TABLE witness (
    counterparty TEXT PRIMARY KEY,
    told_size INTEGER NOT NULL DEFAULT 0,
    shown_size INTEGER NOT NULL DEFAULT 0,
    shown_note TEXT NOT NULL DEFAULT '',
    shown_time INTEGER NOT NULL DEFAULT 0,
    shown_message TEXT NOT NULL DEFAULT '',
    cosigned_size INTEGER NOT NULL DEFAULT 0,
    cosigned_note TEXT NOT NULL DEFAULT '',
    cosigned_at INTEGER NOT NULL DEFAULT 0,
    refused TEXT NOT NULL DEFAULT '',
    retries INTEGER NOT NULL DEFAULT 0,
    asked_at INTEGER NOT NULL DEFAULT 0,
    seen_size INTEGER NOT NULL DEFAULT 0,
    seen_root TEXT NOT NULL DEFAULT '',
    seen_note TEXT NOT NULL DEFAULT '',
    seen_time INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL DEFAULT 0,
    handed TEXT NOT NULL DEFAULT '',
    refusal TEXT NOT NULL DEFAULT '',
    split_code TEXT NOT NULL DEFAULT '',
    split_note TEXT NOT NULL DEFAULT '',
    split_at INTEGER NOT NULL DEFAULT 0,
    accepted_at INTEGER NOT NULL DEFAULT 0,
    accepted_reason TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What came of a counterparty and is still to be verified: the newest of each kind. kind: shown or answer.
CREATE TABLE witness_inbox (
    counterparty TEXT NOT NULL,
    kind TEXT NOT NULL,
    message_id TEXT NOT NULL,
    document TEXT NOT NULL,
    tries INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (counterparty, kind)
) STRICT;
