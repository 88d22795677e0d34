"""The SQL of what is on offer: datasets, their offers, who sees them, and pages of the catalogue by keyset.

A page costs what it holds, however much is on offer: who sees few policies is served from the index of each (at most
``MERGED_MOST`` of them), and who sees many finds a page full near the place where it begins. May import the engine and its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, cast

from connector.store.engine import Engine, Statement, Value
from connector.store.rows import Offered, Published, Visibility

MERGED_MOST: Final = 16
"""Most policies whose indexes are merged; beyond it datasets are looked through in their order."""
CHUNK_LEAST: Final = 16
CHUNK_MOST: Final = 4096
"""Offers looked through at a time."""
AT_ONCE: Final = 500
"""Most ids in one query."""
ROWS_MOST: Final = 100_000
"""Most offers of a page."""

_DATASET: Final = ", ".join(field.name for field in fields(Published))
_OFFER: Final = ", ".join(field.name for field in fields(Offered))
_published = attrgetter(*(field.name for field in fields(Published)))
_offered = attrgetter(*(field.name for field in fields(Offered)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page is narrowed to: every one of ``words`` (lower case), and a theme by IRI. Nothing: everything."""

    words: tuple[str, ...] = ()
    theme: str | None = None

    def condition(self) -> tuple[str, tuple[Value, ...]]:
        """SQL about the dataset ``d``, and its values."""
        sought = [("d.words", word) for word in self.words]
        if self.theme is not None:
            sought.append(("d.theme", f"\n{self.theme}\n"))
        sql = "".join(f" AND {column} LIKE ? ESCAPE '!'" for column, _ in sought)
        return sql, tuple(f"%{_escaped(text)}%" for _, text in sought)


@dataclass(frozen=True, slots=True)
class Shown:
    """A dataset as it stands in a page, without its offers, and those of them that somebody sees, as JSON texts."""

    id: str
    brief: str
    offers: tuple[str, ...]


def publish_dataset(dataset: Published, offers: Sequence[Offered], visibilities: Collection[Visibility] = ()) -> list[Statement]:
    """Put a dataset on offer, or replace what is offered of it. Loses the race if an offer id belongs to another dataset."""
    columns, slots = _DATASET, _slots(len(fields(Published)))
    renewed = ", ".join(f"{field.name} = excluded.{field.name}" for field in fields(Published)[1:])
    return [
        *keep_visibilities(visibilities),
        Statement(
            f"INSERT INTO dataset ({columns}) VALUES {slots} ON CONFLICT (id) DO UPDATE SET {renewed}", _published(dataset)
        ),
        Statement("DELETE FROM offer WHERE dataset = ?", (dataset.id,), expect=None),
        *(Statement(f"INSERT INTO offer ({_OFFER}) VALUES {_slots(len(fields(Offered)))}", _offered(each)) for each in offers),
    ]


def still_published(dataset_id: str, published_at: int) -> Statement:
    """Loses the race unless a dataset is on offer as it was published then."""
    return Statement(
        "UPDATE dataset SET published_at = published_at WHERE id = ? AND published_at = ? AND withdrawn_at IS NULL",
        (dataset_id, published_at),
    )


def keep_visibilities(visibilities: Collection[Visibility]) -> list[Statement]:
    """Keep what decides who sees an offer; if any of it is new, whoever remembers all of it sees so by the version."""
    if not visibilities:
        return []
    ordered = sorted({each.digest: each for each in visibilities}.values(), key=lambda each: each.digest)
    digests = tuple(each.digest for each in ordered)
    renew = (
        "UPDATE ledger SET version = version + 1 WHERE name = 'visibility' AND "
        f"(SELECT count(*) FROM visibility WHERE digest IN {_slots(len(digests))}) < ?"
    )
    insert = "INSERT INTO visibility (digest, policy, open_to, access) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
    return [
        Statement(renew, (*digests, len(digests)), expect=None),
        *(Statement(insert, (each.digest, each.policy, each.open_to, each.access), expect=None) for each in ordered),
    ]


