"""The same of the services on both engines, with two connectors on one database where that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.app import MIGRATIONS
from connector.management import assets, definitions, policies, projecting
from connector.management.model import EDC, Asset, PolicyDefinition
from connector.management.service import Management
from connector.store.control import ControlStore
from connector.store.definitions import insert_asset
from connector.store.engine import LostRace
from connector.store.migrate import migrate
from connector.store.projection import changed, unchanged
from policies.terms.party import CONSUMER_KIND, PUBLIC_BODY
from tests.flow.house import Street
from tests.management.stand import Stand, asset, chosen, definition, managed, policy, when
from tests.management.test_services_kills import expected, offered
from tests.store.conftest import open_engine

ODD = ("kind", "=", "odd")
NAMES = ("B", "a", "_c", "Ä", "b", "A", "0", "urn:x:1", "é", "~")
"""In another order in a language than by code points."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, on each engine in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return str(tmp_path / "control.db")


@pytest.fixture
async def pair(street: Street, database: str) -> AsyncIterator[tuple[Management, Management]]:
    """Two sets of services on one database."""
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    street.provider.context = replace(street.provider.context, store=ControlStore(engine))
    one, other = (managed(street.provider, Stand()) for _ in range(2))
    await policy(one, "open")
    yield one, other
    await engine.close()


async def test_what_is_offered_follows_from_the_definitions(
    pair: tuple[Management, Management], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "BATCH", 3)
    m, other = pair
    for number, name in enumerate(NAMES):
        await asset(m, name, kind="odd" if number % 2 else "even")
    made = await definition(other, "some", ODD)
    assert await offered(m) == await expected(m)
    assert len(await offered(m)) == 5
    await definitions.update(m, replace(made, selector=chosen(("kind", "!=", "odd"))))
    assert await offered(m) == await expected(m)
    await policies.update(other, PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY)))
    await assets.update(other, Asset("B", {f"{EDC}kind": "odd"}))
    assert await offered(m) == await expected(m)
    assert len(await offered(m)) == 4
    await definitions.delete(m, "some")
    assert await offered(other) == {}


async def test_two_connectors_lose_nothing(pair: tuple[Management, Management]) -> None:
    await asyncio.gather(
        *(asset(pair[number % 2], f"a{number}", kind="odd") for number in range(8)),
        *(definition(pair[number % 2], f"d{number}", ODD) for number in range(4)),
        policies.update(pair[0], PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY))),
    )
    assert await offered(pair[0]) == await expected(pair[1])
    await asyncio.gather(*(definitions.delete(pair[number % 2], f"d{number}") for number in range(4)))
    assert await offered(pair[0]) == {}


async def test_a_commit_is_of_one_version_of_all_definitions(pair: tuple[Management, Management]) -> None:
    m, _ = pair
    version = await m.projection.version()
    await m.context.store.commit([unchanged(version)])
    await m.context.store.commit([changed(version)])
    for stale in (unchanged(version), changed(version)):
        with pytest.raises(LostRace):
            await m.context.store.commit([stale])


@pytest.mark.parametrize("name", ["100%", "a_b", 'quo"te', "back\\slash", "bang!"])
async def test_a_name_in_an_address_is_found_as_it_is(pair: tuple[Management, Management], name: str) -> None:
    m, _ = pair
    for each, secret in (("a", name), ("b", "other")):
        address = {f"{EDC}type": "HttpData", f"{EDC}secretName": secret}
        await m.context.store.commit(insert_asset(Asset(each, data_address=address)))
    assert await m.projection.naming(name, "", 10) == ["a"]
