"""What the data plane says to the contract log gets there once, with the index of its vehicles, and says nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connector.flow.context import Context
from connector.flow.seals import Seals
from connector.flow.told_leaves import Told, told
from connector.log import vehicle_index
from connector.log.leaf import Draft
from connector.log.payloads import Payloads
from connector.log.persons import LogPersons
from connector.log.subjects import SubjectKeys
from connector.protocol.errors import CallerError, Unavailable
from connector.protocol.messages import Document
from connector.store.engine import Statement
from tests.flow.house import Street

PROCESS, LEAF = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"


@dataclass
class Book:
    """A journal that remembers what it was to queue, and writes what can be counted."""

    drafts: list[Draft] = field(default_factory=list)
    woken: int = 0

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        self.drafts += drafts
        return [Statement("INSERT INTO greeted (counterparty, at) VALUES (?, 1)", (f"leaf {len(self.drafts)}",)) for _ in drafts]

    def queued(self) -> None:
        self.woken += 1


@dataclass
class Names:
    """A data plane that names the vehicles behind a leaf in pages of two."""

    vehicles: list[str]
    asked: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Document | None = None) -> Document:
        assert (method, body) == ("GET", None)
        self.asked.append(path)
        start = int(path.partition("after=")[2]) + 1
        page = self.vehicles[start : start + 2]
        return {"vehicles": page, "after": start + 1 if len(page) == 2 else None}


@dataclass
class Desk:
    context: Context
    book: Book
    names: Names
    persons: LogPersons

    async def queued(self) -> int:
        return len(await self.context.store.engine.fetch("SELECT 1 FROM greeted WHERE counterparty LIKE 'leaf %'"))


@pytest.fixture
def desk(street: Street, tmp_path: Path) -> Desk:
    book, names = Book(), Names(["VIN1", "VIN2", "VIN3"])
    persons = LogPersons(SubjectKeys(tmp_path / "s.db", lambda: b"s" * 32), Payloads(tmp_path / "p.db"), lambda: 1)
    context = replace(street.provider.context, journal=book, persons=persons, seals=Seals(ask=names.ask))
    return Desk(context, book, names, persons)


def leaf(kind: str = "receipt", **more: Any) -> Told:
    members = {"receipt": {"state": "left", "role": "provider", "rows": 5, "bytes": 9}, "meter": {"meter": "rows", "used": 3}}
    given = {"id": LEAF, "type": kind, "members": members.get(kind, {}), "at": 1000, "process": PROCESS, "party": "did:web:b"}
    return msgspec.convert({**given, "agreement": "urn:a", **more}, Told)


async def test_a_delivery_gets_its_index_and_is_queued_once(desk: Desk) -> None:
    first = await told(desk.context, leaf(vehicles={"flow": PROCESS}))
    again = await told(desk.context, leaf(vehicles={"flow": PROCESS}))
    assert first == again
    assert first["vehicles"] == 3
    (draft, _) = desk.book.drafts
    assert (draft.type, draft.process, draft.party, draft.agreement, draft.role) == (
        "receipt",
        PROCESS,
        "did:web:b",
        "urn:a",
        "provider",
    )
    assert draft.members["first"] == "1970-01-01T00:00:01.000Z"
    assert (draft.members["index"], draft.members["vehicles"]) == (first["index"], 3)
    assert (await desk.queued(), desk.book.woken) == (1, 1)
    assert desk.names.asked[:2] == [f"/carnet/leaves/{LEAF.replace(':', '%3A')}/vehicles?after={n}" for n in (-1, 1)]
    name = await desk.persons.named("VIN3")
    assert await desk.persons.among(PROCESS, str(first["index"]), name) is True


async def test_a_leaf_without_process_has_its_own_id_as_the_context_of_its_index(desk: Desk) -> None:
    made = await told(
        desk.context, leaf("consents", members={"change": "granted", "ledger": 4}, process="", vehicles={"ledger": 4})
    )
    assert desk.book.drafts[0].process == LEAF
    assert await desk.persons.among(LEAF, str(made["index"]), await desk.persons.named("VIN1")) is True


async def test_a_meter_says_when_it_was_closed(desk: Desk) -> None:
    assert await told(desk.context, leaf("meter")) == {"index": None, "vehicles": 0}
    assert desk.book.drafts[0].members == {"meter": "rows", "used": 3, "closed": "1970-01-01T00:00:01.000Z"}


@pytest.mark.parametrize(
    "members", [{"state": "WVWZZZ1JZXW000001 and more"}, {"name": "Erika"}, {"rows": -1}, {"rows": "5"}, {"index": "x"}]
)
async def test_what_no_leaf_may_say_is_refused(desk: Desk, members: Document) -> None:
    with pytest.raises(CallerError, match="cannot say") as refused:
        await told(desk.context, leaf(members=members))
    assert not any(str(value) in str(refused.value) for value in members.values() if isinstance(value, str) and len(value) > 1)
    assert await desk.queued() == 0


async def test_too_many_vehicles_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.flow.told_leaves.MAX_VEHICLES", 2)
    assert vehicle_index.MAX_VEHICLES == 2_000_000
    with pytest.raises(CallerError, match="more than 2 vehicles"):
        await told(desk.context, leaf(vehicles={"flow": PROCESS}))


async def test_while_the_data_plane_is_away_nothing_is_queued(desk: Desk) -> None:
    async def away(method: str, path: str, body: Document | None = None) -> Document:
        raise Unavailable("data-plane-away", "it is away")

    context = replace(desk.context, seals=Seals(ask=away))
    with pytest.raises(Unavailable):
        await told(context, leaf(vehicles={"flow": PROCESS}))
    assert await desk.queued() == 0
