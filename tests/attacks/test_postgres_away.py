"""PostgreSQL stops and starts again under load; and peers send what PostgreSQL cannot keep."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from tests.attacks.target import LIAR, SHORT, Liar, attacked, made
from tests.conformance.peer import contract_request
from tests.conformance.spoiling import Json
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres


async def test_stopped_and_started_again(tmp_path: Path, liar: Liar, postgres_server: PostgresServer, postgres_dsn: str) -> None:
    """201 or an honest 503, and what was answered with 201 goes on when the server is back. No part of the connector fails."""
    chosen = {**SHORT, "store.url": json.dumps(postgres_dsn), "dispatch.message_deadline_s": "3600"}
    told: Counter[int] = Counter()
    answered: list[str] = []
    some = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        async with attacked(await made(tmp_path / "us", liar, chosen), liar) as target:

            async def load() -> None:
                while True:
                    request = contract_request("ours", "urn:offer:ours", liar.address)
                    answer = await target.callers[LIAR].post("/negotiations/request", request)
                    told[answer.status] += 1
                    if answer.status == 201:
                        answered.append(answer.json["providerPid"])
                    some.set()

            async def more(status: int, count: int) -> None:
                wanted = told[status] + count
                while told[status] < wanted:
                    some.clear()
                    await some.wait()

            tasks = [asyncio.create_task(load()) for _ in range(4)]
            async with asyncio.timeout(60):
                await more(201, 20)
                await asyncio.to_thread(postgres_server.stop)
                try:
                    await more(503, 4)
                finally:
                    await asyncio.to_thread(postgres_server.start, fsync=False)
                await more(201, 20)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert set(told) == {201, 503}, [line for line in lines if "incident" in line]
            for process_id in answered:
                await target.until(process_id, "AGREED")
            await target.alive()


async def test_what_postgresql_cannot_keep(tmp_path: Path, liar: Liar, postgres_dsn: str) -> None:
    """A NUL in a refusal, a NUL in a process id, NULs in paths: the process ends with a reason, and nobody gets a 500."""

    async def refusing(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(status=400, body=b'{"code":"\\u0000","reason":["a\\u0000b"]}')

    chosen = {**SHORT, "store.url": json.dumps(postgres_dsn)}
    with structlog.testing.capture_logs() as lines:
        async with attacked(await made(tmp_path / "us", liar, chosen), liar) as target:
            liar.answer = refusing
            shown = await target.until(await target.negotiate())
            assert (shown["state"], shown.get("ended")) == ("TERMINATED", None)
            for method, path in (
                ("GET", "/processes/%00"),
                ("GET", "/processes/%00/timeline"),
                ("POST", "/processes/%00/accept"),
                ("GET", "/agreements/%00"),
                ("DELETE", "/datasets/%00"),
                ("DELETE", "/dead-letters/%00"),
                ("GET", "/negotiations?state=%00"),
                ("GET", "/agreements?after=1:%00"),
                ("GET", "/datasets?after=%00"),
                ("GET", "/peers/%00/capabilities"),
            ):
                answer = await target.own(method, path)
                assert answer.status in (400, 404), (path, answer.status, answer.body)
            for body in (
                {"counterparty": LIAR, "dataset": "a\0b", "offer": {"@id": "x", "permission": [{"action": "use"}]}},
                {"counterparty": LIAR, "dataset": "a", "offer": {"@id": "x\0", "permission": [{"action": "use"}]}},
                {"agreement": "a\0b"},
            ):
                path = "/transfers" if "agreement" in body else "/negotiations"
                answer = await target.own("POST", path, body)
                assert answer.status in (201, 400, 404), (path, answer.status, answer.body)
    assert not [line for line in lines if line["log_level"] == "error"]
