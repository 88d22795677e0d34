"""The lines of a log as they are read for an audit, and what must hold of each: form, table, order, one id once.

Each rule is a watcher that sees all lines once, in order, and keeps the first thing that is wrong. Pure: no I/O, no clock. May
import `connector.log.leaf` and the ceremony.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import orjson

from connector.audit.ceremony import Flaw, Place, Remarks
from connector.log.leaf import unfit

TOLERANCE_MS: Final = 86_400_000
"""How far the time of a line may lie before that of an earlier one: a line may wait in the outbox of a data plane."""
OF_THE_PAST: Final = frozenset({"key", "participant", "offer"})
"""Lines of these types may tell when something came about before there was a log."""
ENTRIES: Final = "tile/entries"
_MOMENTS: Final = ("time", "first", "due", "closed")
_SHARDS: Final = 256
_DIGEST_BYTES: Final = 16
_INDEX_BYTES: Final = 6


class Line(NamedTuple):
    """An entry of the log. ``said`` is empty where it is no JSON object."""

    number: int
    raw: bytes
    said: Mapping[str, Any]

    @property
    def at_ms(self) -> int:
        """Its time; only for a line that passed."""
        return at_ms(self.said["time"])


def at_ms(text: str) -> int:
    """A moment of a leaf in ms since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def line_of(index: int, raw: bytes) -> Line:
    """Read an entry; what it says is judged by `Forms`."""
    try:
        said = orjson.loads(raw)
    except ValueError:
        said = {}
    return Line(index, raw, said if isinstance(said, dict) else {})


class Watcher(Protocol):
    """Sees all lines of a log in order, in portions."""

    def take(self, lines: Sequence[Line]) -> None:
        """The next lines. Raises Flaw, and sees no more then."""

    def end(self, remarks: Remarks) -> str:
        """After the last: what was found, as a sentence. Raises Flaw."""


def place_of(line: Line, member: str = "") -> Place:
    """Where a line stands."""
    return Place(ENTRIES, line.number, member)


class Forms:
    """Each line is canonical and says nothing that the closed table does not allow."""

    def __init__(self) -> None:
        self._types: dict[str, int] = {}

    def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            said = line.said
            if not said:
                raise Flaw("leaf-not-json", "the line is no JSON object", place_of(line))
            wrong = (unfit(said) or _no_moment(said)) if isinstance(said.get("type"), str) else "type"
            if wrong is not None:
                raise Flaw("leaf-not-allowed", "the table of leaves does not allow this member", place_of(line, wrong))
            # What the table allows is ASCII and whole numbers below 2^53: of these, sorted and without spaces, is RFC 8785.
            if orjson.dumps(said, option=orjson.OPT_SORT_KEYS) != line.raw:
                raise Flaw("leaf-not-canonical", "the line is not the canonical form (RFC 8785) of what it says", place_of(line))
            first = said["type"] == "log"
            if first != (line.number == 0):
                raise Flaw("leaf-first", "a log begins with its line of type log and has one of them", place_of(line, "type"))
            self._types[said["type"]] = self._types.get(said["type"], 0) + 1

    def end(self, remarks: Remarks) -> str:
        for name, count in sorted(self._types.items()):
            remarks.add(f"{name}: {count}")
        return f"{sum(self._types.values())} lines of {len(self._types)} types"


def _no_moment(said: Mapping[str, Any]) -> str | None:
    """The first member that has the form of a moment and is in no calendar."""
    for name in _MOMENTS:
        text = said.get(name)
        if text is not None:
            try:
                datetime.fromisoformat(text)
            except ValueError:
                return name
    return None


class Ids:
    """No id stands in the log twice. Keeps 22 bytes a line."""

    def __init__(self) -> None:
        self._shards = [bytearray() for _ in range(_SHARDS)]

    def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            name = sha256(str(line.said.get("id", line.number)).encode()).digest()[:_DIGEST_BYTES]
            self._shards[name[0]] += name + line.number.to_bytes(_INDEX_BYTES, "big")

    def end(self, remarks: Remarks) -> str:
        del remarks
        found: list[int] = []
        width = _DIGEST_BYTES + _INDEX_BYTES
        total = 0
        for shard in self._shards:
            seen: set[bytes] = set()
            for start in range(0, len(shard), width):
                name = bytes(shard[start : start + _DIGEST_BYTES])
                if name in seen:
                    found.append(int.from_bytes(shard[start + _DIGEST_BYTES : start + width], "big"))
                seen.add(name)
            total += len(seen)
        if found:
            raise Flaw("leaf-replayed", "a line has the id of an earlier one", Place(ENTRIES, min(found), "id"))
        return f"{total} ids, each once"


def _of_the_past(said: Mapping[str, Any]) -> bool:
    return said.get("type") in OF_THE_PAST or (said.get("type") == "agreement" and said.get("state") == "held")


class Order:
    """Time goes on, within a tolerance, and has not gone ahead of now. Lines that tell of the past are not asked."""

    def __init__(self, tolerance_ms: int = TOLERANCE_MS, now_ms: int | None = None) -> None:
        self._tolerance_ms = tolerance_ms
        self._newest = (0, "")
        self._back_ms = 0
        self._limit = None if now_ms is None else now_ms + tolerance_ms
        self._first = ""

    def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            text = line.said.get("time")
            if not isinstance(text, str) or _of_the_past(line.said):
                continue
            # Moments of one form sort as text: only where time goes back is there something to compute.
            if text >= self._newest[1]:
                self._newest = (line.number, text)
                self._first = self._first or text
                continue
            try:
                back = at_ms(self._newest[1]) - at_ms(text)
            except ValueError:
                continue
            if back > self._tolerance_ms:
                reason = f"its time lies {back // 1000} s before that of line {self._newest[0]}"
                raise Flaw("time-went-back", reason, place_of(line, "time"))
            self._back_ms = max(self._back_ms, back)

    def end(self, remarks: Remarks) -> str:
        index, text = self._newest
        if self._limit is not None and text and at_ms(text) > self._limit:
            raise Flaw("time-ahead", "its time has not come yet", Place(ENTRIES, index, "time"))
        if self._back_ms:
            remarks.add(f"at most {self._back_ms / 1000:g} s back from one line to a later one")
        return f"from {self._first or '-'} to {text or '-'}"
