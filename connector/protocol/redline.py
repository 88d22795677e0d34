"""What two documents of one negotiation say otherwise, by their terms. Pure: reads policies, compares them, and nothing else.

Who compares documents member by member refuses the same terms in other words; who compares what could be read of them passes over
what could not. So documents that differ as they stand are read and compared term by term, and what cannot be read differs.
"""

from __future__ import annotations

from typing import Final

from connector.protocol.messages import Document
from policies import dsp
from policies.compare import differences, redline
from policies.containment import contains
from policies.errors import PolicyInvalid
from policies.explain import explain_redline
from policies.model import Policy
from policies.walk import atoms, conditions, duties, rules

_NAMES: Final = frozenset({"@id", "@type", "@context", "assigner", "assignee", "timestamp"})
_TOO_MANY: Final = "there are too many terms to compare them one by one"
_COMPARED: Final = frozenset({"target", "profile", "permission", "prohibition", "obligation"})
CHANGES_MOST: Final = 100
"""Changes that a redline lists; a policy with more is another policy."""
TERMS_MOST: Final = 300
"""Rules and constraints of a policy that is compared term by term: the time that takes grows with their square."""


def changes(before: Document, after: Document) -> list[Document]:
    """What ``after`` says otherwise than ``before``: kind, term, path (JSON pointers in both) and a sentence; empty: the same."""
    if before.keys() - _NAMES - _COMPARED == after.keys() - _NAMES - _COMPARED and not differences(before, after):
        found = [_member(name) for name in sorted(before.keys() - _NAMES - _COMPARED) if before[name] != after[name]]
        return found or _garbled(before, after)
    members = [_member(sentence.split(" ", 1)[0]) for sentence in differences(before, after)]
    try:
        one, other = dsp.read(before), dsp.read(after)
    except PolicyInvalid as invalid:
        return [*members, _unreadable(invalid)]
    if not (comparable(one) and comparable(other)):
        return [*members, {"kind": "changed", "term": "terms-too-many", "path": "", "sentence": _TOO_MANY}]
    listed = redline(one, other)[:CHANGES_MOST]
    if not listed:
        return []
    return [
        {
            "kind": change.kind,
            "term": change.term,
            "path": change.other_path or change.path or "",
            "sentence": said.sentence,
        }
        for change, said in zip(listed, explain_redline(listed), strict=True)
    ]


def covers(proposed: Document, other: Document) -> bool:
    """Whether who has proposed the one has proposed the other with it, in whatever words: it permits no more and asks no less,
    or nobody can tell."""
    if not differences(proposed, other):
        return True
    try:
        wider, narrower = dsp.read(proposed), dsp.read(other)
    except PolicyInvalid:
        return False
    return contains(wider, narrower) if comparable(wider) and comparable(narrower) else True


def _garbled(before: Document, after: Document) -> list[Document]:
    """What makes ``after`` unreadable where ``before`` can be read and, but for names and types of its parts, says the same."""
    if all(before.get(name) == after.get(name) for name in _COMPARED):
        return []
    try:
        dsp.read(before)
    except PolicyInvalid:
        return []
    try:
        dsp.read(after)
    except PolicyInvalid as invalid:
        return [_unreadable(invalid)]
    return []


def _unreadable(invalid: PolicyInvalid) -> Document:
    return {"kind": "changed", "term": invalid.code, "path": invalid.path, "sentence": invalid.reason}


def comparable(policy: Policy) -> bool:
    """Whether a policy has so few terms that it is compared with another one by one."""
    stated = [condition for placed in rules(policy) for condition in conditions(placed.path, placed.rule)]
    owed = [duty for placed in rules(policy) for duty in duties(placed.path, placed.rule)]
    counted = sum(1 for path, condition in stated for _ in atoms(path, condition)) + sum(
        1 + len(duty.action.refinements) for _, duty in owed
    )
    return counted + sum(1 for _ in rules(policy)) <= TERMS_MOST


def _member(name: str) -> Document:
    return {"kind": "changed", "term": name, "path": f"/{name}", "sentence": f"{name} is not the same"}
