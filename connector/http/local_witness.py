"""What the owner is shown of witnessing, by participant, and the word by which it accepts a log that contradicted itself."""

from __future__ import annotations

from connector.flow.halted import SAID
from connector.protocol.messages import Document
from connector.store.witness import Witness


def witness_shown(row: Witness | None) -> Document:
    """A participant's log and ours, as its owner sees them. Times are ms since the epoch, None for never."""
    if row is None:
        return {"state": "not-witnessed"}
    found: Document = {
        "state": _state(row),
        "cosignedSize": row.cosigned_size,
        "cosignedAt": row.cosigned_at or None,
        "seenSize": row.seen_size,
        "seenAt": row.seen_at or None,
        "refused": row.refused or None,
        "refusal": row.refusal or None,
        "split": None,
        "accepted": None,
    }
    if row.split_code:
        said = SAID.get(row.split_code, "contradicted itself")
        notes = {"seen": row.seen_note, "shown": row.split_note}
        found["split"] = {"code": row.split_code, "said": said, "at": row.split_at, **notes}
    if row.accepted_at:
        found["accepted"] = {"at": row.accepted_at, "reason": row.accepted_reason}
    return found


def _state(row: Witness) -> str:
    if row.split_code:
        return "split-view"
    if row.refused or row.refusal:
        return "refused"
    return "witnessed" if row.cosigned_size or row.seen_size else "not-witnessed"
