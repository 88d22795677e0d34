"""The surroundings fail: a full disk, a clock that jumps, a data plane that is not there, signals at the wrong time."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
import structlog
from aiohttp import web

import connector.app as app
from connector.clocks import Clock
from connector.companion import Companion
from connector.flow import timers
from connector.flow.plane import Plane
from connector.protocol.states import Message
from connector.settings import Settings
from connector.store import writes
from connector.store.control import ControlStore
from connector.store.engine import StoreUnavailable
from connector.store.migrate import migrate
from connector.store.rows import Timer
from connector.store.sqlite import SqliteEngine
from tests.attacks.target import LIAR, SHORT, Liar, Target, attacked, made, polite
from tests.conformance.peer import contract_request
from tests.conformance.spoiling import Json

Lines = list["structlog.typing.EventDict"]


async def test_a_full_disk_is_said_and_nothing_is_half_done(tmp_path: Path, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 while it is full, reading goes on, and when there is room the same requests are taken: nothing is doubled."""

    async def small(settings: Settings) -> SqliteEngine:
        assert settings.control_database is not None
        return await SqliteEngine.open(settings.control_database, max_bytes=550_000)

    monkeypatch.setattr(app, "open_engine", small)
    settings = await made(tmp_path / "us", liar, {"negotiation.decide": '"manual"'})
    requests = [contract_request("ours", "urn:offer:ours", liar.address) for _ in range(300)]
    with structlog.testing.capture_logs():
        async with attacked(settings, liar) as target:
            told = [await target.callers[LIAR].post("/negotiations/request", request) for request in requests]
            taken = sum(answer.status == 201 for answer in told)
            assert Counter(answer.status for answer in told) == {201: taken, 503: 300 - taken}
            assert 0 < taken < 300
            assert await target.count("process") == await target.count("inbox") == taken
            assert await target.count("event") == 2 * taken, "a message and who has to decide about it"
            await target.alive()
            assert (await target.own("POST", "/negotiations", {"counterparty": LIAR, "dataset": "x", "offer": {}})).status == 400
    monkeypatch.undo()
    with structlog.testing.capture_logs():
        async with attacked(settings, liar) as target:
            told = [await target.callers[LIAR].post("/negotiations/request", request) for request in requests]
            assert {answer.status for answer in told} == {201}
            assert await target.count("process") == 300


