"""What is on offer by definitions: made of one version of all of them, and of the assets as they are.

Whatever is offered of an asset follows from the asset, the contract definitions and their policies. So a commit that offers
something is guarded by the version of all definitions (``ledger``) and by that of the asset: who has lost that race looks again.
The SQL of it stands here alone. May import the engine and the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from connector.management.model import Asset
from connector.store.engine import Engine, Statement

AT_ONCE: Final = 500
"""Most ids in one query."""


def unchanged(version: int) -> Statement:
    """Holds if no definition was changed since ``version``, until the commit is over."""
    return Statement("UPDATE ledger SET version = version WHERE name = 'definitions' AND version = ?", (version,))


def changed(version: int) -> Statement:
    """The same, and a definition is changed by this commit."""
    return Statement("UPDATE ledger SET version = version + 1 WHERE name = 'definitions' AND version = ?", (version,))


def still(asset: Asset) -> Statement:
    """Holds if the asset is as it was read."""
    sql = "UPDATE asset SET version = version WHERE id = ? AND version = ? AND created_at = ?"
    return Statement(sql, (asset.id, asset.version, asset.created_at))


def keep_source(asset_id: str, source: str) -> Statement:
    """What the data plane has found out about an asset's data (JSON); empty: it has none."""
    return Statement("UPDATE asset SET source = ? WHERE id = ?", (source, asset_id))


def take_off(dataset_id: str, now_ms: int) -> list[Statement]:
    """Nothing of a dataset is on offer any more."""
    sql = "UPDATE dataset SET withdrawn_at = ? WHERE id = ? AND withdrawn_at IS NULL"
    return [
        Statement(sql, (now_ms, dataset_id), expect=None),
        Statement("DELETE FROM offer WHERE dataset = ?", (dataset_id,), expect=None),
    ]


@dataclass(frozen=True, slots=True)
class Stock:
    """What the data plane has found out about an asset's data (JSON; empty: there are none), and whether there may be agreements
    about it, whose ground is to be looked at."""

    source: str = ""
    promised: bool = True


class ProjectionStore:
    """Reads of what has to be looked at."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def version(self) -> int:
        """The version of all definitions."""
        rows = await self._engine.fetch("SELECT version FROM ledger WHERE name = 'definitions'")
        return int(cast("int", rows[0][0]))

    async def stocked(self, ids: Sequence[str]) -> dict[str, Stock]:
        """What is kept about the data of assets, by id."""
        found: dict[str, Stock] = {}
        for start in range(0, len(ids), AT_ONCE):
            part = tuple(ids[start : start + AT_ONCE])
            rows = await self._engine.fetch(
                "SELECT a.id, a.source, EXISTS (SELECT 1 FROM exclusivity e WHERE e.dataset = a.id) FROM asset a "
                f"WHERE a.id IN ({', '.join('?' * len(part))})",
                part,
            )
            found |= {str(row[0]): Stock(str(row[1]), bool(row[2])) for row in rows}
        return found

    async def orphaned(self) -> list[str]:
        """Contract definitions that are gone while offers of them stand."""
        rows = await self._engine.fetch(
            "SELECT DISTINCT o.definition FROM offer o WHERE o.definition <> '' "
            "AND NOT EXISTS (SELECT 1 FROM contract_definition c WHERE c.id = o.definition)",
        )
        return [cast("str", row[0]) for row in rows]

    async def published_directly(self, dataset_id: str) -> bool:
        """Whether a dataset is on offer that no contract definition offers."""
        rows = await self._engine.fetch(
            "SELECT 1 FROM dataset d WHERE d.id = ? AND d.withdrawn_at IS NULL "
            "AND EXISTS (SELECT 1 FROM offer o WHERE o.dataset = d.id AND o.definition = '')",
            (dataset_id,),
        )
        return bool(rows)

    async def naming(self, text: str, after: str, limit: int) -> list[str]:
        """The next assets by id whose data address has a text somewhere."""
        pattern = msgspec.json.encode(text).decode().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        sql = "SELECT id FROM asset WHERE id > ? AND data_address LIKE ? ESCAPE '!' ORDER BY id LIMIT ?"
        return [cast("str", row[0]) for row in await self._engine.fetch(sql, (after, f"%{pattern}%", limit))]
