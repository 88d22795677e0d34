"""A transfer that ensues: begun by itself when the negotiation is finalized, once, whenever the power goes off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connector.flow import begin, publish, timers
from connector.flow.context import Choices
from connector.flow.ensuing import ENSUING_ALARM, ensuing_timer, negotiation_of
from connector.flow.following import AGAIN_MS, TRIED_MS, begin_ensuing
from connector.protocol.errors import PolicyDenied, Unavailable
from connector.protocol.messages import PULL
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store import writes
from connector.store.rows import Timer
from tests.flow.house import DATASET, OFFER, Fuse, House, Street

ROUNDS = 30


async def ask(house: House) -> None:
    """For a contract and its data in one, unless that has been done."""
    if await house.only(Kind.NEGOTIATION) is None:
        await begin.request_contract(house.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER, ensuing=PULL)


async def fire(house: House) -> None:
    """What is due, as the clock of a connector does it."""
    for timer in await house.store.timers_due(house.street.now_ms()):
        if timer.kind == ENSUING_ALARM:
            await timers.reached(house.context, timer)


async def told(street: Street) -> None:
    """The whole story, until the transfer runs on both sides."""
    for _ in range(ROUNDS):
        await street.consumer.surviving(lambda: ask(street.consumer))
        await street.pump()
        await street.consumer.surviving(lambda: fire(street.consumer))
        found = [await house.only(Kind.TRANSFER) for house in street.houses.values()]
        if all(each is not None and each.state is State.STARTED for each in found) and await street.quiet():
            return
    raise AssertionError("the transfer does not run")


async def agreed(street: Street) -> Timer:
    """A finalized negotiation, and the timer of what ensues."""
    await ask(street.consumer)
    for _ in range(ROUNDS):
        await street.pump()
        due = await street.consumer.store.timers_due(street.now_ms())
        if any(each.kind == ENSUING_ALARM for each in due):
            return next(each for each in due if each.kind == ENSUING_ALARM)
    raise AssertionError("nothing ensues")


async def negotiation(street: Street) -> Process:
    """The consumer's."""
    found = await street.consumer.only(Kind.NEGOTIATION)
    assert found is not None
    return found


async def lines(street: Street) -> list[str]:
    """What the timeline of the negotiation says."""
    return [each.what for each in await street.consumer.store.timeline((await negotiation(street)).id)]


async def test_it_begins_by_itself_and_without_sink(street: Street) -> None:
    await told(street)
    transfer = await street.consumer.only(Kind.TRANSFER)
    assert transfer is not None
    assert (transfer.detail.sink, transfer.detail.format) == (None, PULL)
    assert transfer.detail.proposed_by == (await negotiation(street)).detail.proposed_by == "owner"
    assert transfer.detail.data_address is not None
    left = await street.consumer.store.timers_due(street.now_ms())
    assert not any(each.kind == ENSUING_ALARM for each in left)


async def test_nothing_ensues_from_a_negotiation_without_such_a_wish(street: Street) -> None:
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    for _ in range(ROUNDS):
        await street.pump()
    assert (await negotiation(street)).state is State.FINALIZED
    assert not await street.consumer.store.timers_due(street.now_ms())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_once_whenever_the_power_goes_off(tmp_path: Path, after: bool) -> None:
    """At every commit of the story, before and after it is on the disk."""
    commits = 0
    for at in range(1, 40):
        street = Street(Fuse())
        await street.open(tmp_path, f"cut-{at}")
        await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
        street.fuse.count, street.fuse.at, street.fuse.after = 0, at, after
        await told(street)
        commits = street.fuse.count
        await street.close()
        if commits < at:
            return
    raise AssertionError(f"the story has more commits than were cut: {commits}")


async def test_two_workers_begin_one(street: Street) -> None:
    timer = await agreed(street)
    said = await lines(street)
    await begin_ensuing(street.consumer.context, timer)
    # Another worker that has read the timer before: its transaction loses against the row that is gone.
    await begin_ensuing(street.consumer.context, timer)
    street.now += TRIED_MS + 1
    await begin_ensuing(street.consumer.context, timer)
    assert await street.consumer.only(Kind.TRANSFER) is not None
    assert await lines(street) == said
    assert not [each for each in await street.consumer.store.timers_due(street.now + TRIED_MS) if each.kind == ENSUING_ALARM]


async def test_it_is_tried_again_while_it_cannot_begin(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = await agreed(street)
    real = begin.request_transfer

    async def away(*_: object, **__: object) -> Process:
        raise Unavailable("peer-unreachable", "not now")

    monkeypatch.setattr(begin, "request_transfer", away)
    before = street.now
    await begin_ensuing(street.consumer.context, timer)
    (later,) = [each for each in await street.consumer.store.timers_due(before + 2 * AGAIN_MS) if each.kind == ENSUING_ALARM]
    assert later.due_at >= before + AGAIN_MS
    monkeypatch.setattr(begin, "request_transfer", real)
    await begin_ensuing(street.consumer.context, later)
    assert await street.consumer.only(Kind.TRANSFER) is not None


async def test_it_is_given_up_after_a_while_and_that_is_said(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = await agreed(street)

    async def away(*_: object, **__: object) -> Process:
        raise Unavailable("peer-unreachable", "not now")

    monkeypatch.setattr(begin, "request_transfer", away)
    street.now += TRIED_MS + 1
    await begin_ensuing(street.consumer.context, timer)
    assert (await lines(street))[-1] == "the transfer that was to follow could not begin"
    assert not [each for each in await street.consumer.store.timers_due(street.now + TRIED_MS) if each.kind == ENSUING_ALARM]


async def test_what_can_never_begin_is_said_at_once(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = await agreed(street)

    async def refused(*_: object, **__: object) -> Process:
        raise PolicyDenied("participant-shut-out", "it is suspended")

    monkeypatch.setattr(begin, "request_transfer", refused)
    await begin_ensuing(street.consumer.context, timer)
    assert (await lines(street))[-1] == "the transfer that was to follow could not begin"
    assert await street.consumer.only(Kind.TRANSFER) is None


async def test_a_timer_of_a_negotiation_that_is_gone_goes(street: Street) -> None:
    await ask(street.consumer)
    open_one = await negotiation(street)
    for name in (open_one.id, "urn:uuid:gone"):
        timer = ensuing_timer(street.new_id(), name, street.now_ms())
        assert negotiation_of(timer) == name
        await street.consumer.store.commit([writes.insert_timer(timer)])
        await begin_ensuing(street.consumer.context, timer)
    assert not await street.consumer.store.timers_due(street.now_ms() + 1)


async def test_a_person_who_verifies_delays_it_only(street: Street) -> None:
    street.consumer.context = replace(street.consumer.context, choices=Choices(verify=False))
    await ask(street.consumer)
    for _ in range(ROUNDS):
        await street.pump()
    assert (await negotiation(street)).detail.pending == "decide-verification"
    assert (await negotiation(street)).detail.ensuing == PULL
