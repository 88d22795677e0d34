"""What is promised exclusively is offered to nobody else, by whatever definition; and how many offers an asset may have."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connector.flow.offers import PublicationRefused
from connector.management import assets, definitions, offering, projecting
from connector.management.model import EDC, Asset
from connector.management.service import Management
from connector.store import writes
from connector.store.engine import Statement
from connector.store.rows import Agreement
from policies.terms.exclusivity import EXCLUSIVE
from tests.management.stand import asset, definition, policy, when
from tests.management.test_services_kills import offered

ALONE: dict[str, Any] = when(EXCLUSIVE, "eq", "true")
GROUND = (
    "INSERT INTO exclusivity (agreement_id, counterparty, dataset, exclusive, bounds, created_at) "
    "VALUES ('urn:agreement:1', 'did:web:city', ?, 1, ?, 1)"
)


@pytest.fixture
async def sold(m: Management) -> Management:
    """Two assets on offer exclusively, one of which somebody has got."""
    await policy(m, "alone", ALONE)
    for name in ("free", "sold"):
        await asset(m, name)
    await definition(m, "d", contract="alone")
    (row,) = await m.context.store.shelf.offers("sold")
    agreed = orjson.loads(row.document) | {
        "@id": "urn:agreement:1",
        "@type": "Agreement",
        "target": "sold",
        "assigner": m.context.participant_id,
        "assignee": "did:web:city",
    }
    text = orjson.dumps(agreed).decode()
    made = Agreement("urn:agreement:1", "did:web:city", "provider", "n", "sold", text, "binding", 1, 1)
    await m.context.commit([writes.insert_agreement(made), Statement(GROUND, ("sold", text))])
    return m


async def test_two_definitions_do_not_share_exclusive_ground(m: Management) -> None:
    await policy(m, "alone", ALONE)
    await asset(m, "a")
    await definition(m, "first")
    with pytest.raises(PublicationRefused) as caught:
        await definition(m, "second", contract="alone")
    assert caught.value.code == "exclusivity-conflict"
    assert "asset a under contract definition second" in caught.value.findings[0].sentence
    assert await offered(m) == {"a": {"first"}}


async def test_what_is_sold_exclusively_is_no_obstacle_to_a_change_of_the_asset(sold: Management) -> None:
    assert await offered(sold) == {"free": {"d"}, "sold": {"d"}}
    await assets.update(sold, Asset("sold", {f"{EDC}name": "Sold"}))
    assert await offered(sold) == {"free": {"d"}}


async def test_what_is_sold_exclusively_is_offered_by_no_other_definition(sold: Management) -> None:
    with pytest.raises(PublicationRefused) as caught:
        await definition(sold, "open", ("id", "=", "sold"))
    assert "asset sold under contract definition open" in caught.value.findings[0].sentence
    with pytest.raises(PublicationRefused):
        await definitions.update(sold, await definitions.find(sold, "d"))
    assert await offered(sold) == {"free": {"d"}, "sold": {"d"}}


async def test_a_walk_that_goes_on_leaves_out_what_was_sold_meanwhile(sold: Management) -> None:
    await sold.context.commit([Statement("UPDATE contract_definition SET reached = ''")])
    await projecting.finish(sold)
    assert await offered(sold) == {"free": {"d"}}
    assert await sold.store.unfinished() == []


async def test_offers_of_an_asset_that_is_gone_go_too(m: Management) -> None:
    await asset(m, "a")
    await definition(m, "d")
    await m.context.commit([Statement("DELETE FROM asset"), Statement("DELETE FROM contract_definition")])
    m.known.rules = None
    assert await m.projection.orphaned() == ["d"]
    await projecting.finish(m)
    assert await offered(m) == {}


async def test_an_asset_has_so_many_offers_and_no_more(m: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "OFFERS_MOST", 2)
    await asset(m, "a")
    for name in ("d1", "d2"):
        await definition(m, name)
    with pytest.raises(PublicationRefused) as caught:
        await definition(m, "d3")
    assert caught.value.code == "offers-too-many"
    assert await offered(m) == {"a": {"d1", "d2"}}
