"""Each request for data is decided: by the gates of the agreement, with the claims of now and the purpose of the request."""

from __future__ import annotations

import pytest

from connector.flow import acts, standing
from connector.flow.data_requests import Decided, decide_request
from connector.protocol.errors import NotFound
from connector.protocol.messages import Document
from connector.protocol.states import State
from tests.flow.house import DATASET, Street
from tests.flow.test_acceptance import rest
from tests.flow.test_by_terms import ACADEMIC, DPV, RESEARCH, allows, when
from tests.flow.test_use import DAY_MS, begun, contract, days

MARKETING = f"{DPV}Marketing"
SCIENCE = f"{DPV}ScientificResearch"


async def decided(street: Street, terms: Document, purpose: str | None = None) -> Decided:
    """The decision on a request under a transfer that runs."""
    ours, _ = await begun(street, await contract(street, terms))
    assert ours.state is State.STARTED
    return await decide_request(street.provider.context, ours.id, purpose)


async def test_what_is_permitted_names_agreement_permissions_and_buyer(street: Street) -> None:
    found = await decided(street, allows(ACADEMIC))
    assert (found.permitted, found.permissions, found.purpose, found.reasons) == (True, (0,), SCIENCE, ())
    assert found.counterparty == street.consumer.context.participant_id
    assert (found.agreement["target"], found.agreement["@type"]) == (DATASET, "Agreement")


async def test_the_purpose_of_a_request_must_be_within_what_was_agreed(street: Street) -> None:
    ours, _ = await begun(street, await contract(street, allows(RESEARCH)))
    ask = street.provider.context
    assert (await decide_request(ask, ours.id, SCIENCE)).permitted
    for purpose in (MARKETING, "urn:unheard-of"):
        found = await decide_request(ask, ours.id, purpose)
        assert (found.permitted, found.permissions, found.agreement) == (False, (), {})
        assert found.reasons


async def test_without_a_purpose_the_agreed_one_counts(street: Street) -> None:
    found = await decided(street, allows(RESEARCH))
    assert found.purpose == f"{DPV}ResearchAndDevelopment"


async def test_time_is_judged_at_each_request(street: Street) -> None:
    ours, _ = await begun(street, await contract(street, allows(when("odrl:elapsedTime", "lteq", days(1)))))
    assert (await decide_request(street.provider.context, ours.id, None)).permitted
    street.now += DAY_MS + 60_000
    assert not (await decide_request(street.provider.context, ours.id, None)).permitted


async def test_only_a_transfer_that_runs_delivers(street: Street) -> None:
    ours, theirs = await begun(street, await contract(street, allows()))
    await acts.suspend(street.provider.context, ours.id)
    assert not (await decide_request(street.provider.context, ours.id, None)).permitted
    await rest(street)
    assert not (await decide_request(street.provider.context, ours.id, None)).permitted
    assert not (await decide_request(street.consumer.context, theirs.id, None)).permitted
    with pytest.raises(NotFound):
        await decide_request(street.provider.context, "urn:no-such", None)


async def test_nothing_leaves_for_who_is_shut_out(street: Street) -> None:
    ours, _ = await begun(street, await contract(street, allows()))
    context = street.provider.context
    await standing.suspend(context, ours.counterparty, "not any more")
    found = await decide_request(context, ours.id, None)
    assert (found.permitted, bool(found.reasons)) == (False, True)
