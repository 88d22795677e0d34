"""What a request for a list costs: from the route that it takes to the bytes of its answer, with an API key and JSON-LD.

Out of 10,000 assets, beside the same out of 1,000, at versions 3 and 4 of the management interface. What the server does with the
socket is not in it. `python -m tests.bench.served_lists` prints the figures.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from connector.access.caller import Caller, Role
from connector.access.keys import ApiKeys, new_key
from connector.api.router import mount
from connector.management.desk_definitions import DefinitionDesk
from connector.management.model import EDC
from connector.management.sealing import SecretBox
from connector.management.service import Management
from connector.management.v3 import V3
from connector.management.v4 import V4
from connector.protocol.errors import CarnetError
from connector.store.access import AccessStore, insert_key
from connector.store.definitions import DefinitionStore
from tests.bench.lists import FEW, MANY, QUERIES, Cost, compared, filled, lines

ROUNDS: Final = 100
V4_CONTEXT: Final = "https://w3id.org/edc/connector/management/v2"
NAMES: Final = ("first 50", "newest 50", "50 by name", "one by id", "10 by group", "10 by number", "10 of a tenth")
NOBODY: Final[Any] = None


class KeyGuard:
    """Knows callers by their API keys."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def caller(self, request: web.Request) -> Caller:
        """See Guard."""
        return await self._keys.caller(request.headers["x-api-key"])

    async def still(self, request: web.Request) -> Caller:
        """See Guard."""
        return await self.caller(request)

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """See Guard."""
        del request, error
        return {}


class Served:
    """The lists of one store behind their routes."""

    def __init__(self, store: DefinitionStore) -> None:
        self._key = new_key("bench", [Role.OPERATOR], now_ms=1, by="bench")
        self._store = store
        self.engine = store.engine
        guard = KeyGuard(ApiKeys(AccessStore(store.engine), lambda: 2))
        management = Management(NOBODY, NOBODY, NOBODY, store, SecretBox(bytes(32)))
        self._requests: dict[str, web.Request] = {}
        self._app = web.Application()
        for dialect in (V3(), V4()):
            mount(self._app, DefinitionDesk(management, dialect, f"/management/{dialect.name}").operations(), guard)

    async def open(self) -> None:
        """Make the key."""
        await self._store.engine.commit([insert_key(self._key.entry)])

    async def ask(self, version: str, body: bytes) -> bytes:
        """The answer to a request for assets; raises AssertionError for one that is refused."""
        path = f"/management/{version}/assets/request"
        if version not in self._requests:
            headers = {"x-api-key": self._key.text, "content-type": "application/json"}
            self._requests[version] = make_mocked_request("POST", path, headers, app=self._app)
        request = self._requests[version].clone()
        match = await self._app.router.resolve(request)
        # What the application does before it calls the handler, and what it would have read.
        request._match_info, request._read_bytes = match, body
        answer = await match.handler(request)
        if not isinstance(answer, web.Response) or answer.status != 200 or not isinstance(answer.body, bytes):
            raise AssertionError(f"{path} was refused")
        return answer.body


async def measured(rounds: int = ROUNDS) -> dict[str, Cost]:
    """Few and many in turns, so that a noisy neighbour spoils neither alone."""
    with tempfile.TemporaryDirectory() as folder:
        async with filled(Path(folder), FEW, None) as few, filled(Path(folder), MANY, None) as many:
            pair = (Served(few), Served(many))
            for each in pair:
                await each.open()
            return {
                f"{version}: {name}": await _compared(pair, version, _body(version, QUERIES[name]), rounds)
                for version in ("v3", "v4")
                for name in NAMES
            }


def _body(version: str, query: dict[str, Any]) -> bytes:
    context: Any = {"@vocab": EDC} if version == "v3" else [V4_CONTEXT]
    criteria = [{"@type": "Criterion", **each} for each in query.get("filterExpression", [])]
    said = {**query, **({"filterExpression": criteria} if criteria else {})}
    return msgspec.json.encode({"@context": context, "@type": "QuerySpec", **said})


async def _compared(pair: tuple[Served, Served], version: str, body: bytes, rounds: int) -> Cost:
    few, many = (partial(each.ask, version, body) for each in pair)
    return await compared(few, many, pair[0].engine, pair[1].engine, rounds)


@click.command()
@click.option("--rounds", default=ROUNDS, help="How often each list is asked for.")
def main(rounds: int) -> None:
    """Print what a request for a list costs."""
    click.echo("\n".join(lines(asyncio.run(measured(rounds)), "request")))


if __name__ == "__main__":
    main()
