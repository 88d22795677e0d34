"""A contract log for tests: what it is told is kept in the database of the house, in the transaction of what it tells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connector.log.leaf import TYPES, Draft, LeafType, SealedPayload, leaf_of
from connector.protocol.states import Role
from connector.store.engine import Statement
from tests.flow.house import House, Street

SALT = b"s" * 32
_MAKE = Statement("CREATE TABLE IF NOT EXISTS recorded (seq INTEGER PRIMARY KEY, leaf TEXT NOT NULL, payload TEXT)", (), None)
_KEEP = "INSERT INTO recorded (leaf, payload) VALUES (?, ?)"
_PLAIN = frozenset({"role", "rows", "bytes", "first", "vehicles", "index", "due", "offers", "thumbprint"})


@dataclass
class Recording:
    """A journal that forms each leaf as the log does, and keeps it with its payload in the open."""

    street: Street
    drafts: list[Draft] = field(default_factory=list)
    rung: int = 0

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        """See Journal."""
        self.drafts += drafts
        return [self._kept(draft) for draft in drafts]

    def queued(self) -> None:
        """See Journal."""
        self.rung += 1

    def _kept(self, draft: Draft) -> Statement:
        payload = None if draft.payload is None else orjson.dumps(draft.payload, option=orjson.OPT_SORT_KEYS)
        sealed = None if payload is None else SealedPayload(hashlib.sha256(payload).hexdigest(), "00" * 32, payload)
        leaf = leaf_of(draft, self.street.new_id(), self.street.now, SALT, sealed)
        return Statement(_KEEP, (leaf.decode(), None if payload is None else payload.decode()))


@dataclass(frozen=True)
class Told:
    """A leaf and its payload."""

    said: dict[str, Any]
    payload: dict[str, Any]

    @property
    def line(self) -> str:
        """Its type, and what it says out of closed lists: without numbers, names under the salt, and the state of a process."""
        kind: LeafType = self.said["type"]
        names = [name for name in TYPES[kind] if name in self.said and name not in _PLAIN]
        return f"{kind}: {' '.join(str(self.said[name]) for name in names if (kind, name) != ('message', 'state'))}"


async def record(street: Street) -> dict[Role, Recording]:
    """From now on both houses keep a log."""
    found: dict[Role, Recording] = {}
    for role, house in street.houses.items():
        await house.engine.inner.commit([_MAKE])
        house.journal = found[role] = Recording(street)
        await house.engine.close()
        await house.open()
    return found


async def told(house: House, *types: LeafType) -> list[Told]:
    """What the log of a house has been told, in order; of these types alone, where some are given."""
    rows = await house.store.engine.fetch("SELECT leaf, payload FROM recorded ORDER BY seq")
    found = [Told(orjson.loads(str(leaf)), orjson.loads(str(payload or "{}"))) for leaf, payload in rows]
    return [each for each in found if not types or each.said["type"] in types]


async def lines(house: House, *types: LeafType) -> list[str]:
    """The lines of ``told``."""
    return [each.line for each in await told(house, *types)]
