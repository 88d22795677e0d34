"""Two questions that are asked most, answered from the verified lines alone: what was delivered after an end, and which
agreements exchanged data of a vehicle.

An answer names the lines that it is computed from. May import `connector.log` and the asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Literal, Protocol

from connector.audit.asking import Answer, Log, Opener, Scope, filter_of, pick
from connector.audit.lines import Line, at_ms
from connector.log.leaf import salted
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
    """What was delivered after an end. ``ends`` and ``deliveries`` are all lines that were looked at. ``after``: of each delivery
    the first line. ``across``: of deliveries that had begun before the end, the lines that told of them after it; when their last
    byte left, no line says. ``undated``: lines of deliveries told after the end, of which no line says when they began."""

    answer: Answer
    ends: tuple[Line, ...]
    deliveries: tuple[Line, ...]
    after: tuple[Delivery, ...]
    across: tuple[Line, ...] = ()
    undated: tuple[Line, ...] = ()

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

    A delivery is dated by its first byte, where the line says that, else by the line that says that it begins. The times and the
    asset of the scope are those of deliveries: an end counts whenever it was, and whatever else it was about.
    """
    wanted = _Wanted(log, scope)
    answer = pick(log, wanted.takes)
    ends = tuple(line for line in answer.lines if _is_end(line))
    ended = _Ends(ends)
    looked: list[Line] = []
    after: dict[tuple[str, str], Delivery] = {}
    told: dict[tuple[str, str], Line] = {}
    for line in answer.lines:
        end = ended.of(line) if line.said["type"] == "receipt" and wanted.inside(line) else None
        if end is None:
            continue
        looked.append(line)
        began, delivery = _began(line), (line.said.get("contract", ""), line.said.get("process", line.said["id"]))
        if began is not None and began > end.at_ms:
            after.setdefault(delivery, Delivery(line, end, began - end.at_ms))
        elif line.at_ms > end.at_ms:
            told.setdefault(delivery, line)
    dated = {(line.said.get("contract", ""), line.said.get("process", "")) for line in looked if _began(line) is not None}
    across = tuple(line for delivery, line in told.items() if delivery in dated and delivery not in after)
    undated = tuple(line for delivery, line in told.items() if delivery not in dated)
    return AfterEnd(answer, ends, tuple(looked), tuple(after.values()), across, undated)


class _Wanted:
    """The lines of the question: ends, deliveries, and agreements, which say which dataset a delivery is of."""

    def __init__(self, log: Log, scope: Scope) -> None:
        everywhere = replace(scope, asset="", from_ms=None, until_ms=None, events=frozenset())
        self._with = filter_of(log, everywhere)
        self._when = filter_of(log, replace(Scope(), from_ms=scope.from_ms, until_ms=scope.until_ms))
        self._asset = salted(log.salt(), "asset", scope.asset) if scope.asset else ""
        self._contracts: set[str] = set()

    def takes(self, line: Line) -> bool:
        """Whether a line is looked at."""
        if not self._with(line):
            return False
        if line.said["type"] == "agreement" and line.said.get("asset") == self._asset and "contract" in line.said:
            self._contracts.add(line.said["contract"])
        return _is_end(line) or line.said["type"] == "receipt"

    def inside(self, line: Line) -> bool:
        """Whether a delivery is in the scope: a line of one need not name its dataset where its agreement does."""
        if not self._when(line):
            return False
        return not self._asset or line.said.get("asset") == self._asset or line.said.get("contract") in self._contracts


class _Ends:
    """The first end, by its time, of each process and each agreement."""

    def __init__(self, ends: Iterable[Line]) -> None:
        self._processes: dict[str, Line] = {}
        self._contracts: dict[str, Line] = {}
        for line in sorted(ends, key=lambda each: each.at_ms):
            ended, member = (self._processes, "process") if line.said.get("kind") == "transfer" else (self._contracts, "contract")
            # What had come to no agreement, or to no transfer, ends none of others.
            if member in line.said:
                ended.setdefault(line.said[member], line)

    def of(self, line: Line) -> Line | None:
        """What ended what this line is about."""
        found = (self._processes.get(line.said.get("process", "")), self._contracts.get(line.said.get("contract", "")))
        return min((end for end in found if end is not None), key=lambda end: end.at_ms, default=None)


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
