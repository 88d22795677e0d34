"""The floor: one half of a bare exchange, to compare a connector with. No protocol, no checks, no dispatcher; nothing is retried.

Two of these exchange, for each `POST /negotiations` at the consumer's socket, as many POST round trips with bodies as long as a
negotiation (or the start of a transfer) has, and make as many durable commits of one statement each at the same places:
one before the first message, one before each answer, one after each answer. Storage is the connector's engine, HTTP is aiohttp.

Run as a process of its own: `python -m tests.bench.floor CONFIG`, where CONFIG is a JSON file of a `FloorConfig`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

from connector.store.engine import Statement
from connector.store.sqlite import SqliteEngine

TABLE: Final = "CREATE TABLE process (id TEXT PRIMARY KEY, peer_pid TEXT UNIQUE, kind TEXT, state TEXT, body TEXT) STRICT"
_INSERT: Final = "INSERT INTO process (id, peer_pid, kind, state, body) VALUES (?, ?, 'negotiation', ?, ?)"
_STEP: Final = "UPDATE process SET state = ?, body = ? WHERE id = ?"


class FloorConfig(msgspec.Struct, frozen=True):
    """`request_bytes` and `answer_bytes` are the body lengths of each message and its answer; the first goes to the provider."""

    database: str
    socket: str
    port: int
    peer_port: int
    request_bytes: tuple[int, ...]
    answer_bytes: tuple[int, ...]


class Floor:
    """The handlers of one side. A message names the exchange and its number; even numbers go to the provider."""

    def __init__(self, config: FloorConfig, engine: SqliteEngine, session: aiohttp.ClientSession) -> None:
        self._config = config
        self._engine = engine
        self._session = session
        self._tasks: set[asyncio.Task[None]] = set()
        self._bodies = [b"x" * length for length in config.request_bytes]
        self._answers = [b"x" * length for length in config.answer_bytes]
        self._last = len(config.request_bytes) - 1

    async def begin(self, request: web.Request) -> web.Response:
        """The consumer begins: commit, answer, send."""
        name = (await request.read()).decode()
        await self._engine.commit([Statement(_INSERT, (name, None, "0", "x" * 1024))])
        self._send(name, 0)
        return web.Response(status=201)

    async def message(self, request: web.Request) -> web.StreamResponse:
        """A message: commit, answer, and only then send the next."""
        name, number = request.match_info["name"], int(request.match_info["number"])
        body = (await request.read()).decode()
        done = number == self._last
        write = Statement(_STEP, ("FINALIZED" if done else str(number), body, name))
        if number == 0:
            write = Statement(_INSERT, (f"p-{name}", name, "0", body))
        elif number % 2 == 0:
            write = Statement(_STEP, (write.params[0], body, f"p-{name}"))
        await self._engine.commit([write])
        response = web.Response(body=self._answers[number])
        await response.prepare(request)
        await response.write_eof()
        if not done:
            self._send(name, number + 1)
        return response

    def _send(self, name: str, number: int) -> None:
        task = asyncio.create_task(self._deliver(name, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, name: str, number: int) -> None:
        url = f"http://127.0.0.1:{self._config.peer_port}/{name}/{number}"
        async with self._session.post(url, data=self._bodies[number]) as answer:
            await answer.read()
        state = "FINALIZED" if number == self._last else f"{number} answered"
        own = name if number % 2 == 0 else f"p-{name}"
        # The peer's next message may have been committed before this, so that only the last state is written surely.
        sql = _STEP if number == self._last else _STEP + " AND state <> 'FINALIZED'"
        await self._engine.commit([Statement(sql, (state, "x" * 1024, own), expect=None)])

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def serve(config: FloorConfig) -> None:
    """Run one side until SIGTERM."""
    engine = await SqliteEngine.open(Path(config.database))
    await engine.commit([Statement(TABLE, expect=None)])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit_per_host=64)) as session:
        floor = Floor(config, engine, session)
        app = web.Application()
        app.router.add_post("/negotiations", floor.begin)
        app.router.add_post("/{name}/{number}", floor.message)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", config.port).start()
        await web.UnixSite(runner, config.socket).start()
        await stop.wait()
        await runner.cleanup()
        await floor.close()
    await engine.close()


if __name__ == "__main__":
    asyncio.run(serve(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=FloorConfig)))
