"""Waiting for a process to move."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from connector.flow import watch as module
from connector.flow.watch import MAX_WAITING, Watch
from connector.protocol.errors import NotFound, TooMany
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Role, State

PROCESS = Process(
    id="urn:uuid:1",
    kind=Kind.NEGOTIATION,
    role=Role.CONSUMER,
    state=State.REQUESTED,
    counterparty="did:web:them",
    peer_address="http://127.0.0.1:1",
    correlation_id="urn:uuid:2",
    subject="trips",
    created_at=1,
    updated_at=1,
    detail=Detail(),
    version=3,
)
NEWER = replace(PROCESS, version=4)
LONG_S = 60.0


class Table:
    """Gives one process, and lets a test wait until somebody has looked ``times`` times."""

    def __init__(self) -> None:
        self.process = PROCESS
        self.looked = asyncio.Semaphore(0)

    async def load(self) -> Process:
        self.looked.release()
        return self.process

    async def looks(self, times: int) -> None:
        for _ in range(times):
            await self.looked.acquire()


async def test_what_is_newer_already_is_given_at_once() -> None:
    table = Table()
    assert await Watch().newer(table.load, 2, LONG_S) is PROCESS
    assert await Watch().newer(table.load, 3, 0) is PROCESS


async def test_a_move_ends_the_wait() -> None:
    table, watch = Table(), Watch()
    waiting = asyncio.create_task(watch.newer(table.load, 3, LONG_S))
    await table.looks(2)
    table.process = NEWER
    watch.entered(replace(NEWER, id="another"))
    watch.entered(NEWER)
    assert await waiting is NEWER


async def test_a_move_by_another_worker_is_seen_by_looking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.001)
    table, watch = Table(), Watch()
    waiting = asyncio.create_task(watch.newer(table.load, 3, LONG_S))
    await table.looks(5)
    table.process = NEWER
    assert await waiting is NEWER


async def test_the_wait_is_over_in_time() -> None:
    assert await Watch().newer(Table().load, 3, 0.001) is PROCESS


async def test_a_stopping_connector_keeps_nobody_waiting() -> None:
    table, watch = Table(), Watch()
    waiting = asyncio.create_task(watch.newer(table.load, 3, LONG_S))
    await table.looks(2)
    watch.close()
    assert await waiting is PROCESS
    assert await watch.newer(table.load, 3, LONG_S) is PROCESS


async def test_who_waits_is_bounded_and_forgotten_when_gone() -> None:
    table, watch = Table(), Watch()
    waiting = [asyncio.create_task(watch.newer(table.load, 3, LONG_S)) for _ in range(MAX_WAITING)]
    await table.looks(2 * MAX_WAITING)
    with pytest.raises(TooMany):
        await watch.newer(table.load, 3, LONG_S)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await watch.newer(table.load, 3, 0.001) is PROCESS


async def test_a_process_that_is_none_is_not_waited_for() -> None:
    async def load() -> Process:
        raise NotFound("process-unknown", "none")

    with pytest.raises(NotFound):
        await Watch().newer(load, 0, LONG_S)
