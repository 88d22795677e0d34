"""Assets, policies, contract definitions and secrets on both engines: what is kept, and which guards hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from connector.app import MIGRATIONS
from connector.management.invalid import InvalidQuery
from connector.management.model import EDC, Asset, ContractDefinition, PolicyDefinition, QuerySpec, SecretEntry
from connector.management.queryspec import criteria, parse
from connector.store import definitions as d
from connector.store import writes
from connector.store.definitions import DefinitionStore
from connector.store.engine import LostRace, Statement
from connector.store.migrate import migrate
from connector.store.rows import Agreement
from tests.store.conftest import open_engine

ASSET = Asset("a", {f"{EDC}name": "Trips", "urn:x": {"@id": "y"}}, {f"{EDC}n": [1, 2]}, {f"{EDC}type": "HttpData"}, 1000)
POLICY = PolicyDefinition("p", {"@type": "Set", "permission": []}, {f"{EDC}n": 1}, 1000)
SELECTOR = criteria([{"operandLeft": f"'{EDC}id'", "operator": "IN", "operandRight": ["a", "b"]}], "")
DEFINITION = ContractDefinition("d", "p", "q", SELECTOR, {f"{EDC}n": 1}, 1000)


@pytest.fixture
async def store(database: str) -> AsyncIterator[DefinitionStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield DefinitionStore(engine)
    await engine.close()


async def lost(store: DefinitionStore, statements: Sequence[Statement]) -> None:
    with pytest.raises(LostRace):
        await store.engine.commit(statements)


async def policies(store: DefinitionStore) -> None:
    await store.engine.commit([*d.insert_policy(POLICY), *d.insert_policy(replace(POLICY, id="q"))])


def said(left: str, operator: str = "=", right: Any = "x") -> QuerySpec:
    return parse({"filterExpression": [{"operandLeft": left, "operator": operator, "operandRight": right}]})


async def leaves_of(store: DefinitionStore, resource: str) -> int:
    rows = await store.engine.fetch("SELECT count(*) FROM property WHERE resource = ?", (resource,))
    return int(str(rows[0][0]))


async def test_an_asset_is_kept_as_it_is(store: DefinitionStore) -> None:
    assert await store.asset("a") is None
    await store.engine.commit(d.insert_asset(ASSET))
    assert await store.asset("a") == ASSET
    await lost(store, d.insert_asset(ASSET))
    plain = Asset("b", created_at=2)
    await store.engine.commit(d.insert_asset(plain))
    assert await store.asset("b") == plain


async def test_an_asset_is_changed_once_from_each_version(store: DefinitionStore) -> None:
    await store.engine.commit(d.insert_asset(ASSET))
    changed = replace(ASSET, properties={f"{EDC}name": "Stops"}, data_address=None)
    await store.engine.commit(d.update_asset(changed, 2000))
    assert await store.asset("a") == replace(changed, version=2)
    await lost(store, d.update_asset(changed, 2000))
    await lost(store, d.update_asset(replace(changed, id="b"), 2000))
    assert await store.count_assets(said("name", "=", "Trips")) == 0
    assert await store.count_assets(said("name", "=", "Stops")) == 1


async def test_what_is_known_of_an_asset_goes_with_it(store: DefinitionStore) -> None:
    await store.engine.commit(d.insert_asset(ASSET))
    await store.engine.commit(d.delete_asset("a"))
    assert await store.asset("a") is None
    assert await leaves_of(store, "asset") == 0
    assert await store.count_assets(QuerySpec()) == 0
    await lost(store, d.delete_asset("a"))


async def test_an_asset_with_many_values_is_found_by_each(store: DefinitionStore) -> None:
    many = replace(ASSET, properties={f"{EDC}n{number}": f"v{number}" for number in range(2 * d.AT_ONCE + 1)})
    await store.engine.commit(d.insert_asset(many))
    for number in (0, d.AT_ONCE, 2 * d.AT_ONCE):
        assert await store.assets(said(f"n{number}", "=", f"v{number}")) == [many]


@pytest.mark.parametrize(
    ("role", "state", "used"), [("provider", "binding", True), ("provider", "void", False), ("consumer", "binding", False)]
)
async def test_an_asset_under_an_agreement_of_ours_stays(store: DefinitionStore, role: str, state: str, used: bool) -> None:
    agreement = Agreement("g", "did:web:peer", role, "n", "a", "{}", state, 1, 1)
    await store.engine.commit([*d.insert_asset(ASSET), writes.insert_agreement(agreement)])
    if used:
        await lost(store, d.delete_asset("a"))
    else:
        await store.engine.commit(d.delete_asset("a"))
    assert (await store.asset("a") is None) is not used


async def test_a_policy_is_kept_changed_and_forgotten(store: DefinitionStore) -> None:
    await store.engine.commit(d.insert_policy(POLICY))
    assert await store.policy("p") == POLICY
    await lost(store, d.insert_policy(POLICY))
    changed = replace(POLICY, policy={"@type": "Set"}, private_properties={})
    await store.engine.commit(d.update_policy(changed, 2000))
    await lost(store, d.update_policy(changed, 2000))
    assert await store.policies(QuerySpec()) == [replace(changed, version=2)]
    assert await store.count_policies(said("privateProperties.n", "=", 1)) == 0
    await store.engine.commit(d.delete_policy("p"))
    assert await store.policy("p") is None
    await lost(store, d.delete_policy("p"))


async def test_a_policy_in_use_stays_and_a_missing_one_is_not_used(store: DefinitionStore) -> None:
    await lost(store, d.insert_definition(DEFINITION))
    await policies(store)
    await store.engine.commit(d.insert_definition(DEFINITION))
    for used in ("p", "q"):
        assert await store.definitions_using(used) == ["d"]
        await lost(store, d.delete_policy(used))
    await lost(store, d.update_definition(replace(DEFINITION, access_policy="none"), 2000))
    await store.engine.commit(d.update_definition(replace(DEFINITION, contract_policy="p"), 2000))
    await store.engine.commit(d.delete_policy("q"))
    await store.engine.commit([*d.delete_definition("d"), *d.delete_policy("p")])


async def test_a_policy_does_not_go_while_a_definition_of_it_is_made(store: DefinitionStore) -> None:
    for number in range(20):
        policy, definition = f"p{number}", f"d{number}"
        await store.engine.commit(d.insert_policy(replace(POLICY, id=policy)))
        made = d.insert_definition(replace(DEFINITION, id=definition, access_policy=policy, contract_policy=policy))
        outcomes = await asyncio.gather(
            store.engine.commit(made), store.engine.commit(d.delete_policy(policy)), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["LostRace", "NoneType"]
        assert (await store.policy(policy) is None) == (await store.definition(definition) is None)


async def test_a_definition_is_kept_changed_and_forgotten(store: DefinitionStore) -> None:
    await policies(store)
    await store.engine.commit(d.insert_definition(DEFINITION))
    assert await store.definition("d") == DEFINITION
    await lost(store, d.insert_definition(DEFINITION))
    for left, right in [("accessPolicyId", "p"), ("contractPolicyId", "q"), ("assetsSelector.operandRight", "b")]:
        assert await store.definitions(said(left, "=", right)) == [DEFINITION]
        assert await store.count_definitions(said(left, "=", "none")) == 0
    await store.engine.commit(d.update_definition(replace(DEFINITION, selector=()), 2000))
    await lost(store, d.update_definition(DEFINITION, 2000))
    assert await store.count_definitions(said("assetsSelector.operandRight", "=", "b")) == 0
    await store.engine.commit(d.delete_definition("d"))
    assert await store.definition("d") is None
    await lost(store, d.delete_definition("d"))
    assert await leaves_of(store, "definition") == 0


async def test_how_far_a_definition_has_come_is_kept_for_one_version(store: DefinitionStore) -> None:
    await policies(store)
    await store.engine.commit(d.insert_definition(DEFINITION))
    assert await store.unfinished() == [("d", 1, d.NOT_BEGUN)]
    await store.engine.commit([d.reach("d", 1, "a7")])
    assert await store.reached("d") == (1, "a7")
    await store.engine.commit([d.reach("d", 1, None)])
    assert await store.unfinished() == []
    await store.engine.commit([d.begin_again("q")])
    assert await store.unfinished() == [("d", 1, d.NOT_BEGUN)]
    await store.engine.commit(d.update_definition(DEFINITION, 2000))
    await lost(store, [d.reach("d", 1, None)])
    assert await store.reached("d") == (2, d.NOT_BEGUN)
    assert await store.reached("none") is None


async def test_assets_and_definitions_are_walked_by_id(store: DefinitionStore) -> None:
    await policies(store)
    for name in ("c", "a", "b"):
        await store.engine.commit([*d.insert_asset(replace(ASSET, id=name)), *d.insert_definition(replace(DEFINITION, id=name))])
    assert [each.id for each in await store.assets_after("", 2)] == ["a", "b"]
    assert [each.id for each in await store.assets_after("b", 2)] == ["c"]
    assert [each.id for each in await store.assets_after("", 9, SELECTOR)] == ["a", "b"]
    assert [each.id for each in await store.definitions_after("a", 9)] == ["b", "c"]


async def test_datasets_are_found_by_the_definition_that_offers_them(store: DefinitionStore) -> None:
    sql = "INSERT INTO offer (id, dataset, definition) VALUES (?, ?, ?)"
    rows = [("o1", "a", "d"), ("o2", "a", "d"), ("o3", "b", "d"), ("o4", "c", "e"), ("o5", "f", "")]
    await store.engine.commit([Statement(sql, row) for row in rows])
    assert await store.offered_under("d", "", 9) == ["a", "b"]
    assert await store.offered_under("d", "a", 9) == ["b"]
    assert await store.offered_under("", "", 9) == []


async def test_a_list_refuses_what_nobody_knows(store: DefinitionStore) -> None:
    await store.engine.commit(d.insert_asset(ASSET))
    for spec, path in [
        (said("nmae"), "filterExpression[0].operandLeft"),
        (said("dct:title"), "filterExpression[0].operandLeft"),
        (said("createdAt", "=", "soon"), "filterExpression[0].operandRight"),
        (said("createdAt", "like", "1%"), "filterExpression[0].operator"),
        (parse({"sortField": "nmae"}), "sortField"),
    ]:
        for ask in (store.assets, store.count_assets):
            with pytest.raises(InvalidQuery) as refused:
                await ask(spec)
            assert refused.value.path == path
    with pytest.raises(InvalidQuery):
        await store.policies(said("policy.target"))
    with pytest.raises(InvalidQuery):
        await store.count_definitions(said("name"))
    assert await store.assets(said("urn:nobody:has:this")) == []


async def test_what_there_is_is_counted(store: DefinitionStore) -> None:
    await policies(store)
    await store.engine.commit([*d.insert_asset(ASSET), *d.insert_definition(DEFINITION)])
    await lost(store, d.insert_asset(ASSET))
    await store.engine.commit(d.update_asset(ASSET, 2000))
    counts = (store.count_assets, store.count_policies, store.count_definitions)
    assert [await count(QuerySpec()) for count in counts] == [1, 2, 1]
    assert [await count(said("id", "like", "%")) for count in counts] == [1, 2, 1]
    await store.engine.commit([*d.delete_definition("d"), *d.delete_policy("p"), *d.delete_asset("a")])
    assert [await count(QuerySpec()) for count in counts] == [0, 1, 0]


async def test_secrets_are_kept_sealed(store: DefinitionStore) -> None:
    await store.engine.commit([d.insert_secret("s", b"sealed", 5)])
    await lost(store, [d.insert_secret("s", b"other", 6)])
    await store.engine.commit([d.update_secret("s", b"again", 7)])
    assert await store.secret("s") == SecretEntry("s", 5, 7)
    assert await store.secrets("", 5) == [SecretEntry("s", 5, 7)]
    assert await store.secrets("s", 5) == []
    assert await store.sealed("s") == b"again"
    await store.engine.commit([d.delete_secret("s")])
    assert (await store.secret("s"), await store.sealed("s")) == (None, None)
    for statement in (d.update_secret("s", b"x", 8), d.delete_secret("s")):
        await lost(store, [statement])