def complete_dataset(dataset_id: str, brief: str, words: str, offers: Sequence[Offered]) -> list[Statement]:
    """What an earlier release did not keep; loses the race if it is complete by now."""
    return [
        Statement(
            "UPDATE dataset SET brief = ?, words = ? WHERE id = ? AND brief = ''",
            (brief, words, dataset_id),
        ),
        *(
            Statement(
                "UPDATE offer SET position = ?, document = ?, visibility = ? WHERE id = ? AND dataset = ?",
                (each.position, each.document, each.visibility, each.id, dataset_id),
            )
            for each in offers
        ),
    ]


class Shelf:
    """Reads of what is on offer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def offers(self, dataset_id: str) -> list[Offered]:
        """The offers of a dataset in the owner's order."""
        rows = await self._engine.fetch(f"SELECT {_OFFER} FROM offer WHERE dataset = ? ORDER BY position, id", (dataset_id,))
        return [Offered(*cast("Any", row)) for row in rows]

    async def offer(self, offer_id: str) -> Offered | None:
        """An offer by its id."""
        rows = await self._engine.fetch(f"SELECT {_OFFER} FROM offer WHERE id = ?", (offer_id,))
        return Offered(*cast("Any", rows[0])) if rows else None

    async def approval(self, offer_id: str, dataset_id: str) -> str | None:
        """The rule by which people are asked about an offer of a dataset, as JSON; empty: it has none; None: no such offer."""
        rows = await self._engine.fetch("SELECT approval FROM offer WHERE id = ? AND dataset = ?", (offer_id, dataset_id))
        return cast("str", rows[0][0]) if rows else None

    async def access(self, offer_id: str, dataset_id: str) -> Visibility | None:
        """What decides who sees an offer of a dataset, if it was made of a contract definition."""
        sql = (
            "SELECT v.digest, v.policy, v.open_to, v.access FROM offer o JOIN visibility v ON v.digest = o.visibility "
            "WHERE o.id = ? AND o.dataset = ? AND o.definition <> ''"
        )
        rows = await self._engine.fetch(sql, (offer_id, dataset_id))
        return Visibility(*cast("Any", rows[0])) if rows else None

    async def on_offer(self, *, after: tuple[str, str] = ("", ""), dataset: str = "", limit: int = 100) -> list[Offered]:
        """A page of the offers of datasets that are on offer, in order of dataset and id; of one dataset, where it is named."""
        columns = ", ".join(f"o.{name}" for name in _OFFER.split(", "))
        rows = await self._engine.fetch(
            f"SELECT {columns} FROM offer o JOIN dataset d ON d.id = o.dataset WHERE d.withdrawn_at IS NULL "
            "AND (o.dataset, o.id) > (?, ?) AND (? = '' OR o.dataset = ?) ORDER BY o.dataset, o.id LIMIT ?",
            (*after, dataset, dataset, limit),
        )
        return [Offered(*cast("Any", row)) for row in rows]

    async def of_asset(self, dataset_id: str) -> bool:
        """Whether a dataset is that of an asset, and so offered by contract definitions alone."""
        return bool(await self._engine.fetch("SELECT 1 FROM asset WHERE id = ?", (dataset_id,)))

    async def version(self) -> int:
        """The version of all that decides who sees what; it grows when something is added."""
        rows = await self._engine.fetch("SELECT version FROM ledger WHERE name = 'visibility'")
        return int(cast("int", rows[0][0]))

    async def digests(self) -> list[str]:
        """The digests of all that decides who sees what."""
        found: list[str] = []
        sql = "SELECT digest FROM visibility WHERE digest > ? ORDER BY digest LIMIT ?"
        while page := await self._engine.fetch(sql, (found[-1] if found else "", CHUNK_MOST)):
            found += [cast("str", row[0]) for row in page]
        return found

    async def visibilities(self, digests: Sequence[str]) -> list[Visibility]:
        """What decides who sees what, by digest."""
        found: list[Visibility] = []
        for part in _parts(digests):
            sql = f"SELECT digest, policy, open_to, access FROM visibility WHERE digest IN {_slots(len(part))}"
            found += [Visibility(*cast("Any", row)) for row in await self._engine.fetch(sql, part)]
        return found

    async def visible(self, seen: Collection[str], after: str, limit: int, wanted: Wanted = Wanted()) -> list[str]:
        """The ids, in order after ``after``, of at most ``limit`` datasets with an offer that one of ``seen`` (digests) shows."""
        if not seen:
            return []
        look = self._merged if len(seen) <= MERGED_MOST else self._looked_through
        return await look(seen, after, limit, wanted)

    async def _merged(self, seen: Collection[str], after: str, limit: int, wanted: Wanted) -> list[str]:
        condition, values = wanted.condition()
        one = (
            "SELECT * FROM (SELECT DISTINCT o.dataset AS id FROM offer o JOIN dataset d ON d.id = o.dataset "
            f"WHERE o.visibility = ? AND o.dataset > ? AND d.withdrawn_at IS NULL{condition} ORDER BY o.dataset LIMIT ?) AS s{{}}"
        )
        union = " UNION ".join(one.format(number) for number in range(len(seen)))
        params = [value for digest in seen for value in (digest, after, *values, limit)]
        rows = await self._engine.fetch(f"{union} ORDER BY id LIMIT ?", (*params, limit))
        return [cast("str", row[0]) for row in rows]

    async def _looked_through(self, seen: Collection[str], after: str, limit: int, wanted: Wanted) -> list[str]:
        condition, values = wanted.condition()
        sql = (
            "SELECT d.id, o.visibility FROM dataset d JOIN offer o ON o.dataset = d.id WHERE d.id > ? AND d.withdrawn_at IS NULL"
            f"{condition} ORDER BY d.id LIMIT ?"
        )
        known, found, chunk = frozenset(seen), dict[str, None](), max(CHUNK_LEAST, limit)
        while len(found) < limit:
            rows = cast("Any", await self._engine.fetch(sql, (after, *values, chunk)))
            found |= dict.fromkeys(dataset for dataset, visibility in rows if visibility in known)
            if len(rows) < chunk:
                break
            # The last dataset may have more offers than were read: it is looked at again, with more of them at a time.
            complete = [dataset for dataset, _ in rows if dataset != rows[-1][0]]
            if complete or chunk == CHUNK_MOST:
                after = complete[-1] if complete else rows[-1][0]
            chunk = min(2 * chunk, CHUNK_MOST)
        return list(found)[:limit]

    async def shown(self, ids: Sequence[str], seen: Collection[str]) -> list[Shown]:
        """Datasets as they stand in a page, in the order of ``ids``, each with the offers that ``seen`` shows."""
        known, texts, offers = frozenset(seen), dict[str, str](), dict[str, list[str]]()
        for part in _parts(ids):
            sql = (
                "SELECT d.id, d.brief, o.document, o.visibility FROM dataset d JOIN offer o ON o.dataset = d.id "
                f"WHERE d.id IN {_slots(len(part))} ORDER BY d.id, o.position, o.id"
            )
            for dataset, brief, document, visibility in cast("Any", await self._engine.fetch(sql, part, limit=ROWS_MOST)):
                if visibility in known:
                    texts[dataset] = brief
                    offers.setdefault(dataset, []).append(document)
        return [Shown(each, texts[each], tuple(offers[each])) for each in ids if each in texts]

    async def promised(self, dataset_id: str, *, exclusively: bool) -> list[str]:
        """The agreements of ours as a provider about a dataset that are not void, as JSON: all, or those that are exclusive."""
        rows = await self._engine.fetch(
            "SELECT a.document FROM exclusivity e JOIN agreement a ON a.id = e.agreement_id AND a.counterparty = e.counterparty "
            "WHERE e.dataset = ? AND e.exclusive >= ? AND a.role = 'provider' AND a.state <> 'void' ORDER BY e.agreement_id",
            (dataset_id, int(exclusively)),
        )
        return [cast("str", row[0]) for row in rows]

    async def incomplete(self, after: str, limit: int) -> list[Published]:
        """Datasets that an earlier release has published, in order from ``after`` on."""
        sql = f"SELECT {_DATASET} FROM dataset WHERE brief = '' AND id > ? ORDER BY id LIMIT ?"
        return [Published(*cast("Any", row)) for row in await self._engine.fetch(sql, (after, limit))]


def _parts(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(ids), AT_ONCE):
        yield tuple(ids[start : start + AT_ONCE])


def _slots(columns: int) -> str:
    return "(" + ", ".join("?" * columns) + ")"


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
