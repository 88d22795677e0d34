"""What the loss run has found in suspending and resuming, each reduced to its sequence, in two houses without a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from connector.flow import acts, answers, begin, publish
from connector.protocol.errors import Conflict
from connector.protocol.record import Process
from connector.protocol.states import Kind, Message, Role, State
from tests.flow.house import ADDRESS, DATASET, LEASE_MS, OFFER, Fuse, Street

MAX_PUMPS = 20


async def settled(street: Street) -> None:
    """Deliver until nothing is on its way."""
    for _ in range(MAX_PUMPS):
        if await street.quiet():
            return
        await street.pump()
    pytest.fail("the houses do not come to rest")


async def transfer(street: Street, role: Role) -> Process:
    """The transfer as one house has it."""
    found = await street.houses[role].only(Kind.TRANSFER)
    assert found is not None
    return found


async def started(folder: Path) -> Street:
    """Two houses with a running transfer."""
    street = Street(Fuse())
    await street.open(folder, "resumption")
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    consumer = street.consumer
    await begin.request_contract(consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    await settled(street)
    agreement = (await consumer.store.agreements())[0]
    await begin.request_transfer(consumer.context, agreement_id=agreement.id, sink="trips.csv")
    await settled(street)
    assert (await transfer(street, Role.CONSUMER)).state is State.STARTED
    return street


async def do(street: Street, role: Role, act: Callable[..., Awaitable[object]]) -> None:
    await act(street.houses[role].context, (await transfer(street, role)).id)


async def test_the_data_plane_is_not_asked_twice_to_start(tmp_path: Path) -> None:
    street = await started(tmp_path)
    await do(street, Role.PROVIDER, acts.suspend)
    await settled(street)
    await do(street, Role.PROVIDER, acts.start)
    with pytest.raises(Conflict):
        await do(street, Role.PROVIDER, acts.start)
    await settled(street)
    assert (await transfer(street, Role.CONSUMER)).state is State.STARTED
    await street.close()


async def test_the_address_of_a_start_that_a_suspension_overtook_is_not_sent(tmp_path: Path) -> None:
    street = await started(tmp_path)
    provider = street.provider
    await do(street, Role.CONSUMER, acts.suspend)
    await settled(street)
    await do(street, Role.CONSUMER, acts.start)
    street.now += LEASE_MS + 1
    await street.consumer.pump()
    resume = next(
        message
        for message in await provider.store.claim("worker", street.now_ms(), street.now + LEASE_MS, 10)
        if message.message == "resume"
    )
    await do(street, Role.PROVIDER, acts.suspend)
    suspension = (await transfer(street, Role.PROVIDER)).awaiting_id
    letter = await provider.store.outgoing(suspension or "")
    assert letter is not None
    await street.consumer.arrive(letter)
    await answers.answered(provider.context, letter, None)
    assert (await transfer(street, Role.PROVIDER)).state is State.SUSPENDED

    await answers.flow_answered(provider.context, resume, {"dataAddress": dict(ADDRESS)})
    now = await transfer(street, Role.PROVIDER)
    assert (now.state, now.awaiting) == (State.SUSPENDED, None)
    await settled(street)
    assert (await transfer(street, Role.CONSUMER)).state is State.SUSPENDED
    await street.close()


async def test_a_file_that_was_complete_before_the_suspension_is_completed_after_it(tmp_path: Path) -> None:
    street = await started(tmp_path)
    await do(street, Role.PROVIDER, acts.suspend)
    await settled(street)
    report = {"bytes": 3, "sha256": "00"}
    await answers.flow_reported(street.consumer.context, (await transfer(street, Role.CONSUMER)).id, "completed", report)
    assert (await transfer(street, Role.CONSUMER)).state is State.SUSPENDED
    await do(street, Role.PROVIDER, acts.start)
    await settled(street)
    for role in Role:
        assert (await transfer(street, role)).state is State.COMPLETED
    await street.close()


async def test_a_download_that_failed_before_the_suspension_begins_again_after_it(tmp_path: Path) -> None:
    street = await started(tmp_path)
    await answers.flow_reported(
        street.consumer.context, (await transfer(street, Role.CONSUMER)).id, "errored", {"error": "cut off"}
    )
    await do(street, Role.PROVIDER, acts.suspend)
    await settled(street)
    await do(street, Role.PROVIDER, acts.start)
    await settled(street)
    now = await transfer(street, Role.CONSUMER)
    assert (now.state, now.awaiting) == (State.STARTED, None)
    assert street.consumer.commands[-1] == "started"
    await street.close()


async def test_a_dead_letter_that_was_sent_again_in_vain_stays_one(tmp_path: Path) -> None:
    street = await started(tmp_path)
    provider = street.provider
    await do(street, Role.PROVIDER, acts.terminate)
    letter = await provider.store.outgoing((await transfer(street, Role.PROVIDER)).awaiting_id or "")
    assert letter is not None
    assert letter.message == Message.TERMINATION.value
    for _ in range(2):
        await answers.expired(provider.context, letter)
        assert [dead.id for dead in await provider.store.dead_letters()] == [letter.id]
    await street.close()
