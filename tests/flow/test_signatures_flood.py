"""Many signatures of one agreement: one look at a time at the sender's keys, and none of what came last is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.flow import timers
from connector.flow.seals import SIGNATURE_ALARM
from connector.identity.signing import new_signing_key
from connector.store.witness import taken
from tests.flow.house import House, Street
from tests.flow.test_signatures import CONSUMER, alone, by, message, row
from tests.flow.witnesses import Witnesses, settled


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in(certified=True)
    return found


async def waiting(house: House) -> list[str]:
    """Names of the timers at which signatures are looked at, up to a day from now."""
    due = await house.store.timers_due(house.street.now + 86_400_000)
    return [timer.id for timer in due if timer.kind == SIGNATURE_ALARM]


async def test_however_many_come_one_timer_waits_for_the_senders_keys(street: Street, witnesses: Witnesses) -> None:
    agreement, content = await alone(street, witnesses)
    assert await waiting(street.provider) == []
    witnesses.away = {CONSUMER}
    for number in range(20):
        await street.provider.listen(message(by(witnesses, content, street.now + number * 1000), number))
    assert len(await waiting(street.provider)) == 1
    await settled(street)
    assert len(await waiting(street.provider)) == 1
    witnesses.away = set()
    street.now += 3_600_000
    await settled(street)
    assert (await row(street.provider, agreement)).state == "countersigned"
    assert await waiting(street.provider) == []


async def test_what_comes_while_another_is_looked_at_is_looked_at_too(street: Street, witnesses: Witnesses) -> None:
    agreement, content = await alone(street, witnesses)
    await street.provider.listen(message(by(witnesses, content, street.now, new_signing_key("ES256", "stranger")), 1))
    (timer,) = [each for each in await street.provider.store.timers_due(street.now_ms()) if each.kind == SIGNATURE_ALARM]
    await timers.reached(street.provider.context, timer)
    # Its timer was put off, then taken: one that is set meanwhile stays.
    put_off = replace(timer, due_at=timer.due_at + timers.ASIDE_MS)
    await street.provider.listen(message(by(witnesses, content, street.now), 2))
    await street.provider.store.commit([taken(timer.id, put_off.due_at)])
    assert await waiting(street.provider) == [timer.id]
    await settled(street)
    assert (await row(street.provider, agreement)).state == "countersigned"
