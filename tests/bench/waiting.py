"""How long a buyer waits: for a process that runs a query, and for the first byte of a small governed delivery.

A cold query starts its process; a warm one takes the spare that is kept. The delivery goes through a data plane as a process of
its own, from the request for data to the head of its answer: decision, plan, consents, query, meters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

from connector.dataplane.query.job import Made
from connector.dataplane.query.workers import Workers
from connector.dataplane.tables.model import SPEED
from tests.dataplane.conftest import Control, Plane
from tests.dataplane.drives import COARSE, RESEARCH_ONLY, Shop, drives
from tests.dataplane.query.small import drive, job_of, people, table_of

SETTLED_S: Final = 1.5
"""So long a spare has for its imports before it is used."""
VEHICLES: Final = 20
SECONDS: Final = 100


class Waits(msgspec.Struct, frozen=True):
    """Milliseconds, the least of some rounds."""

    cold_ms: float
    warm_ms: float
    first_byte_ms: float
    again_ms: float

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        return [
            "| waiting | time |",
            "| --- | ---: |",
            f"| a query of 100 rows, its process started for it | {self.cold_ms:.0f} ms |",
            f"| a query of 100 rows, in the spare process | {self.warm_ms:.0f} ms |",
            f"| from a request for data to its first byte, 1,200 rows governed | {self.first_byte_ms:.0f} ms |",
            f"| the same file asked for again | {self.again_ms:.0f} ms |",
        ]


async def measured(folder: Path, rounds: int) -> Waits:
    """The least of some rounds."""
    cold = [await _query(folder / f"cold{number}", spare=0) for number in range(rounds)]
    warm = [await _query(folder / f"warm{number}", spare=1) for number in range(rounds)]
    async with _shop(folder) as shop:
        first, again = zip(*[await _delivery(shop, f"f{number}") for number in range(rounds)], strict=True)
    return Waits(min(cold), min(warm), min(first), min(again))


async def _query(folder: Path, *, spare: int) -> float:
    await asyncio.to_thread(folder.mkdir)
    table = table_of(folder, drive(seconds=SECONDS))
    job = job_of(folder, table, people(folder, ["v0"]), columns=(SPEED,))
    workers = Workers(spare=spare)
    try:
        if spare:
            await workers.start()
            await asyncio.sleep(SETTLED_S)
        began = time.perf_counter()
        made = await workers.make(job, "k")
        took = time.perf_counter() - began
    finally:
        await workers.close()
    if not isinstance(made, Made) or made.rows != SECONDS:
        raise AssertionError("the query made no file")
    return took * 1000


async def _delivery(shop: Shop, flow: str) -> tuple[float, float]:
    """For the first byte of a transfer, and of a second request."""
    await shop.begin(flow)
    await asyncio.sleep(SETTLED_S)
    took = []
    for _ in range(2):
        began = time.perf_counter()
        answer = await shop.get(flow, {"format": "parquet"})
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != web.HTTPOk.status_code:
            raise AssertionError(f"the delivery was refused: {answer.status}")
    return took[0], took[1]


@asynccontextmanager
async def _shop(folder: Path) -> AsyncIterator[Shop]:
    """A data plane with a table of some vehicles that agreed."""
    control = Control()
    app = web.Application()
    app.router.add_post("/transfers/{id}/dataflow/{event}", control.handle)
    app.router.add_post("/transfers/{id}/decision", control.decide)
    app.router.add_post("/carnet/leaves", control.leaf)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    control.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as http:
        plane = Plane(folder / "plane", control.url, http, [], {})
        plane.write_config()
        try:
            await plane.start()
            shop = Shop(plane, control)
            shop.agree([RESEARCH_ONLY, *COARSE])
            await shop.publish(drives(VEHICLES))
            await shop.consent(*range(VEHICLES))
            yield shop
        finally:
            await plane.close()
            await runner.cleanup()
