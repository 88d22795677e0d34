"""Use under an agreement: who may begin a transfer, and what ends one that runs when a term of time permits it no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.flow import begin
from connector.flow.data_requests import decide_request
from connector.flow.using import LOOK_AGAIN_MS, next_turn
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from policies.terms.metering import COUNT
from tests.flow.house import Street
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import allows, asked, fire, offered, when

DAY_MS = 86_400_000
MADE = "2026-01-01T00:00:00.000Z"
MADE_MS = 1_767_225_600_000


def moment(ms: int) -> Document:
    return {"@value": (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)).isoformat(), "@type": "xsd:dateTime"}


def days(number: int) -> Document:
    return {"@value": f"P{number}D", "@type": "xsd:duration"}


async def contract(street: Street, terms: Document) -> str:
    """The id of an agreement with these terms."""
    ours, _ = await asked(street, await offered(street, terms))
    assert ours.state is State.FINALIZED, ours.detail.ended
    assert ours.detail.agreement is not None
    return str(ours.detail.agreement["@id"])


async def transfers(street: Street) -> tuple[Process, Process]:
    """Both sides of the last transfer, the provider's first."""
    ours, theirs = [await house.store.processes(Kind.TRANSFER) for house in (street.provider, street.consumer)]
    return ours[-1], theirs[-1]


async def begun(street: Street, agreement: str) -> tuple[Process, Process]:
    await begin.request_transfer(street.consumer.context, agreement_id=agreement)
    await rest(street)
    return await transfers(street)


CLOCKS: dict[str, Callable[[int], Document]] = {
    "dateTime": lambda now: when("odrl:dateTime", "lt", moment(now + DAY_MS)),
    "elapsedTime": lambda _: when("odrl:elapsedTime", "lteq", days(1)),
    "inForceDate": lambda _: when("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+1d"),
    "POLICY_EVALUATION_TIME": lambda now: when("https://w3id.org/idsa/code/POLICY_EVALUATION_TIME", "lt", moment(now + DAY_MS)),
    "DataUsageEndDurationDays": lambda _: when(
        "https://w3id.org/catenax/2025/9/policy/DataUsageEndDurationDays", "eq", {"@value": "1", "@type": "xsd:integer"}
    ),
}


@pytest.mark.parametrize("clock", CLOCKS)
async def test_a_running_transfer_ends_when_its_term_does_not_permit_it_any_more(street: Street, clock: str) -> None:
    ours, theirs = await begun(street, await contract(street, allows(CLOCKS[clock](street.now))))
    assert (ours.state, theirs.state) == (State.STARTED, State.STARTED)
    await fire(street, street.provider, DAY_MS - 3_600_000)
    assert (await transfers(street))[0].state is State.STARTED
    await fire(street, street.provider, 3_600_000)
    # At the very end of an interval that includes it, it is looked at once more right after.
    await fire(street, street.provider, 2)
    ours, theirs = await transfers(street)
    assert (ours.state, theirs.state) == (State.TERMINATED, State.TERMINATED)
    assert theirs.detail.ended is not None
    assert theirs.detail.ended.code == "terms-ended"
    assert theirs.detail.ended.reason
    assert street.provider.commands[-1] == "terminate"


async def test_after_the_end_nobody_begins_a_transfer(street: Street) -> None:
    agreement = await contract(street, allows(when("odrl:elapsedTime", "lteq", days(1))))
    street.now += DAY_MS + 60_000
    _, theirs = await _consumers(street, agreement)
    assert theirs.state is State.TERMINATED
    assert theirs.detail.refusal is not None
    assert theirs.detail.refusal.code == "policy-denied"
    assert "1 day" in str(theirs.detail.refusal.reason)


async def _consumers(street: Street, agreement: str) -> tuple[str, Process]:
    await begin.request_transfer(street.consumer.context, agreement_id=agreement)
    await rest(street)
    return agreement, (await street.consumer.store.processes(Kind.TRANSFER))[-1]


