"""How a contract came about and ended, read from the opened lines of the log: messages, offers with redlines, decisions, the end.

Where the log has no word of a negotiation (it is older than the log, or its key was erased), what our record of the process has
stands in its place and says so. Pure: from members of a bundle to members of a bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connector.protocol.redline import changes, comparable
from policies import dsp
from policies.compare import redline
from policies.errors import PolicyInvalid
from policies.explain import Reader, explain_redline
from policies.terms.term import Language

Document = dict[str, Any]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "de", "fr")
_OFFERING: Final = frozenset({"ContractRequestMessage", "ContractOfferMessage"})
_TAKEN: Final = frozenset({"queued", "received"})
"""Events of messages that count: a refused one changed nothing."""
NAMES: Final = frozenset({"@id", "@type", "@context", "assigner", "assignee", "timestamp"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log about this agreement. ``payload`` is what was written beside it, None where it was not opened."""

    index: int
    leaf: Document
    payload: Document | None

    @property
    def document(self) -> Document:
        """The message that the line is about, as far as it is kept; ``{}`` where it is about none."""
        found = (self.payload or {}).get("document")
        return found if isinstance(found, dict) else {}


def lines_of(sources: Mapping[str, bytes]) -> list[Line]:
    """The lines of a bundle in the order of the log, from its members ``leaves/`` and ``payloads/``."""
    found = []
    for name in sorted(each for each in sources if each.startswith("leaves/")):
        number = name.removeprefix("leaves/").removesuffix(".json")
        opened = sources.get(f"payloads/{number}.json")
        payload = None if opened is None else orjson.loads(opened)["payload"]
        found.append(Line(int(number), orjson.loads(sources[name]), payload))
    return found


def messages(lines: Sequence[Line]) -> Iterator[tuple[str, Document]]:
    """The protocol messages as members: name, and the message with what the log says about it."""
    told = (each for each in lines if each.leaf["type"] == "message" and each.leaf.get("channel") == "dsp" and each.document)
    for number, line in enumerate(told, 1):
        # What a peer calls its message names a file: with letters, and whatever else there is of it.
        kind = re.sub(r"[^A-Za-z0-9]", "-", f"{line.document.get('@type', 'Message')!s:.60}")
        name = f"messages/{number:04}-{kind}.json"
        yield (
            name,
            {
                "leaf": line.index,
                "at": line.leaf["time"],
                "direction": line.leaf.get("direction"),
                "event": line.leaf.get("event"),
                "process": line.leaf.get("process"),
                "leftOut": (line.payload or {}).get("removed", []),
                "document": line.document,
            },
        )


def offers(lines: Sequence[Line], record: Document, agreement: Document) -> list[Document]:
    """Each offer in the order in which it was made, who made it, and what it says otherwise than the one before; the last entry
    is the agreement. ``from``: ``log`` or ``record``."""
    made = [_from_line(line, record) for line in lines if _is_offer(line)]
    if not made and record.get("offer"):
        made = [{"from": "record", "by": record.get("offerFrom"), "at": None, "message": None, "offer": record["offer"]}]
    made.append({"from": "agreement", "by": "provider", "at": agreement.get("timestamp"), "message": None, "offer": agreement})
    before: Document | None = None
    for number, each in enumerate(made, 1):
        each["number"] = number
        each["redline"] = [] if before is None else redlined(before, each["offer"])
        before = each["offer"]
    return made


def _is_offer(line: Line) -> bool:
    taken = line.leaf["type"] == "message" and line.leaf.get("event") in _TAKEN and line.document.get("@type") in _OFFERING
    return taken and isinstance(line.document.get("offer"), dict)


def _from_line(line: Line, record: Document) -> Document:
    by = "consumer" if line.document["@type"] == "ContractRequestMessage" else "provider"
    return {
        "from": "log",
        "leaf": line.index,
        "by": by,
        "participant": record["us"] if record["role"] == by else record["counterparty"],
        "at": line.leaf["time"],
        "message": line.document["@type"],
        "offer": line.document["offer"],
    }


def redlined(before: Document, after: Document) -> list[Document]:
    """Each difference with its sentence in three languages; in English alone where the terms cannot be read."""
    found = [dict(change) for change in changes(_placed(before, after), _placed(after, before))]
    if not found:
        return []
    try:
        one, other = dsp.read(_placed(before, after)), dsp.read(_placed(after, before))
    except PolicyInvalid:
        return found
    if not (comparable(one) and comparable(other)):
        return found
    listed = redline(one, other)[: len(found)]
    if len(listed) == len(found):
        for language in LANGUAGES:
            for change, said in zip(found, explain_redline(listed, Reader(language)), strict=True):
                change.setdefault("sentences", {})[language] = said.sentence
    return found


def _placed(document: Document, other: Document) -> Document:
    """The document with the target of the other one where it names none: an offer in a catalogue leaves it to its dataset."""
    return document if "target" in document or "target" not in other else {**document, "target": other["target"]}


def ends_in(history: Sequence[Document]) -> list[Document]:
    """What the agreement says otherwise than the last offer before it; empty where there was none to compare with."""
    return list(history[-1]["redline"]) if len(history) > 1 else []


def decisions(lines: Sequence[Line], record: Document) -> list[Document]:
    """What was decided, at which step, and why; from the log, or where it has nothing from the timeline of the negotiation."""
    found = [
        {
            "from": "log",
            "leaf": line.index,
            "at": line.leaf["time"],
            **{name: line.leaf[name] for name in ("outcome", "step", "code", "process") if name in line.leaf},
            **{name: (line.payload or {})[name] for name in ("code", "reasons", "by") if name in (line.payload or {})},
        }
        for line in lines
        if line.leaf["type"] == "decision"
    ]
    if found:
        return found
    words = {"decided", "approved", "rejected", "waits for a person"}
    return [
        {"from": "record", "at": happened["at"], "outcome": happened["what"], "reasons": [happened["note"]]}
        for process in record["processes"]
        for happened in process["timeline"]
        if happened["what"] in words
    ]


def ending(lines: Sequence[Line], record: Document) -> Document:
    """How the contract and each of its transfers ended, as far as it has."""
    told = [
        {
            "leaf": line.index,
            "at": line.leaf["time"],
            **{name: line.leaf[name] for name in ("kind", "by", "code", "process") if name in line.leaf},
            **{name: (line.payload or {})[name] for name in ("code", "reason") if name in (line.payload or {})},
        }
        for line in lines
        if line.leaf["type"] == "termination"
    ]
    return {
        "agreement": record["state"],
        "terminations": told,
        "processes": [
            {"id": each["id"], "kind": each["kind"], "state": each["state"], "ended": each.get("ended")}
            for each in record["processes"]
        ],
    }
