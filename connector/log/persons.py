"""Whose keys the log has: the seam that use cases index vehicles and erase subjects through, and its only implementation.

Names of vehicles come in, pseudonyms and digests go out; nothing here is logged. Blocking work goes to threads. May import this
package and the errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from connector.log.folder import LogFolder
from connector.log.payloads import Payloads
from connector.log.subjects import Found, SubjectKeys
from connector.log.vehicle_index import (
    Derive,
    SealedIndex,
    holds,
    opened_index,
    sealed_index,
    subject_name,
    vehicle_name,
)
from connector.protocol.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Indexed:
    """An index that stands beside the log: its digest (hex) and how many vehicles are in it."""

    sha256: str
    vehicles: int


class Persons(Protocol):
    """Subjects of the log and their keys. Everything raises Unavailable where the files cannot be used."""

    async def index(self, context: str, vehicles: Sequence[str]) -> Indexed | None:
        """Put the index of these vehicles and the process ``context`` beside the log; on disk when this returns. None: no log."""

    async def named(self, vehicle: str) -> str:
        """The pseudonym of a vehicle in the log."""

    async def among(self, context: str, digest: str, name: str) -> bool | None:
        """Whether the vehicle of a pseudonym is in an index of the log; None: nobody can tell (any more)."""

    async def find(self, subject: str) -> Found | None:
        """What is known of a subject (``party:<id>``, or `subject_name`); None: it never had a key."""

    async def erase(self, subject: str) -> str | None:
        """Destroy the key of a subject; the id that it had, or None if it never had one."""

    async def lines(self, name: str) -> list[dict[str, Any]]:
        """The leaves of the log, with their ``index``, of which the vehicle of a pseudonym is in the index."""


class NoPersons:
    """Where no log is kept."""

    async def index(self, context: str, vehicles: Sequence[str]) -> Indexed | None:
        """None."""
        del context, vehicles
        return None

    async def named(self, vehicle: str) -> str:
        """Raises Unavailable."""
        del vehicle
        raise Unavailable("log-missing", "no log is kept here")

    async def among(self, context: str, digest: str, name: str) -> bool | None:
        """None."""
        del context, digest, name
        return None

    async def find(self, subject: str) -> Found | None:
        """None."""
        del subject
        return None

    async def erase(self, subject: str) -> str | None:
        """None."""
        del subject
        return None

    async def lines(self, name: str) -> list[dict[str, Any]]:
        """Nothing."""
        del name
        return []


@dataclass(frozen=True, slots=True)
class LogPersons:
    """The subjects of one log. ``forget`` is told of each subject whose key was erased."""

    keys: SubjectKeys
    payloads: Payloads
    now_ms: Callable[[], int]
    folder: LogFolder | None = None
    forget: Callable[[str], None] = lambda _: None

    @property
    def derive(self) -> Derive:
        """What names and indexes are made with."""
        return self.keys.derived

    async def index(self, context: str, vehicles: Sequence[str]) -> Indexed | None:
        """See `Persons`."""
        made = await asyncio.to_thread(self._index, context, vehicles)
        return Indexed(made.sha256, made.vehicles)

    def _index(self, context: str, vehicles: Sequence[str]) -> SealedIndex:
        names = [subject_name(vehicle_name(self.derive, vehicle)) for vehicle in dict.fromkeys(vehicles)]
        made = sealed_index(self.derive, context, self.keys.keys(names, self.now_ms()))
        self.payloads.put([(made.sha256, made.ciphertext)])
        return made

    async def named(self, vehicle: str) -> str:
        """See `Persons`."""
        return vehicle_name(self.derive, vehicle)

    async def among(self, context: str, digest: str, name: str) -> bool | None:
        """See `Persons`."""
        return await asyncio.to_thread(self._among, context, digest, name)

    def _among(self, context: str, digest: str, name: str) -> bool | None:
        found, sealed = self.keys.find(subject_name(name)), self.payloads.get(digest)
        if found is None or found.key is None or sealed is None:
            return None
        return holds(opened_index(self.derive, context, sealed), found.key, context)

    async def find(self, subject: str) -> Found | None:
        """See `Persons`."""
        return await asyncio.to_thread(self.keys.find, subject)

    async def erase(self, subject: str) -> str | None:
        """See `Persons`."""
        erased = await asyncio.to_thread(self.keys.erase, subject, self.now_ms())
        self.forget(subject)
        return erased

    async def lines(self, name: str) -> list[dict[str, Any]]:
        """See `Persons`. Raises LogDamaged."""
        return await asyncio.to_thread(self._lines, name)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        entries = [] if self.folder is None else self.folder.entries(0, self.folder.size())
        for number, entry in enumerate(entries):
            if b'"index"' not in entry:
                continue
            leaf = orjson.loads(entry)
            if self._among(str(leaf.get("process", "")), str(leaf.get("index", "")), name):
                found.append({"index": number, "leaf": leaf})
        return found
