"""The catalogues of all whom we deal with: bounded, in order, and whoever does not answer is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.flow import standing
from connector.identity.participants import Admission, Participant, Profile
from connector.management import federated
from connector.management.model import QuerySpec
from connector.management.queryspec import parse
from connector.protocol.errors import CallerError, InvariantBroken, PeerError
from connector.protocol.messages import Document
from tests.management.scene import Scene, Shelf, opened

NAMES = ("did:web:a", "did:web:b", "did:web:c")


class Shelves(Shelf):
    """A catalogue for each participant, some of which do not come."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[Document] | Exception] = {}
        self.most_at_once = self.at_once = 0

    async def catalog(self, counterparty: str, address: str | None = None, *, most: int | None = None) -> list[Document]:
        """See Browser."""
        del address, most
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        found = self.kept.get(counterparty, [])
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Three participants whom somebody has vouched for beside the provider, and one whom nobody has."""
    async with opened(tmp_path) as found:
        for name, vouched_by in (*((name, "me") for name in NAMES), ("did:web:d", None)):
            profile = Profile(addresses=(f"https://{name[8:]}.example",))
            entry = Participant(id=name, state=Admission.UNVERIFIED, profile=profile, vouched_by=vouched_by)
            await standing.add(found.b.m.context, entry)
        yield found


def shelves(scene: Scene) -> Shelves:
    """What they show us."""
    found = Shelves()
    object.__setattr__(scene.b.m, "browser", found)
    found.kept = {name: [{"@id": f"{name}/1"}, {"@id": f"{name}/2", "kind": "x"}] for name in NAMES}
    return found


async def test_all_catalogues_in_the_order_of_their_participants(scene: Scene) -> None:
    shelves(scene)
    found = await federated.catalogs(scene.b, QuerySpec())
    assert [name for name, _ in found.catalogs] == [*NAMES, "did:web:provider"]
    assert [each["@id"] for each in found.catalogs[0][1]] == ["did:web:a/1", "did:web:a/2"]
    assert found.unanswered == 0


async def test_who_does_not_answer_is_counted(scene: Scene) -> None:
    shelves(scene).kept["did:web:b"] = PeerError("peer-refused", "the peer answered 500")
    found = await federated.catalogs(scene.b, QuerySpec())
    assert ([name for name, _ in found.catalogs], found.unanswered) == (["did:web:a", "did:web:c", "did:web:provider"], 1)


async def test_participants_are_paged_and_datasets_are_narrowed(scene: Scene) -> None:
    shelves(scene)
    assert [name for name, _ in (await federated.catalogs(scene.b, QuerySpec(offset=1, limit=1))).catalogs] == ["did:web:b"]
    narrowed = await federated.catalogs(
        scene.b, parse({"filterExpression": [{"operandLeft": "kind", "operator": "=", "operandRight": "x"}]})
    )
    assert [(name, [each["@id"] for each in datasets]) for name, datasets in narrowed.catalogs] == [
        (name, [f"{name}/2"]) for name in NAMES
    ]
    with pytest.raises(CallerError, match="order"):
        await federated.catalogs(scene.b, parse({"sortField": "x"}))


async def test_few_are_read_at_once_and_nobody_is_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federated, "AT_ONCE", 2)
    known = shelves(scene)
    await federated.catalogs(scene.b, QuerySpec())
    assert known.most_at_once == 2
    monkeypatch.setattr(federated, "READING_S", 0)
    assert (await federated.catalogs(scene.b, QuerySpec())).unanswered > 0


async def test_a_mistake_of_ours_is_one(scene: Scene) -> None:
    shelves(scene).kept["did:web:b"] = InvariantBroken("x", "y")
    with pytest.raises(InvariantBroken):
        await federated.catalogs(scene.b, QuerySpec())
