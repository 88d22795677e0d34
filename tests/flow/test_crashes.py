"""The power goes off before and after every commit of a whole contract, one cut a run: both sides always end alike.

The story: a contract is negotiated, its transfer started, paused and resumed by the consumer, paused and resumed by the
provider, and completed. A person who does not see the effect of what was asked asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.flow import acts, begin, publish
from connector.protocol.states import Kind, Role, State
from tests.flow.house import DATASET, OFFER, Fuse, House, Street

MAX_ROUNDS = 30
SIDE_BY_SIDE = 8
FILE = "trips.csv"


@dataclass(frozen=True)
class Step:
    """What somebody wants, and the states in which it has come true on both sides."""

    role: Role
    act: Callable[[House], Awaitable[object]]
    kind: Kind
    reached: State


async def request_contract(house: House) -> None:
    """Unless it has been done."""
    if await house.only(Kind.NEGOTIATION) is None:
        await begin.request_contract(house.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)


async def request_transfer(house: House) -> None:
    """Unless it has been done."""
    if await house.only(Kind.TRANSFER) is None:
        agreement = (await house.store.agreements())[0]
        await begin.request_transfer(house.context, agreement_id=agreement.id, sink=FILE)


def on_transfer(do: Callable[..., Awaitable[object]]) -> Callable[[House], Awaitable[object]]:
    """An act on the one transfer of a house."""

    async def act(house: House) -> object:
        transfer = await house.only(Kind.TRANSFER)
        assert transfer is not None
        return await do(house.context, transfer.id)

    return act


STORY = (
    Step(Role.CONSUMER, request_contract, Kind.NEGOTIATION, State.FINALIZED),
    Step(Role.CONSUMER, request_transfer, Kind.TRANSFER, State.STARTED),
    Step(Role.CONSUMER, on_transfer(acts.suspend), Kind.TRANSFER, State.SUSPENDED),
    Step(Role.CONSUMER, on_transfer(acts.start), Kind.TRANSFER, State.STARTED),
    Step(Role.PROVIDER, on_transfer(acts.suspend), Kind.TRANSFER, State.SUSPENDED),
    Step(Role.PROVIDER, on_transfer(acts.start), Kind.TRANSFER, State.STARTED),
    Step(Role.CONSUMER, on_transfer(acts.complete), Kind.TRANSFER, State.COMPLETED),
)


async def come_true(street: Street, step: Step) -> bool:
    """Both sides are there, and nothing is on its way."""
    for house in street.houses.values():
        process = await house.only(step.kind)
        if process is None or process.state is not step.reached or process.awaiting is not None:
            return False
    return await street.quiet()


async def told(street: Street) -> None:
    """The whole story; an act is done, or done again, whenever nothing moves and its effect is not there."""
    for step in STORY:
        house = street.houses[step.role]
        for _ in range(MAX_ROUNDS):
            if await come_true(street, step):
                break
            if await street.quiet():
                await house.surviving(lambda step=step, house=house: step.act(house))  # type: ignore[misc]  # bound now
            await street.pump()
        else:
            pytest.fail(f"{step.reached} is not reached; {[await h.only(step.kind) for h in street.houses.values()]}")


async def ran(folder: Path, name: str, fuse: Fuse) -> Street:
    """The street after the story, closed; ``name`` tells its files from those of another run."""
    street = Street(Fuse())
    await street.open(folder, name)
    await publish.publish(street.provider.context, DATASET, title="Trips", source=FILE, offers=[OFFER])
    street.fuse = fuse
    for house in street.houses.values():
        house.engine.fuse = fuse
    try:
        await told(street)
        await check_end(street)
    finally:
        await street.close()
    return street


async def check_end(street: Street) -> None:
    """One agreement, of the same bytes, binding on both sides; nothing waits; the data planes were told the story in order."""
    texts = set()
    for house in street.houses.values():
        agreements = await house.store.agreements()
        assert [agreement.state for agreement in agreements] == ["binding"]
        texts.add(agreements[0].document)
        assert await house.store.dead_letters() == []
        assert await house.store.next_timer() is None
    assert len(texts) == 1
    assert street.provider.commands == ["start", "suspend", "resume", "suspend", "resume", "completed"]
    assert street.consumer.commands == ["prepare", "started", "suspend", "started", "suspend", "started", "completed"]


async def test_the_story_without_a_cut(tmp_path: Path) -> None:
    fuse = Fuse()
    street = await ran(tmp_path, "street", fuse)
    assert fuse.count > 40
    assert [house.cuts for house in street.houses.values()] == [0, 0]


@pytest.mark.parametrize("after", [False, True], ids=["before-commits", "after-commits"])
async def test_a_cut_at_every_commit(tmp_path: Path, after: bool) -> None:
    plain = Fuse()
    await ran(tmp_path, "plain", plain)

    async def cut(at: int) -> None:
        street = await ran(tmp_path, f"cut-{at}", Fuse(at, after))
        assert sum(house.cuts for house in street.houses.values()) == 1, f"commit {at}"

    # Streets know nothing of each other; side by side they wait for the disk together.
    for first in range(1, plain.count + 1, SIDE_BY_SIDE):
        await asyncio.gather(*(cut(at) for at in range(first, min(first + SIDE_BY_SIDE, plain.count + 1))))
