"""Terms that name requests of users: decided with what the data plane has on record, at each point anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connector.flow import acts, begin, deciding, publish
from connector.flow.context import Choices
from connector.flow.data_requests import decide_request
from connector.flow.seals import Seals
from connector.flow.user_requests import on_record
from connector.flow.using import AWAY_MS
from connector.protocol.errors import CallerError, Conflict, Unavailable
from connector.protocol.messages import Document
from connector.protocol.states import State
from policies.delivery import Capabilities
from policies.terms.consent import USER_REQUEST
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import VDX, allows, asked, fire, when
from tests.flow.test_use import DAY_MS, begun, moment, transfers

ONE, TWO = "urn:request:1", "urn:request:2"
AGREED, SERVICE = f"{VDX}AgreedWithUser", f"{VDX}RequestedService"
CONSUMER = "did:web:consumer"
NAMED = when(USER_REQUEST, "isAnyOf", [{"@id": ONE}, {"@id": TWO}])
ONLY = when(USER_REQUEST, "eq", {"@id": ONE})
PURPOSE = when("odrl:purpose", "isA", {"@id": AGREED})
ALONE = when(f"{VDX}exclusive", "eq", {"@value": "true", "@type": "xsd:boolean"})


@dataclass
class Plane:
    """A data plane that has requests on record, or does not answer."""

    held: set[str] = field(default_factory=set)
    away: bool = False
    knows: bool = True
    asked: list[Document] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Document | None = None) -> Document:
        assert (method, path) == ("POST", "/carnet/requests/held")
        assert body is not None
        self.asked.append(body)
        if self.away:
            raise Unavailable("data-plane-away", "it is away")
        if not self.knows:
            raise CallerError("not-found", "it keeps no requests")
        return {"held": [each for each in body["requests"] if each in self.held]}


@pytest.fixture
def plane(street: Street) -> Plane:
    made = Plane()
    street.provider.seals = Seals(ask=made.ask)
    street.provider.context = replace(street.provider.context, seals=street.provider.seals)
    return made


async def offer(street: Street, *constraints: Document) -> Document:
    """What the provider publishes of a table whose data plane keeps requests."""
    made = {**OFFER, **allows(*constraints)}
    able = Capabilities(frozenset({USER_REQUEST}))
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[made], able=able)
    return made


async def test_a_contract_is_made_for_whom_a_user_named(street: Street, plane: Plane) -> None:
    plane.held = {ONE}
    ours, _ = await asked(street, await offer(street, NAMED, PURPOSE))
    assert ours.state is State.FINALIZED, ours.detail.ended
    assert plane.asked[-1] == {"requests": [ONE, TWO], "recipient": CONSUMER, "purpose": AGREED}


async def test_it_may_be_narrowed_to_one_of_the_requests(street: Street, plane: Plane) -> None:
    plane.held = {ONE}
    whole = await offer(street, NAMED, PURPOSE)
    ours, _ = await asked(street, {**whole, **allows(ONLY, PURPOSE)})
    assert ours.state is State.FINALIZED, ours.detail.ended


@pytest.mark.parametrize("knows", [True, False])
async def test_without_a_request_on_record_there_is_none(street: Street, plane: Plane, knows: bool) -> None:
    plane.knows = knows
    ours, theirs = await asked(street, await offer(street, NAMED, PURPOSE))
    assert (ours.state, theirs.state) == (State.TERMINATED, State.TERMINATED)
    assert theirs.detail.ended is not None
    assert theirs.detail.ended.code == "policy-denied"
    assert ("no request of a user is on record for you" in str(theirs.detail.ended.reason)) == knows


async def test_a_transfer_and_each_request_for_data_are_decided_anew(street: Street, plane: Plane) -> None:
    plane.held = {ONE, TWO}
    ours, _ = await asked(street, await offer(street, NAMED, PURPOSE))
    assert ours.detail.agreement is not None
    agreement = str(ours.detail.agreement["@id"])
    running, _ = await begun(street, agreement)
    assert running.state is State.STARTED
    context = street.provider.context
    assert (await decide_request(context, running.id, SERVICE)).permitted
    assert plane.asked[-1]["purpose"] == SERVICE
    assert (await decide_request(context, running.id, None)).permitted
    assert plane.asked[-1]["purpose"] == AGREED
    plane.held = set()
    refused = await decide_request(context, running.id, None)
    assert not refused.permitted
    assert "no request of a user is on record for you" in str(refused.reasons)
    await begin.request_transfer(street.consumer.context, agreement_id=agreement)
    await rest(street)
    theirs = (await transfers(street))[1]
    assert theirs.state is State.TERMINATED


async def test_a_transfer_goes_on_while_nobody_can_say_and_ends_when_its_request_has(street: Street, plane: Plane) -> None:
    plane.held = {ONE}
    soon = when("odrl:dateTime", "lt", moment(street.now + DAY_MS))
    ours, _ = await asked(street, await offer(street, ONLY, PURPOSE, soon))
    assert ours.detail.agreement is not None
    await begun(street, str(ours.detail.agreement["@id"]))
    plane.away = True
    with pytest.raises(Unavailable):
        await decide_request(street.provider.context, (await transfers(street))[0].id, None)
    await fire(street, street.provider, DAY_MS + 1)
    assert (await transfers(street))[0].state is State.STARTED
    plane.away = False
    await fire(street, street.provider, AWAY_MS + 1)
    assert (await transfers(street))[0].state is State.TERMINATED


async def test_what_names_no_request_asks_nobody(street: Street, plane: Plane) -> None:
    plane.away = True
    ours, _ = await asked(street, await offer(street, PURPOSE))
    assert ours.state is State.FINALIZED
    assert plane.asked == []
    assert await on_record(street.provider.context, {"@type": "Agreement", "permission": 7}, CONSUMER) == {}


async def test_nobody_gets_alone_what_a_user_shares(street: Street, plane: Plane) -> None:
    """A claim beyond the offer waits for a person, but for this one: no person could agree to it."""
    plane.held = {ONE, TWO}
    whole = await offer(street, NAMED, PURPOSE)
    ours, theirs = await asked(street, {**whole, **allows(NAMED, PURPOSE, ALONE)})
    assert ours.detail.pending is None
    assert theirs.detail.ended is not None
    assert theirs.detail.ended.code == "policy-unenforceable"
    assert "Data Act" in str(theirs.detail.ended.reason)


async def test_nor_does_a_person_give_it(street: Street, plane: Plane) -> None:
    plane.held = {ONE, TWO}
    street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    whole = await offer(street, NAMED, PURPOSE)
    ours, _ = await asked(street, {**whole, **allows(NAMED, PURPOSE, ALONE)})
    with pytest.raises(Conflict, match="Data Act"):
        await acts.agree(street.provider.context, ours.id)


async def test_a_person_cannot_agree_to_a_request_that_is_not_on_record(street: Street, plane: Plane) -> None:
    plane.held = {ONE}
    whole = await offer(street, ONLY, PURPOSE)
    ours, _ = await asked(street, {**whole, **allows(when(USER_REQUEST, "eq", {"@id": "urn:request:3"}), PURPOSE)})
    assert ours.detail.pending == "decide-counter-offer"
    with pytest.raises(Conflict, match="no request of a user"):
        await deciding.approve(street.provider.context, ours.id)
    assert (await negotiation(street.provider)).state is State.REQUESTED


async def test_to_name_a_request_where_the_offer_names_none_is_to_ask_for_more(street: Street, plane: Plane) -> None:
    """Rows would leave without the consent that they leave by under the offer; a person may agree to that."""
    plane.held = {ONE}
    whole = await offer(street, PURPOSE)
    ours, _ = await asked(street, {**whole, **allows(PURPOSE, ONLY)})
    assert ours.detail.pending == "decide-counter-offer"
    await deciding.approve(street.provider.context, ours.id)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


@pytest.mark.parametrize(("named", "waits"), [(ONE, False), ("urn:request:3", True)])
async def test_nor_does_another_permission_make_up_for_that(street: Street, plane: Plane, named: str, waits: bool) -> None:
    """Of two permissions one names requests: who narrows that one may name fewer of them, and no others."""
    plane.held = {ONE, "urn:request:3"}
    made = {**OFFER, "permission": [*allows(NAMED, PURPOSE)["permission"], *allows(PURPOSE)["permission"]]}
    able = Capabilities(frozenset({USER_REQUEST}))
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[made], able=able)
    ours, _ = await asked(street, {**made, **allows(PURPOSE, when(USER_REQUEST, "eq", {"@id": named}))})
    assert (ours.detail.pending == "decide-counter-offer") == waits


async def test_a_malformed_ask_claims_nothing(street: Street, plane: Plane) -> None:
    """What cannot be read is not held against the rules of law; it is left to who reads policies."""
    whole = await offer(street, NAMED, PURPOSE)
    broken: dict[str, Any] = {**whole, "permission": [{"action": "use", "constraint": [when("", "eq", "x")]}]}
    ours, _ = await asked(street, broken)
    assert ours.state is not State.FINALIZED
