"""Assets, policies and contract definitions become what is on offer, and nothing else does."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connector.flow import publish, shelf
from connector.flow.offers import PublicationRefused
from connector.identity.interface import Principal
from connector.management import assets, definitions, policies
from connector.management.model import EDC, Asset, PolicyDefinition, QuerySpec
from connector.management.offering import OPEN_TO
from connector.management.service import Management
from connector.protocol.errors import CallerError, Conflict, Invalid, NotFound, Outdated, Unavailable
from connector.store.engine import Statement
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from policies.terms.party import CONSUMER_KIND, PUBLIC_BODY
from policies.terms.privacy import COLUMNS
from tests.management.stand import Stand, asset, chosen, definition, http, policy, when

CITY = Principal("did:web:city", {"kind": "public-body"})
SHOP = Principal("did:web:shop", {"kind": "company"})
Json = dict[str, Any]


async def on_offer(m: Management, who: Principal = CITY) -> dict[str, list[str]]:
    """By dataset, the contract definitions whose offers a participant sees."""
    page = await shelf.catalog_page(m.context, who, {}, None, 100)
    found: dict[str, list[str]] = {}
    for dataset in orjson.loads(page.body).get("dataset", []):
        ids = [offer["@id"].split(":")[0] for offer in dataset["hasPolicy"]]
        found[dataset["@id"]] = [base64.b64decode(each).decode() for each in ids]
    return found


async def dataset(m: Management, name: str) -> Json:
    found: Json = orjson.loads(await shelf.dataset_document(m.context, CITY, name))
    return found


async def test_an_asset_is_offered_once_a_definition_selects_it(m: Management, plane: Stand) -> None:
    named = {f"{EDC}name": "Trips", f"{EDC}contenttype": "application/json", "https://example.com/region": "Rome"}
    await assets.create(m, Asset("trips", named, data_address=http()))
    assert plane.sources == {"trips": {"http": {"baseUrl": "https://api.example.com/trips"}}}
    assert await on_offer(m) == {}
    await definition(m, "all")
    assert await on_offer(m) == {"trips": ["all"]}
    document = await dataset(m, "trips")
    assert document["https://example.com/region"] == "Rome"
    assert document[f"{EDC}id"] == "trips"
    assert document["http://purl.org/dc/terms/title"] == "Trips"
    assert document["distribution"][0]["http://www.w3.org/ns/dcat#mediaType"] == "application/json"


async def test_an_asset_that_comes_later_is_offered_at_once(m: Management) -> None:
    await definition(m, "all")
    await definition(m, "one", (f"{EDC}id", "=", "b"))
    for name in ("a", "b"):
        await asset(m, name)
    assert await on_offer(m) == {"a": ["all"], "b": ["all", "one"]}


async def test_an_offer_keeps_its_id_while_nothing_changes(m: Management) -> None:
    await asset(m, "trips")
    await definition(m, "all")
    before = (await dataset(m, "trips"))["hasPolicy"]
    coded = before[0]["@id"].split(":")
    assert [base64.b64decode(part).decode() for part in coded[:2]] == ["all", "trips"]
    await policies.update(m, PolicyDefinition("open", {"@type": "Set", "permission": [{"action": "use"}]}))
    await assets.update(m, Asset("trips", {f"{EDC}name": "Journeys"}))
    assert (await dataset(m, "trips"))["hasPolicy"] == before
    await policies.update(m, PolicyDefinition("open", when(CONSUMER_KIND, "eq", PUBLIC_BODY)))
    after = (await dataset(m, "trips"))["hasPolicy"]
    assert after[0]["@id"].split(":")[:2] == coded[:2]
    assert after[0]["@id"] != before[0]["@id"]


async def test_who_sees_an_offer_is_what_both_policies_permit(m: Management) -> None:
    await policy(m, "bodies", when(CONSUMER_KIND, "eq", PUBLIC_BODY))
    for name in ("a", "b", "c"):
        await asset(m, name)
    await definition(m, "access", ("id", "=", "a"), access="bodies")
    await definition(m, "contract", ("id", "=", "b"), contract="bodies")
    await definition(m, "neither", ("id", "=", "c"))
    assert set(await on_offer(m, CITY)) == {"a", "b", "c"}
    assert set(await on_offer(m, SHOP)) == {"c"}
    looked = await shelf.why_not(m.context, SHOP, "a")
    assert [each.shown for each in looked] == [False]
    assert (await dataset(m, "a"))["hasPolicy"][0]["permission"] == [{"action": "use"}]


async def test_offers_are_open_to_those_whom_nobody_vouched_for_if_their_definition_says_so(m: Management) -> None:
    stranger = replace(SHOP, admitted=False)
    await asset(m, "a")
    made = await definition(m, "d")
    assert await on_offer(m, stranger) == {}
    await definitions.update(m, replace(made, private_properties={OPEN_TO: "all"}))
    await definition(m, "closed")
    assert await on_offer(m, stranger) == {"a": ["d"]}
    offers = {each.definition: each.id for each in await m.context.store.shelf.offers("a")}
    assert [await shelf.kept_from(m.context, stranger, offers[name], "a") for name in ("d", "closed")] == [False, True]
    with pytest.raises(Invalid):
        await definitions.update(m, replace(made, private_properties={OPEN_TO: "most"}))


async def test_changing_a_definition_moves_its_offers(m: Management) -> None:
    for name in ("a", "b", "c"):
        await asset(m, name, kind="even" if name == "b" else "odd")
    made = await definition(m, "some", ("kind", "=", "odd"))
    assert set(await on_offer(m)) == {"a", "c"}
    changed = await definitions.update(m, replace(made, selector=chosen(("kind", "=", "even"))))
    assert changed.version == 2
    assert await on_offer(m) == {"b": ["some"]}
    await definitions.delete(m, "some")
    assert await on_offer(m) == {}
    with pytest.raises(NotFound):
        await definitions.find(m, "some")
    assert await m.projection.orphaned() == []


async def test_changing_an_asset_moves_it_between_definitions(m: Management) -> None:
    await definition(m, "odd", ("kind", "=", "odd"))
    await definition(m, "even", ("kind", "=", "even"))
    await asset(m, "a", kind="odd")
    assert await on_offer(m) == {"a": ["odd"]}
    await assets.update(m, Asset("a", {f"{EDC}kind": "even"}))
    assert await on_offer(m) == {"a": ["even"]}
    await assets.update(m, Asset("a", {}))
    assert await on_offer(m) == {}


async def test_many_assets_are_offered_in_batches(m: Management) -> None:
    for number in range(120):
        await asset(m, f"a{number:03}")
    await definition(m, "all")
    assert len(await on_offer(m)) == 100
    assert await m.store.unfinished() == []
    rows = await m.store.engine.fetch("SELECT count(*) FROM offer WHERE definition = 'all'")
    assert rows[0][0] == 120
    await definitions.delete(m, "all")
    assert (await m.store.engine.fetch("SELECT count(*) FROM offer"))[0][0] == 0


async def test_terms_that_nobody_keeps_are_refused_and_nothing_is_done(m: Management, plane: Stand) -> None:
    await policy(m, "counted", when(REQUESTS_PER_VEHICLE_DAY, "lteq", "3"))
    await asset(m, "a")
    with pytest.raises(PublicationRefused) as caught:
        await definition(m, "d", contract="counted")
    assert caught.value.code == "policy-unenforceable"
    assert "asset a under contract definition d" in caught.value.findings[0].sentence
    assert caught.value.findings[0].path.startswith("/permission/0/constraint/0")
    with pytest.raises(NotFound):
        await definitions.find(m, "d")
    await assets.delete(m, "a")
    await definition(m, "d", contract="counted")
    with pytest.raises(PublicationRefused):
        await asset(m, "b")
    assert "b" not in plane.sources
    with pytest.raises(NotFound):
        await assets.find(m, "b")
    plane.declares = (REQUESTS_PER_VEHICLE_DAY,)
    await asset(m, "b")
    assert await on_offer(m) == {"b": ["d"]}
    with pytest.raises(PublicationRefused):
        await policies.update(m, PolicyDefinition("counted", when(COLUMNS, "isAnyOf", ["Vehicle.Speed"])))
    assert (await policies.find(m, "counted")).version == 1
    assert await on_offer(m) == {"b": ["d"]}


async def test_an_access_policy_that_nobody_can_decide_is_refused(m: Management) -> None:
    await policy(m, "odd", when("https://example.com/moon", "eq", "full"))
    with pytest.raises(PublicationRefused) as caught:
        await definition(m, "d", access="odd")
    assert caught.value.findings[0].code == "operand-unknown"


async def test_what_was_offered_and_cannot_be_any_more_is_left_out(m: Management) -> None:
    await policy(m, "bodies", when(CONSUMER_KIND, "eq", PUBLIC_BODY))
    await asset(m, "a")
    await definition(m, "first", contract="bodies")
    text = orjson.dumps(when("https://example.com/moon", "eq", "full")).decode()
    await m.context.commit([Statement("UPDATE policy_definition SET policy = ? WHERE id = 'bodies'", (text,))])
    m.known.rules = None
    await definition(m, "second")
    assert await on_offer(m) == {"a": ["second"]}


async def test_a_table_is_looked_at_before_anybody_is_bound(m: Management, plane: Stand) -> None:
    table = {f"{EDC}type": "CarnetTable", f"{EDC}path": "/data/trips.csv", f"{EDC}personal": "false"}
    await definition(m, "all")
    problem = {"code": "unicity", "path": "/permission/0", "sentence": "too few vehicles", "remedy": "coarsen"}
    plane.releasing = [{"policy": 0, "problems": [problem]}]
    with pytest.raises(PublicationRefused) as caught:
        await asset(m, "t", table)
    assert caught.value.code == "release-refused"
    plane.releasing = []
    await asset(m, "t", table)
    assert plane.sources["t"] == {"path": "/data/trips.csv", "table": {"personal": False}}
    assert await on_offer(m) == {"t": ["all"]}


async def test_ids_are_taken_once(m: Management) -> None:
    await asset(m, "a")
    await definition(m, "d")
    for again in (asset(m, "a"), policy(m, "open"), definition(m, "d")):
        with pytest.raises(Conflict):
            await again
    await publish.publish(m.context, "direct", source="x.csv", offers=[])
    with pytest.raises(Conflict, match="published by itself"):
        await asset(m, "direct")
    assert (await assets.create(m, Asset("", {}, data_address=http()))).id.startswith("urn:uuid:")


async def test_the_dataset_of_an_asset_is_changed_through_it_alone(m: Management) -> None:
    await asset(m, "a")
    await definition(m, "d")
    for attempt in (publish.publish(m.context, "a", source="x.csv", offers=[]), publish.withdraw(m.context, "a")):
        with pytest.raises(Conflict, match="dataset-of-asset"):
            await attempt
    assert await on_offer(m) == {"a": ["d"]}


async def test_what_is_used_stays(m: Management) -> None:
    await asset(m, "a")
    await definition(m, "d")
    with pytest.raises(Conflict) as used:
        await policies.delete(m, "open")
    assert used.value.code == "policy-used"
    agreed = (
        "INSERT INTO agreement (id, counterparty, role, negotiation_id, dataset, document, state, created_at, updated_at) "
        "VALUES ('x', 'p', 'provider', 'n', 'a', '{}', 'binding', 1, 1)"
    )
    await m.context.commit([Statement(agreed)])
    with pytest.raises(Conflict) as kept:
        await assets.delete(m, "a")
    assert kept.value.code == "asset-agreed"
    assert await on_offer(m) == {"a": ["d"]}
    await definitions.delete(m, "d")
    await policies.delete(m, "open")


async def test_what_is_not_there_is_not_found(m: Management) -> None:
    for missing in (
        assets.find(m, "x"),
        assets.update(m, Asset("x")),
        assets.delete(m, "x"),
        policies.find(m, "x"),
        policies.update(m, PolicyDefinition("x", {"permission": []})),
        policies.delete(m, "x"),
        definitions.find(m, "x"),
        definitions.delete(m, "x"),
    ):
        with pytest.raises(NotFound):
            await missing
    with pytest.raises(Invalid) as caught:
        await definition(m, "d", access="nobody", contract="none")
    assert [each.path for each in caught.value.violations] == ["accessPolicyId", "contractPolicyId"]


async def test_a_change_of_what_was_not_seen_is_refused(m: Management) -> None:
    await asset(m, "a")
    made = await definition(m, "d")
    assert (await assets.update(m, Asset("a"), version=1)).version == 2
    for stale in (
        assets.update(m, Asset("a"), version=1),
        policies.update(m, PolicyDefinition("open", {"permission": []}), version=7),
        definitions.update(m, made, version=7),
    ):
        with pytest.raises(Outdated):
            await stale


async def test_an_asset_that_goes_takes_its_offers_and_its_data_along(m: Management, plane: Stand) -> None:
    await definition(m, "d")
    await asset(m, "a")
    await assets.delete(m, "a")
    assert await on_offer(m) == {}
    assert plane.sources == {}
    await asset(m, "a")
    assert await on_offer(m) == {"a": ["d"]}


async def test_an_asset_without_data_is_kept_and_not_offered(m: Management, plane: Stand) -> None:
    await definition(m, "d")
    await assets.create(m, Asset("a", {f"{EDC}name": "Later"}))
    assert (await on_offer(m), plane.asked) == ({}, [])
    await assets.update(m, Asset("a", data_address=http()))
    assert await on_offer(m) == {"a": ["d"]}
    plane.away = True
    with pytest.raises(Unavailable):
        await assets.update(m, Asset("a", {f"{EDC}name": "Now"}, data_address=http("https://other.example.com")))
    assert (await assets.find(m, "a")).version == 2


async def test_a_change_that_is_refused_leaves_the_data_as_they_were(m: Management, plane: Stand) -> None:
    plane.declares = (REQUESTS_PER_VEHICLE_DAY,)
    await policy(m, "counted", when(REQUESTS_PER_VEHICLE_DAY, "lteq", "3"))
    await definition(m, "d", contract="counted")
    await asset(m, "a")
    plane.declares = ()
    with pytest.raises(PublicationRefused):
        await assets.update(m, Asset("a", data_address=http("https://other.example.com")))
    assert plane.sources["a"]["http"]["baseUrl"] == "https://api.example.com/trips"
    assert await on_offer(m) == {"a": ["d"]}


@pytest.mark.parametrize(
    "properties",
    [
        {"http://www.w3.org/ns/odrl/2/hasPolicy": {"@id": "urn:x"}},
        {"https://example.com/a": {"http://www.w3.org/ns/dcat#distribution": []}},
        {"https://example.com/a": [{"@graph": []}]},
        {"https://example.com/a": "x" * 70_000},
    ],
)
async def test_properties_say_nothing_in_the_connectors_place(m: Management, properties: Json) -> None:
    with pytest.raises(CallerError):
        await assets.create(m, Asset("a", properties, data_address=http()))


async def test_lists_are_narrowed(m: Management) -> None:
    for name in ("a", "b"):
        await asset(m, name, kind=name)
    spec = QuerySpec(criteria=chosen(("kind", "=", "b")))
    assert [each.id for each in await assets.query(m, spec)] == ["b"]
    assert await assets.count(m, spec) == 1
    assert [each.id for each in await policies.query(m, QuerySpec())] == ["open"]
    assert (await policies.count(m, QuerySpec()), await definitions.count(m, QuerySpec())) == (1, 0)
    assert await definitions.query(m, QuerySpec()) == []
