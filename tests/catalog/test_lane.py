"""Slow work waits in a bounded queue, off the event loop, with a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from catalog.jsonld import DocumentError
from catalog.lane import SlowLane


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_results_and_errors_come_back() -> None:
    lane = SlowLane()
    assert await lane.run(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)
    lane.close()


async def test_a_full_queue_refuses_at_once_and_recovers(gate: threading.Event) -> None:
    lane = SlowLane(queue_max=2)
    waiting = [asyncio.create_task(lane.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DocumentError, match="door-busy"):
        await lane.run(gate.wait)
    gate.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await lane.run(lambda: 5) == 5
    lane.close()


async def test_what_takes_too_long_is_given_up_but_keeps_its_place(gate: threading.Event) -> None:
    lane = SlowLane(queue_max=1, deadline_s=0.001)
    with pytest.raises(DocumentError, match="document-too-costly"):
        await lane.run(gate.wait)
    with pytest.raises(DocumentError, match="door-busy"):
        await lane.run(gate.wait)
    lane.close()


async def test_a_cancelled_caller_frees_its_place(gate: threading.Event) -> None:
    lane = SlowLane(queue_max=2)
    running = asyncio.create_task(lane.run(gate.wait))
    waiting = asyncio.create_task(lane.run(gate.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    last = asyncio.create_task(lane.run(lambda: 7))
    gate.set()
    assert await running
    assert await last == 7
    lane.close()
