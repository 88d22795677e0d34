"""Witnesses that take nothing, ask for more than they fetch, or have another time: nothing piles up, and nobody is locked out."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from connector.flow import showing, timers
from connector.log.witness import LEEWAY_S
from connector.log.witnessed import WitnessedLog
from connector.protocol.errors import Unavailable
from connector.store.engine import Statement
from connector.store.witness import CHECK_ALARM, SHOW_ALARM
from tests.flow.house import House, Street
from tests.flow.ledgers import CONSUMER, PROVIDER, Logs, agreed, row, sent, settled_now
from tests.flow.test_witnessing import shown

DAY_MS = 86_400_000


@pytest.fixture
async def logs(street: Street, tmp_path: Path) -> Logs:
    found = Logs(street, tmp_path / "logs")
    await found.move_in()
    return found


async def standing_in(house: House) -> tuple[int, int]:
    """Messages that wait, and dead letters."""
    return await house.store.pending(), len(await house.store.dead_letters())


async def fire(house: House, kind: str, within_ms: int = 0) -> None:
    """Act upon the timers of a kind."""
    for timer in await house.store.timers_due(house.street.now_ms() + within_ms):
        if timer.kind == kind:
            await timers.reached(house.context, timer)


async def test_who_takes_no_checkpoint_any_more_leaves_no_dead_letters(street: Street, logs: Logs) -> None:
    await agreed(street)
    # As after a downgrade: it said that it takes them, and does not.
    street.provider.witnessing = type(street.provider.witnessing)()
    await street.provider.engine.close()
    await street.provider.open()
    for _ in range(3):
        logs.logs[CONSUMER].fill(2)
        await logs.hour()
    assert await standing_in(street.consumer) == (0, 0)
    await logs.reopen(PROVIDER)
    await logs.hour()
    assert (await row(street.consumer)).cosigned_size == 9


async def test_who_shows_without_end_and_fetches_no_answer_finds_one(street: Street, logs: Logs) -> None:
    await agreed(street)

    async def lost() -> None:
        return

    street.consumer.pump = lost  # type: ignore[method-assign]
    for number in range(10):
        logs.logs[PROVIDER].fill(1)
        told = {**shown(logs, street, 3 + number), "messageId": f"urn:many:{number}"}
        await street.consumer.listen({**told, "note": "nothing"} if number % 2 else told)
        await fire(street.consumer, CHECK_ALARM)
    answers = [*await sent(street.consumer, "CheckpointCosigned"), *await sent(street.consumer, "CheckpointRefused")]
    assert len(answers) == 1


async def test_a_clock_that_was_far_ahead_for_a_while_stops_no_witnessing(street: Street, logs: Logs) -> None:
    await agreed(street)
    ours, ahead_ms = street.provider, 10 * DAY_MS
    logs.logs[PROVIDER].fill(4)
    right = ours.context
    ours.context = replace(right, now_ms=lambda: street.now_ms() + ahead_ms)
    await fire(ours, SHOW_ALARM, DAY_MS)
    assert (await row(ours)).shown_time > street.now // 1000 + LEEWAY_S
    ours.context = right
    await ours.store.commit([Statement("UPDATE outbox SET due_at = ?", (street.now,))])
    await settled_now(street)
    assert ((await row(ours)).refused, (await row(street.consumer)).split_code) == ("checkpoint-time", "")
    # The clock is right again; its timer was set by the wrong one.
    await showing.begin(ours.context)
    await settled_now(street)
    assert ((await row(ours)).cosigned_size, (await row(ours)).refused) == (7, "")
    assert (await row(street.consumer)).split_code == ""


async def test_a_full_disk_delays_a_cosignature_and_hides_no_split_view(
    street: Street, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agreed(street)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logs.logs[PROVIDER].fill(1)
    with monkeypatch.context() as patched:
        patched.setattr(WitnessedLog, "keep_seen", full)
        await street.consumer.listen(shown(logs, street, 3))
        with pytest.raises(Unavailable, match="log-unusable"):
            await fire(street.consumer, CHECK_ALARM)
    assert (await row(street.consumer)).seen_size == 3
    await fire(street.consumer, CHECK_ALARM, timers.ASIDE_MS)
    assert (await row(street.consumer)).seen_size == 4
    await logs.another_history(PROVIDER, 9)
    monkeypatch.setattr(WitnessedLog, "keep_split", full)
    await street.consumer.listen({**shown(logs, street, 4), "messageId": "urn:lie:again"})
    await fire(street.consumer, CHECK_ALARM)
    assert (await row(street.consumer)).split_code == "rewritten"
