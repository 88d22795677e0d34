"""The power goes off at every commit of a change; after the next start what is on offer is what the definitions say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connector.management import assets, definitions, policies, projecting
from connector.management.model import EDC, Asset, PolicyDefinition
from connector.management.service import Management
from connector.protocol.errors import Conflict, NotFound
from connector.store.engine import LostRace, Statement, StoreUnavailable
from policies.terms.party import CONSUMER_KIND, PUBLIC_BODY
from tests.flow.house import Cut, Fuse, Street
from tests.management.stand import Stand, asset, chosen, definition, managed, policy, when


async def offered(m: Management) -> dict[str, set[str]]:
    """By dataset on offer, the definitions of its offers."""
    rows = await m.store.engine.fetch(
        "SELECT d.id, o.definition, d.document, o.document FROM dataset d JOIN offer o ON o.dataset = d.id "
        "WHERE d.withdrawn_at IS NULL"
    )
    found: dict[str, set[str]] = {}
    for name, of, document, one in rows:
        assert orjson.loads(str(one)) in orjson.loads(str(document))["hasPolicy"]
        found.setdefault(str(name), set()).add(str(of))
    return found


async def expected(m: Management) -> dict[str, set[str]]:
    """The same, as it follows from assets and definitions."""
    m.known.rules = None
    rules, found = await m.rules(), dict[str, set[str]]()
    for each in await m.store.assets_after("", 1000):
        ids = {one.id for one in rules.selecting(each)}
        if ids:
            found[each.id] = ids
    return found


async def change_selector(m: Management) -> None:
    made = await definitions.find(m, "some")
    await definitions.update(m, replace(made, selector=chosen(("kind", "=", "even"))))


async def change_policy(m: Management) -> None:
    await policies.update(m, PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY)))


async def make_another(m: Management) -> None:
    await definition(m, "more")


async def delete_it(m: Management) -> None:
    await definitions.delete(m, "some")


async def change_asset(m: Management) -> None:
    await assets.update(m, Asset("a3", {f"{EDC}kind": "odd"}))


async def delete_asset(m: Management) -> None:
    await assets.delete(m, "a1")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", [change_selector, change_policy, make_another, delete_it, change_asset, delete_asset])
async def test_a_kill_at_any_commit_is_made_good(
    street: Street, monkeypatch: pytest.MonkeyPatch, change: Any, after: bool
) -> None:
    monkeypatch.setattr(projecting, "BATCH", 2)
    house, plane = street.provider, Stand()
    m = managed(house, plane)
    await policy(m, "open")
    for number in range(7):
        await asset(m, f"a{number}", kind="even" if number % 2 else "odd")
    await definition(m, "some", ("kind", "=", "odd"))
    await definition(m, "every")
    at = 1
    while True:
        house.street.fuse = Fuse(at, after)
        house.engine.fuse = house.street.fuse
        try:
            await change(m)
        except Cut:
            pass
        except (NotFound, Conflict):
            # What was done before the power went off cannot be done again.
            break
        else:
            break
        house.street.fuse.at = None
        await house.engine.close()
        await house.open()
        m = managed(house, plane)
        await projecting.finish(m)
        assert await offered(m) == await expected(m)
        assert await m.store.unfinished() == []
        assert await m.projection.orphaned() == []
        at += 1
    assert at > 1
    assert await offered(m) == await expected(m)


async def test_changes_at_the_same_time_lose_nothing(m: Management, street: Street) -> None:
    other = managed(street.provider, m.plane)
    await asset(m, "a0", kind="odd")
    await asyncio.gather(
        *(asset(m if number % 2 else other, f"a{number}", kind="odd") for number in range(1, 9)),
        *(definition(other if number % 2 else m, f"d{number}", ("kind", "=", "odd")) for number in range(4)),
        policies.update(m, PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY))),
        assets.delete(other, "a0"),
    )
    assert await offered(m) == await expected(m)
    assert len(await offered(m)) == 8
    for number in range(4):
        await definitions.delete(other if number % 2 else m, f"d{number}")
    assert await offered(m) == {}


async def test_who_never_gets_a_turn_says_so(m: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = m.context.store.commit

    async def lost(statements: Any, **more: Any) -> None:
        if any("ledger" in each.sql for each in statements):
            raise LostRace
        await commit(statements, **more)

    monkeypatch.setattr(type(m.context.store), "commit", lambda _, statements, **more: lost(statements, **more))
    for attempt in (policy(m, "p"), asset(m, "a"), definition(m, "d")):
        with pytest.raises(Exception, match="definitions-busy"):
            await attempt


@pytest.mark.parametrize("error", [LostRace(), StoreUnavailable("it is away")])
async def test_a_change_that_is_kept_is_not_said_to_be_refused(
    m: Management, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def cut_off(*_: object, **__: object) -> None:
        raise error

    await asset(m, "a", kind="odd")
    with monkeypatch.context() as away:
        away.setattr(projecting, "_next", cut_off)
        made = await definition(m, "d", ("kind", "=", "odd"))
        assert await definitions.find(m, "d") == made
        changed = await definitions.update(m, replace(made, selector=chosen(("kind", "=", "even"))))
        assert changed.version == made.version + 1
        await policies.update(m, PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY)))
        await definitions.update(m, replace(changed, selector=made.selector))
    assert await offered(m) == {}
    await projecting.finish(m)
    assert await offered(m) == await expected(m) == {"a": {"d"}}


async def test_what_cannot_be_finished_keeps_no_connector_from_starting(m: Management) -> None:
    await asset(m, "a")
    await definition(m, "d")
    broken = [
        Statement("UPDATE contract_definition SET reached = ''"),
        Statement("UPDATE asset SET properties = ?", ('{"http://www.w3.org/ns/odrl/2/hasPolicy":1}',)),
    ]
    await m.context.commit(broken)
    await projecting.finish(m)
    assert len(await m.store.unfinished()) == 1
