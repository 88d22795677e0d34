"""What is measured of a `Pair`, in the same way for connectors and floor. Times are seconds of a monotonic clock."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Final

import msgspec

from tests.bench.pairs import Pair, Side, call

LOOK_S: Final = 0.0005
LOOK_SELDOM_S: Final = 0.005
PATIENCE_S: Final = 120.0


class Stuck(Exception):
    """Not everything that was begun has ended."""


class Load(msgspec.Struct, frozen=True):
    """`count` negotiations, at most `at_once` of them unfinished: how many a second, and CPU of each side for one, in ms."""

    at_once: int
    count: int
    per_s: float
    cpu_ms: tuple[float, float]
    p50_ms: float | None = None
    p95_ms: float | None = None

    @property
    def cpu_both_ms(self) -> float:
        """CPU of both sides for one negotiation, in ms."""
        return sum(self.cpu_ms)


class Idle(msgspec.Struct, frozen=True):
    """Both sides over some seconds with `open` negotiations that wait for a person: % of one core, MiB."""

    open: int
    cpu_percent: tuple[float, float]
    memory_mib: tuple[float, float]


async def one_at_a_time(pair: Pair, count: int) -> Load:
    """Negotiations one after the other, each timed from the call that begins it until both databases say FINALIZED."""
    times = []
    for side in pair.sides:
        side.forget()
    before = [side.cpu_s() for side in pair.sides]
    for number in range(1, count + 1):
        began = time.perf_counter()
        await pair.begin()
        await _until(pair, "negotiation", "FINALIZED", number)
        times.append(time.perf_counter() - began)
    cpu_ms = _cpu_ms(pair, before, count)
    p50, p95 = percentiles(times)
    return Load(1, count, count / sum(times), cpu_ms, p50, p95)


async def at_once(pair: Pair, count: int, in_flight: int) -> Load:
    """`count` negotiations with `in_flight` of them unfinished at any time but the end."""
    for side in pair.sides:
        side.forget()
    before = [side.cpu_s() for side in pair.sides]
    began = time.perf_counter()
    begun = 0
    while (done := _done(pair, "negotiation", "FINALIZED")) < count:
        more = min(count - begun, in_flight - (begun - done))
        await asyncio.gather(*(pair.begin() for _ in range(more)))
        begun += more
        _be_patient(began, done, count)
        if not more:
            await asyncio.sleep(LOOK_SELDOM_S if in_flight > 1 else LOOK_S)
    took = time.perf_counter() - began
    return Load(in_flight, count, count / took, _cpu_ms(pair, before, count))


async def transfer_starts(pair: Pair, count: int) -> tuple[float, float]:
    """(p50, p95) in ms from the call that begins a transfer until both databases say STARTED. Needs an agreement."""
    agreement = await _agreement(pair.consumer)
    times = []
    for side in pair.sides:
        side.forget()
    for number in range(1, count + 1):
        began = time.perf_counter()
        await call(pair.consumer, "/transfers", agreement=agreement)
        await _until(pair, "transfer", "STARTED", number)
        times.append(time.perf_counter() - began)
    return percentiles(times)


async def idle(pair: Pair, count: int, seconds: float) -> Idle:
    """Open `count` negotiations that nobody decides, let everything be delivered, then watch the CPU."""
    for side in pair.sides:
        side.forget()
    begun = 0
    while begun < count:
        more = min(32, count - begun)
        await asyncio.gather(*(pair.begin() for _ in range(more)))
        begun += more
    await _settled(pair.consumer, count)
    return await rest(pair, count, seconds)


async def rest(pair: Pair, count: int, seconds: float) -> Idle:
    """CPU of both sides while nothing is asked of them."""
    before, began = [side.cpu_s() for side in pair.sides], time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    used = [100 * (side.cpu_s() - start) / took for side, start in zip(pair.sides, before, strict=True)]
    return Idle(count, (used[0], used[1]), (pair.consumer.memory_mib(), pair.provider.memory_mib()))


def percentiles(times: list[float]) -> tuple[float, float]:
    """(median, 95th percentile) in ms."""
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return cuts[9] * 1000, cuts[18] * 1000


def _done(pair: Pair, kind: str, state: str) -> int:
    return min(side.done(kind, state) for side in pair.sides)


async def _until(pair: Pair, kind: str, state: str, number: int) -> None:
    began = time.perf_counter()
    while (done := _done(pair, kind, state)) < number:
        _be_patient(began, done, number)
        await asyncio.sleep(LOOK_S)


async def _settled(side: Side, count: int) -> None:
    began = time.perf_counter()
    settled = "SELECT count(*) FROM process WHERE state = 'REQUESTED' AND awaiting IS NULL"
    while (done := side.database.execute(settled).fetchone()[0]) < count:
        _be_patient(began, done, count)
        await asyncio.sleep(0.2)


async def _agreement(side: Side) -> str:
    rows = side.database.execute("SELECT id FROM agreement WHERE state = 'binding' LIMIT 1").fetchall()
    return str(rows[0][0])


def _be_patient(began: float, done: int, count: int) -> None:
    if time.perf_counter() - began > PATIENCE_S:
        raise Stuck(f"{done} of {count} are done after {PATIENCE_S:g} s")


def _cpu_ms(pair: Pair, before: list[float], count: int) -> tuple[float, float]:
    used = [1000 * (side.cpu_s() - start) / count for side, start in zip(pair.sides, before, strict=True)]
    return used[0], used[1]
