"""What two documents of one negotiation say otherwise, by their terms. Pure: reads policies, compares them, and nothing else.

Who compares documents member by member refuses the same terms in other words; who compares what could be read of them passes over
what could not. So documents that differ as they stand are read and compared term by term, and what cannot be read differs.
"""

from __future__ import annotations

from typing import Final

from connector.protocol.messages import Document
from policies import dsp
from policies.compare import differences, redline
from policies.errors import PolicyInvalid
from policies.explain import explain_redline

_NAMES: Final = frozenset({"@id", "@type", "@context", "assigner", "assignee", "timestamp"})
_COMPARED: Final = frozenset({"target", "profile", "permission", "prohibition", "obligation"})
CHANGES_MOST: Final = 100
"""Changes that a redline lists; a policy with more is another policy."""


def changes(before: Document, after: Document) -> list[Document]:
    """What ``after`` says otherwise than ``before``: kind, term, path (JSON pointers in both) and a sentence; empty: the same."""
    if before.keys() - _NAMES - _COMPARED == after.keys() - _NAMES - _COMPARED and not differences(before, after):
        return [_member(name) for name in sorted(before.keys() - _NAMES - _COMPARED) if before[name] != after[name]]
    try:
        found = redline(dsp.read(before), dsp.read(after))[:CHANGES_MOST]
    except PolicyInvalid as invalid:
        unread = {"kind": "changed", "term": invalid.code, "path": invalid.path, "sentence": invalid.reason}
        return [*(_member(sentence.split(" ", 1)[0]) for sentence in differences(before, after)), unread]
    if not found:
        return []
    return [
        {
            "kind": change.kind,
            "term": change.term,
            "path": change.other_path or change.path or "",
            "sentence": said.sentence,
        }
        for change, said in zip(found, explain_redline(found), strict=True)
    ]


def _member(name: str) -> Document:
    return {"kind": "changed", "term": name, "path": f"/{name}", "sentence": f"{name} is not the same"}
