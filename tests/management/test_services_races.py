"""Who loses a race looks again; and whatever is done in whatever order, what is offered follows from the definitions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.flow.offers import PublicationRefused
from connector.management import assets, definitions, policies, secrets
from connector.management.model import EDC, Asset, ContractDefinition, PolicyDefinition
from connector.management.service import Management
from connector.protocol.errors import Conflict, NotFound, Outdated, Unavailable
from connector.store.definitions import delete_secret, update_asset
from connector.store.engine import LostRace, Statement
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from tests.flow.house import Fuse, Street
from tests.management.stand import OPEN, Stand, asset, chosen, definition, http, managed, policy, when
from tests.management.test_services_kills import expected, offered

Commit = Callable[..., Awaitable[None]]


@pytest.fixture
def losing(m: Management, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every other commit that is guarded is lost; gives what was."""
    lost: list[str] = []
    store = type(m.context.store)
    commit: Commit = store.commit

    async def sometimes(self: Any, statements: Sequence[Statement], **more: Any) -> None:
        guarded = any("ledger" in each.sql for each in statements)
        if guarded and (not lost or lost[-1] == "passed"):
            lost.append("lost")
            raise LostRace
        if guarded:
            lost.append("passed")
        await commit(self, statements, **more)

    monkeypatch.setattr(store, "commit", sometimes)
    return lost


async def test_who_loses_a_race_looks_again(m: Management, losing: list[str]) -> None:
    await policy(m, "other")
    await asset(m, "a", kind="odd")
    await asset(m, "b", kind="even")
    made = await definition(m, "d", ("kind", "=", "odd"))
    await definitions.update(m, replace(made, selector=chosen(("kind", "=", "even"))))
    assert await offered(m) == {"b": {"d"}}
    await policies.update(m, PolicyDefinition("open", {"permission": [{"action": "use"}]}))
    await assets.update(m, Asset("a", {f"{EDC}kind": "even"}))
    assert await offered(m) == {"a": {"d"}, "b": {"d"}}
    await definitions.delete(m, "d")
    await policies.delete(m, "other")
    assert await offered(m) == {}
    assert losing.count("lost") > 8


async def test_an_asset_that_was_changed_meanwhile_is_not_overwritten(
    m: Management, plane: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await asset(m, "a")
    register, changes = plane.ask, [update_asset(replace(stored, properties={f"{EDC}x": 1}), 5)]

    async def meanwhile(*args: Any) -> dict[str, Any]:
        if changes:
            await m.context.commit(changes.pop())
        return await register(*args)

    monkeypatch.setattr(plane, "ask", meanwhile)
    with pytest.raises(Outdated):
        await assets.update(m, Asset("a", {f"{EDC}x": 2}, data_address=http("https://other.example.com")))
    assert (await assets.find(m, "a")).properties == {f"{EDC}x": 1}
    assert plane.sources["a"]["http"]["baseUrl"] == "https://api.example.com/trips"


async def test_a_data_plane_that_goes_away_keeps_nothing_from_being_undone(m: Management, plane: Stand) -> None:
    plane.declares = (REQUESTS_PER_VEHICLE_DAY,)
    await policy(m, "counted", when(REQUESTS_PER_VEHICLE_DAY, "lteq", "3"))
    await definition(m, "d", contract="counted")
    await asset(m, "a")
    await assets.create(m, Asset("b"))
    plane.declares = ()
    able = plane.able

    def leaving(source: dict[str, Any]) -> Any:
        plane.away = True
        return able(source)

    plane.able = leaving  # type: ignore[method-assign]  # the moment between an answer and what follows from it
    for name in ("a", "b"):
        plane.away = False
        with pytest.raises(PublicationRefused):
            await assets.update(m, Asset(name, data_address=http("https://other.example.com")))
    assert (await assets.find(m, "a")).data_address == http()
    await assets.delete(m, "a")
    with pytest.raises(NotFound):
        await assets.find(m, "a")
    with pytest.raises(Unavailable):
        await asset(m, "c")


async def test_a_secret_that_is_gone_meanwhile_is_not_there(m: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    for attempt in (secrets.update(m, "s", "other"), secrets.delete(m, "s")):
        await secrets.create(m, "s", "value")
        entry = await secrets.find(m, "s")

        async def found(*_: object, entry: Any = entry) -> Any:
            await m.context.commit([delete_secret("s")])
            return entry

        with monkeypatch.context() as patched:
            patched.setattr(secrets, "find", found)
            with pytest.raises(NotFound):
                await attempt


KINDS = st.sampled_from(["odd", "even"])
NAMES = st.sampled_from(["a", "b", "c", "Ä"])
SELECTORS = st.one_of(
    st.just(()),
    KINDS.map(lambda kind: (("kind", "=", kind),)),
    NAMES.map(lambda name: (("id", "=", name),)),
    st.tuples(NAMES, KINDS).map(lambda both: (("id", "=", both[0]), ("kind", "!=", both[1]))),
)
STEPS = st.one_of(
    st.tuples(st.just("asset"), NAMES, KINDS),
    st.tuples(st.just("no asset"), NAMES, st.just("")),
    st.tuples(st.just("definition"), NAMES, SELECTORS),
    st.tuples(st.just("no definition"), NAMES, st.just("")),
    st.tuples(st.just("policy"), st.just("open"), st.booleans()),
    st.tuples(st.just("start"), st.just(""), st.just("")),
)


async def step(m: Management, what: str, name: str, how: Any) -> Management:
    """One change; what cannot be changed stays."""
    match what:
        case "asset":
            made = Asset(name, {f"{EDC}kind": how}, data_address=http())
            try:
                await assets.create(m, made)
            except Conflict:
                await assets.update(m, made)
        case "no asset":
            await assets.delete(m, name)
        case "definition":
            wanted = ContractDefinition(name, "open", "open", chosen(*how))
            try:
                await definitions.create(m, wanted)
            except Conflict:
                await definitions.update(m, wanted)
        case "no definition":
            await definitions.delete(m, name)
        case "policy":
            document = when(REQUESTS_PER_VEHICLE_DAY, "lteq", "3") if how else OPEN
            await policies.update(m, PolicyDefinition("open", document))
        case _:
            return Management(m.context, m.plane, m.browser, m.store, m.secrets)
    return m


@settings(max_examples=25)
@given(st.lists(STEPS, max_size=14))
def test_what_is_offered_follows_from_the_definitions(steps: list[tuple[str, str, Any]]) -> None:
    async def run(folder: Path) -> None:
        street = Street(Fuse())
        await street.open(folder, "street")
        street.provider.context = replace(street.provider.context, declared=frozenset({REQUESTS_PER_VEHICLE_DAY}))
        m = managed(street.provider, Stand((REQUESTS_PER_VEHICLE_DAY,)))
        await policy(m, "open")
        try:
            for each in steps:
                try:
                    m = await step(m, *each)
                except NotFound:
                    continue
                assert await offered(m) == await expected(m)
                assert await m.store.unfinished() == []
                assert await m.projection.orphaned() == []
        finally:
            await street.close()

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        runner.run(run(Path(folder)))
