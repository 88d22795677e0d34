"""What is being done goes along with the first transaction that does it: once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from connector.access.acting import acting, carried, only_looks
from connector.log.leaf import Draft
from connector.store.engine import LostRace

DRAFT = Draft("management", {"change": "made", "resource": "assets", "operation": "makeThing"})


def drafts() -> list[Draft]:
    with carried() as found:
        return found


def test_nobody_acts_unless_it_is_said() -> None:
    assert drafts() == []


def test_the_first_transaction_carries_it_and_no_other() -> None:
    with acting(DRAFT) as act:
        assert drafts() == [DRAFT]
        assert act.told
        assert drafts() == []
    assert drafts() == []


def test_who_only_looks_tells_nothing() -> None:
    only_looks()
    with acting(DRAFT) as act:
        only_looks()
        assert act.told
        assert drafts() == []


def test_after_a_lost_race_the_next_one_has_it() -> None:
    def lose() -> None:
        with carried():
            raise LostRace

    with acting(DRAFT) as act:
        with pytest.raises(LostRace):
            lose()
        assert not act.told
        assert drafts() == [DRAFT]


async def test_a_task_that_was_begun_meanwhile_and_goes_on_does_not_carry_it() -> None:
    over = asyncio.Event()

    async def later() -> list[Draft]:
        await over.wait()
        return drafts()

    with acting(DRAFT):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    over.set()
    assert await task == []


async def test_two_who_act_at_the_same_time_carry_their_own() -> None:
    async def act(name: str) -> list[Draft]:
        with acting(Draft("management", {"operation": name})):
            await asyncio.sleep(0)
            return drafts()

    assert [found[0].members["operation"] for found in await asyncio.gather(act("one"), act("two"))] == ["one", "two"]
