"""An API of the OEM's, as it might have had for years: recall campaigns as JSON, behind a key that no buyer ever sees."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

KEY_HEADER: Final = "X-Source-Key"
CAMPAIGNS: Final = 40


@dataclass(frozen=True, slots=True)
class RecallsApi:
    """A running API: its port on loopback, the key that it wants, and what it answers."""

    port: int
    key: str = field(repr=False)
    answer: bytes

    @property
    def url(self) -> str:
        """What is published of it."""
        return f"http://127.0.0.1:{self.port}/recalls"


@asynccontextmanager
async def recalls_api(port: int) -> AsyncIterator[RecallsApi]:
    """The API on this port of loopback for as long as the block runs. Raises OSError when the port is taken."""
    api = RecallsApi(port, secrets.token_urlsafe(), recalls_json())

    async def recalls(request: web.Request) -> web.Response:
        if not secrets.compare_digest(request.headers.get(KEY_HEADER, ""), api.key):
            return web.json_response({"error": "no key"}, status=401)
        return web.Response(body=api.answer, content_type="application/json")

    application = web.Application()
    application.router.add_get("/recalls", recalls)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield api
    finally:
        await runner.cleanup()


def recalls_json() -> bytes:
    """Made-up campaigns, always the same."""
    parts = ("brake hose", "seat belt pretensioner", "coolant pump", "high-voltage connector", "tailgate strut")
    campaigns = [
        {
            "campaign": f"R-{1000 + number}",
            "part": parts[number % len(parts)],
            "models": number % 7 + 1,
            "hours": number % 4 / 2 + 0.5,
        }
        for number in range(CAMPAIGNS)
    ]
    return json.dumps({"recalls": campaigns}, indent=1).encode()