async def test_transfers_are_counted_where_the_agreement_counts_them(street: Street) -> None:
    street.provider.context = replace(street.provider.context, declared=frozenset({COUNT}))
    limit = when("odrl:count", "lteq", {"@value": "2", "@type": "xsd:integer"})
    agreement = await contract(street, allows(limit))
    found = [(await _consumers(street, agreement))[1] for _ in range(3)]
    assert [process.state for process in found] == [State.STARTED, State.STARTED, State.TERMINATED]
    assert found[-1].detail.refusal is not None
    assert found[-1].detail.refusal.code == "policy-denied"


async def test_a_transfer_says_in_its_timeline_how_it_was_decided(street: Street) -> None:
    ours, _ = await begun(street, await contract(street, allows()))
    assert ("decided", "permitted") in [(line.what, line.note) for line in await street.provider.store.timeline(ours.id)]
    assert (await negotiation(street.provider)).state is State.FINALIZED


def deleting(*constraints: Document) -> Document:
    """Terms that permit use, with a duty to delete."""
    return {"permission": [{"action": "use", "duty": [{"action": "odrl:delete", "constraint": list(constraints)}]}]}


async def test_after_the_data_had_to_go_use_has_ended(street: Street) -> None:
    agreement = await contract(street, deleting(when("odrl:elapsedTime", "lteq", days(1))))
    ours, _ = await begun(street, agreement)
    assert ours.state is State.STARTED
    assert (await decide_request(street.provider.context, ours.id, None)).permitted
    await fire(street, street.provider, DAY_MS)
    await fire(street, street.provider, 2)
    ours, theirs = await transfers(street)
    assert (ours.state, theirs.state) == (State.TERMINATED, State.TERMINATED)
    assert theirs.detail.ended is not None
    assert "had to be deleted by" in str(theirs.detail.ended.reason)
    _, refused = await _consumers(street, agreement)
    assert refused.detail.refusal is not None
    assert refused.detail.refusal.code == "use-ended"


async def test_a_permission_without_a_duty_to_delete_can_be_used_on(street: Street) -> None:
    first = deleting(when("odrl:elapsedTime", "lteq", days(1)))["permission"]
    ours, _ = await begun(street, await contract(street, {"permission": [*first, {"action": "use"}]}))
    street.now += DAY_MS + 60_000
    decided = await decide_request(street.provider.context, ours.id, None)
    assert (decided.permitted, decided.permissions) == (True, (1,))


@pytest.mark.parametrize(
    ("terms", "now", "turn"),
    [
        (allows(), MADE_MS, None),
        (allows(when("odrl:purpose", "eq", "https://w3id.org/dpv#Marketing")), MADE_MS, None),
        (allows(when("odrl:dateTime", "lt", moment(MADE_MS + 5))), MADE_MS, MADE_MS + 5),
        (allows(when("odrl:dateTime", "lteq", moment(MADE_MS + 5))), MADE_MS + 5, MADE_MS + 6),
        (allows(when("odrl:dateTime", "lteq", moment(MADE_MS + 5))), MADE_MS + 6, None),
        (
            allows(when("odrl:elapsedTime", "lteq", days(2)), when("odrl:dateTime", "lt", moment(9 * DAY_MS))),
            MADE_MS,
            MADE_MS + 2 * DAY_MS,
        ),
        (allows(when("odrl:event", "lt", "urn:event:end")), MADE_MS, MADE_MS + LOOK_AGAIN_MS),
        (allows(when("odrl:dateTime", "lt", moment(253_402_300_799_000))), MADE_MS, 253_402_300_799_000),
        (
            allows({"or": [when("odrl:dateTime", "gt", moment(MADE_MS + 7)), when("odrl:dateTime", "lt", moment(5))]}),
            MADE_MS,
            MADE_MS + 7,
        ),
        ({"permission": [{"constraint": []}]}, MADE_MS, None),
        (deleting(when("odrl:elapsedTime", "lteq", days(2))), MADE_MS, MADE_MS + 2 * DAY_MS + 1),
        (deleting(when("odrl:elapsedTime", "lteq", days(2))), MADE_MS + 2 * DAY_MS + 1, None),
        (deleting(), MADE_MS, None),
    ],
)
def test_the_next_turn_is_the_first_moment_at_which_a_term_can_turn(terms: Document, now: int, turn: int | None) -> None:
    assert next_turn({"@id": "urn:a", "@type": "Agreement", "target": "urn:d", "timestamp": MADE, **terms}, now) == turn