async def test_a_clock_that_jumps_back_loses_nothing(
    tmp_path: Path, lines: Lines, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What begins after the jump goes on as ever."""
    offset = 0
    wall = app.now_ms
    monkeypatch.setattr(app, "now_ms", lambda: wall() + offset)
    async with attacked(await made(tmp_path / "us", liar), liar) as target:
        before = await target.negotiate()
        await target.until(before, "REQUESTED")
        offset = -3_600_000
        after = await target.negotiate()
        await target.until(after, "REQUESTED")
        for process_id in (before, after):
            assert (await target.own("POST", f"/processes/{process_id}/terminate", {})).status == 200
            await target.until(process_id, "TERMINATED")


async def test_a_peer_that_was_away_when_the_clock_jumped_is_called_again(
    tmp_path: Path, lines: Lines, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause is a pause of that length, not until a time on a clock which is an hour away now."""
    offset = 0
    wall = app.now_ms
    monkeypatch.setattr(app, "now_ms", lambda: wall() + offset)

    async def away(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(status=503)

    liar.answer = away
    chosen = {"dispatch.backoff_first_ms": "60000", "dispatch.backoff_max_s": "60"}
    async with attacked(await made(tmp_path / "us", liar, chosen), liar) as target:
        await target.negotiate()
        while not await target.count("outbox WHERE attempts > 0"):
            await target.alive()
        offset = -3_600_000
        liar.answer = polite
        await target.until(await target.negotiate(), "REQUESTED")


async def test_a_termination_that_waits_does_not_stop_the_clock(tmp_path: Path, lines: Lines, liar: Liar) -> None:
    """The owner has ended a process whose first message is not answered; then its deadline comes."""

    async def silent(_: web.Request, __: Json) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    liar.answer = silent
    chosen = {**SHORT, "negotiation.deadline_s": "1", "dispatch.message_deadline_s": "3600"}
    async with attacked(await made(tmp_path / "us", liar, chosen), liar) as target:
        process_id = await target.negotiate()
        assert (await target.own("POST", f"/processes/{process_id}/terminate", {})).status == 200
        (timer,) = await target.running.context.store.timers_due(1 << 50)
        await timers.reached(target.running.context, timer)
        assert await target.count("timer") == 0
        shown = await target.process(process_id)
        assert shown["awaiting"] == Message.REQUEST_THEN_TERMINATION.value
        await target.alive()


async def test_a_timer_that_cannot_be_acted_upon_leaves_the_others(tmp_path: Path) -> None:
    """The store is the clock's alone: a connector beside it would race it for the same timers."""
    engine = await SqliteEngine.open(tmp_path / "control.db")
    await migrate(engine, app.MIGRATIONS, 0)
    store, now = ControlStore(engine), app.now_ms()
    await store.commit([writes.insert_timer(Timer(name, "x", name, now - 1000 + at)) for at, name in enumerate("ab")])
    acted = asyncio.Event()

    async def reached(timer: Timer) -> None:
        if timer.process_id == "a":
            raise ValueError("broken")
        await store.commit([writes.delete_timer(timer.id)])
        acted.set()

    with structlog.testing.capture_logs() as said:
        clock = asyncio.create_task(Clock(store, app.now_ms).run(reached))
        await acted.wait()
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
    (left,) = await store.timers_due(1 << 50)
    assert (left.id, left.due_at > now) == ("a", True)
    assert [line["event"][:21] for line in said] == ["a timer could not be "]
    await engine.close()


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "print('nonsense', flush=True)"])
async def test_told_to_stop_while_the_data_plane_does_not_come_up(
    tmp_path: Path, lines: Lines, liar: Liar, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    attempts = asyncio.Semaphore(0)

    class Broken(Companion):
        def __init__(self, config: Path, plane: Plane) -> None:
            super().__init__(config, plane, (sys.executable, "-c", code))

        async def _once(self) -> bool:
            attempts.release()
            return await super()._once()

    monkeypatch.setattr(app, "Companion", Broken)
    settings = await made(tmp_path / "us", liar, {"data.managed": "true"})
    stop = asyncio.Event()
    running = asyncio.create_task(app.serve(settings, stop))
    for _ in range(2):
        await attempts.acquire()
    stop.set()
    async with asyncio.timeout(10):
        await running


async def test_a_part_that_fails_is_said_at_the_end(tmp_path: Path, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process must not end as if it had been told to."""

    class Absent(Companion):
        def __init__(self, config: Path, plane: Plane) -> None:
            super().__init__(config, plane, ("/no/such/program",))

    monkeypatch.setattr(app, "Companion", Absent)
    settings = await made(tmp_path / "us", liar, {"data.managed": "true"})
    with structlog.testing.capture_logs(), pytest.raises(app.PartFailed, match="data plane"):
        await app.serve(settings, asyncio.Event())


async def test_stopped_under_load_nothing_is_lost(tmp_path: Path, lines: Lines, liar: Liar) -> None:
    """Every request that was answered is there after a new start, and gets its agreement."""
    settings = await made(tmp_path / "us", liar, {"dispatch.backoff_first_ms": "5", "dispatch.backoff_max_s": "1"})
    answered: list[str] = []
    enough = asyncio.Event()

    async def load(target: Target) -> None:
        while True:
            request = contract_request("ours", "urn:offer:ours", liar.address)
            answer = await target.callers[LIAR].post("/negotiations/request", request)
            if answer.status == 201:
                answered.append(answer.json["providerPid"])
            if len(answered) >= 40:
                enough.set()

    async with attacked(settings, liar) as target:
        tasks = [asyncio.create_task(load(target)) for _ in range(4)]
        await enough.wait()
        target.stop.set()
        await target.done
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with attacked(settings, liar) as target:
        for process_id in answered:
            await target.until(process_id, "AGREED")
    agreed = {message["providerPid"] for _, path, message in liar.got if path.endswith("/agreement")}
    assert agreed >= set(answered)


async def test_a_second_connector_on_the_same_database_does_not_start(tmp_path: Path, lines: Lines, liar: Liar) -> None:
    settings = await made(tmp_path / "us", liar)
    async with attacked(settings, liar) as target:
        with pytest.raises(StoreUnavailable, match="another carnet process uses this database"):
            await app.serve(settings, asyncio.Event())
        await target.alive()
        assert (await target.own("GET", "/status")).status == 200
