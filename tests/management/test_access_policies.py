"""An access policy keeps an offer from those whom it does not permit: in the catalogue, when they ask, and at the agreement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import orjson

from connector.flow import agreeing, asking, begin
from connector.flow.context import Choices
from connector.identity.participants import Claims
from connector.management.service import Management
from connector.protocol.states import State
from policies.explain import Reader
from policies.terms.party import PARTICIPANT
from tests.flow.house import Street
from tests.flow.test_acceptance import negotiation, rest
from tests.management.stand import asset, definition, policy, when

Json = dict[str, Any]


async def published(m: Management) -> Json:
    """The only offer of the asset."""
    (row,) = await m.context.store.shelf.offers("trips")
    offer: Json = orjson.loads(row.document)
    return offer


async def ask(street: Street, offer: Json) -> None:
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset="trips", offer=offer)
    await rest(street)


async def test_whom_it_permits_gets_the_contract_and_reads_nothing_of_it(m: Management, street: Street) -> None:
    await policy(m, "us", when(PARTICIPANT, "eq", "did:web:consumer"))
    await asset(m, "trips")
    await definition(m, "d", access="us")
    offer = await published(m)
    assert PARTICIPANT not in str(offer)
    await ask(street, offer)
    assert (await negotiation(street.consumer)).state is State.FINALIZED
    agreement = (await negotiation(street.provider)).detail.agreement or {}
    assert agreement["permission"] == [{"action": "use"}]


async def test_whom_it_does_not_permit_does_not_even_learn_that_the_offer_is_there(m: Management, street: Street) -> None:
    await policy(m, "others", when(PARTICIPANT, "eq", "did:web:other"))
    await asset(m, "trips")
    await definition(m, "d", access="others")
    await ask(street, await published(m))
    theirs = await negotiation(street.consumer)
    assert theirs.state is State.TERMINATED
    assert "offer.@id is not an offer of this dataset" in str(theirs.detail)
    assert await street.provider.store.agreements() == []


async def test_who_came_by_another_offer_is_held_against_it_at_the_agreement(m: Management, street: Street) -> None:
    context = street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    await policy(m, "others", when(PARTICIPANT, "eq", "did:web:other"))
    await asset(m, "trips")
    await definition(m, "seen")
    await ask(street, await published(m))
    await definition(m, "hidden", access="others")
    rows = {each.definition: orjson.loads(each.document) for each in await context.store.shelf.offers("trips")}
    process = await negotiation(street.provider)
    for definition_id, code in (("seen", None), ("hidden", "policy-denied")):
        about = replace(process, detail=msgspec.structs.replace(process.detail, offer=rows[definition_id]))
        verdict = await agreeing.judge_agreement(context, about, {})
        assert verdict.code == code
        assert PARTICIPANT not in str(verdict.reasons)


async def test_a_simulation_says_that_the_offer_is_not_shown(m: Management) -> None:
    await policy(m, "others", when(PARTICIPANT, "eq", "did:web:other"))
    await asset(m, "trips")
    await definition(m, "d", access="others")
    for participant, permitted in (("did:web:consumer", False), ("did:web:other", True)):
        (found,) = await asking.suppose(m.context, "trips", asking.Supposed(participant, claims=Claims()), Reader())
        assert found["permitted"] is permitted
        assert ("hidden" in found) is not permitted
