"""Two questions that are asked most, answered from the verified lines alone: what was delivered after an end, and which
agreements exchanged data of a vehicle.

An answer names the lines that it is computed from. May import `connector.log` and the asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, Protocol

from connector.audit.asking import Answer, Log, Opener, Scope, filter_of, pick
from connector.audit.lines import Line, at_ms
from connector.log.vehicle_index import Derive, holds, opened_index, subject_name
from connector.protocol.errors import CarnetError, NotFound

ENDS: Final = frozenset({"void"})
DELIVERING: Final = frozenset({"left"})
"""States of a receipt that say that the delivery begins now."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery after an end: the line of the delivery, that of the end, and how long after (ms)."""

    delivery: Line
    end: Line
    after_ms: int


@dataclass(frozen=True, slots=True)
class AfterEnd:
    """What was delivered after an end. ``ends`` and ``deliveries`` are all lines that were looked at."""

    answer: Answer
    ends: tuple[Line, ...]
    deliveries: tuple[Line, ...]
    after: tuple[Delivery, ...]

    @property
    def result(self) -> Literal["yes", "no", "nothing-ended"]:
        """Whether anything was."""
        return "yes" if self.after else "no" if self.ends else "nothing-ended"

    @property
    def lines(self) -> tuple[Line, ...]:
        """All that the answer is computed from."""
        return tuple(sorted((*self.ends, *self.deliveries)))


def delivered_after_termination(log: Log, scope: Scope) -> AfterEnd:
    """Was anything delivered after its transfer, negotiation or agreement had ended? Raises as `lines_in`.

    A delivery is dated by its first byte, where the line says that, else by the line that says that it begins.
    """
    inside = filter_of(log, scope)
    answer = pick(log, lambda line: (_is_end(line) or line.said.get("type") == "receipt") and inside(line))
    ends = tuple(line for line in answer.lines if _is_end(line))
    processes: dict[str, Line] = {}
    whole: dict[str, Line] = {}
    for line in ends:
        if line.said.get("kind") == "transfer":
            processes.setdefault(line.said.get("process", ""), line)
        else:
            whole.setdefault(line.said.get("contract", ""), line)
    looked: list[Line] = []
    after: list[Delivery] = []
    for line in answer.lines:
        if _is_end(line):
            continue
        candidates = (processes.get(line.said.get("process", "")), whole.get(line.said.get("contract", "")))
        first = min((end for end in candidates if end is not None), key=lambda end: end.at_ms, default=None)
        if first is None:
            continue
        looked.append(line)
        began = _began(line)
        if began is not None and began > first.at_ms:
            after.append(Delivery(line, first, began - first.at_ms))
    return AfterEnd(answer, ends, tuple(looked), tuple(after))


def _is_end(line: Line) -> bool:
    kind = line.said.get("type")
    return kind == "termination" or (kind == "agreement" and line.said.get("state") in ENDS)


def _began(line: Line) -> int | None:
    if (first := line.said.get("first")) is not None:
        return at_ms(first)
    return line.at_ms if line.said.get("state") in DELIVERING else None


class Vehicles(Protocol):
    """Who has the keys of vehicles: `SubjectKeys`."""

    @property
    def derived(self) -> Derive:
        """Makes the secrets of indexes."""

    def find(self, name: str) -> Any:
        """What is known of a subject: ``key``, ``key_id``; None: nothing."""


@dataclass(frozen=True, slots=True)
class OfVehicle:
    """Which agreements exchanged data of a vehicle. ``result`` is ``erased`` where its key is gone and the line that attests it
    is in the log; ``unattested`` where the key is gone and no line says so."""

    answer: Answer
    result: Literal["yes", "no", "erased", "unattested"]
    lines: tuple[Line, ...]
    searched: int

    @property
    def contracts(self) -> tuple[str, ...]:
        """The salted names of the agreements, in the order of their first line."""
        return tuple(dict.fromkeys(line.said["contract"] for line in self.lines if "contract" in line.said))


def agreements_of_vehicle(log: Log, vehicles: Vehicles, pseudonym: str) -> OfVehicle:
    """Which agreements exchanged data of the vehicle with this pseudonym of the log. Raises as `pick`, and NotFound for a
    pseudonym that never had a key."""
    found = vehicles.find(subject_name(pseudonym))
    if found is None:
        reason = "no vehicle has this pseudonym in the log; make it again with: carnet subject name"
        raise NotFound("vehicle-unknown", reason)
    answer = pick(log, lambda line: "index" in line.said or line.said.get("type") == "subject")
    indexed = [line for line in answer.lines if "index" in line.said]
    if found.key is None:
        attested = tuple(line for line in answer.lines if line.said.get("key") == found.key_id)
        return OfVehicle(answer, "erased" if attested else "unattested", attested, len(indexed))
    with Opener(log) as opener:
        lines = tuple(line for line in indexed if _has(opener, vehicles.derived, line, found.key))
    return OfVehicle(answer, "yes" if lines else "no", lines, len(indexed))


def _has(opener: Opener, derive: Derive, line: Line, key: bytes) -> bool:
    """Whether the index beside a line has the vehicle. Raises CarnetError if it is not what the line says."""
    ciphertext = opener.row(line.said["index"])
    if ciphertext is None or sha256(ciphertext).hexdigest() != line.said["index"]:
        raise CarnetError("index-changed", f"the index of line {line.number} is not what the line says; verify the log again")
    context = line.said.get("process", "")
    return holds(opened_index(derive, context, ciphertext), key, context)
