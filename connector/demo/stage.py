"""What every scene of the demo needs: both connectors' clients, a fetch with a token, and a way to say what was seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import aiohttp

from connector.client.local import Document, LocalClient
from connector.demo.houses import House

STEP_S: Final = 20.0
REVOKE_LOOK_S: Final = 0.01
FETCH_TIMEOUT_S: Final = 10.0


class Untrue(Exception):
    """Something that the demo shows did not hold."""


def hold(what: bool, sentence: str) -> None:
    """Raises Untrue with the sentence unless ``what`` holds."""
    if not what:
        raise Untrue(sentence)


@dataclass(frozen=True, slots=True)
class Stage:
    """Two running connectors, seen through their owners' channels. ``say`` prints a line."""

    provider_house: House
    consumer_house: House
    provider: LocalClient
    consumer: LocalClient
    web: aiohttp.ClientSession
    say: Callable[[str], None]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def scene(self, title: str) -> None:
        """Begin the next scene."""
        self.say(f"{next(self.numbers)}. {title}")

    def client(self, house: House) -> LocalClient:
        """The client of one of the two."""
        return self.provider if house is self.provider_house else self.consumer

    async def fetch(self, address: Document, first: int, last: int) -> tuple[int, bytes]:
        """HTTP status and bytes ``first`` to ``last`` of a data address, as a consumer without a sink fetches them."""
        properties = {item["name"]: item["value"] for item in address["endpointProperties"]}
        headers = {"Authorization": f"Bearer {properties['authorization']}", "Range": f"bytes={first}-{last}"}
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            self.web.get(address["endpoint"], headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.read()

    async def dies(self, address: Document) -> int:
        """The status with which the token of ``address`` is refused; it is tried until it is, a hundred times a second.

        The message to the counterparty and the command to the data plane leave at the same time, so either may come first.
        """
        try:
            async with asyncio.timeout(STEP_S):
                while True:
                    # A delivery that is running when its token dies is cut; the next one is refused.
                    with suppress(aiohttp.ClientError):
                        status, _ = await self.fetch(address, 0, 0)
                        if status not in (200, 206):
                            return status
                    await asyncio.sleep(REVOKE_LOOK_S)
        except TimeoutError:
            raise Untrue(f"the token still works {STEP_S:.0f} s after it should have died") from None

    async def reaches(self, client: LocalClient, process_id: str, state: str) -> Document:
        """The process once it is in ``state`` and nothing of it is in flight. Raises Untrue if it does not get there."""
        process = await client.wait(process_id, lambda now: now["state"] == state and not now["awaiting"], STEP_S)
        hold(process["state"] == state, f"{process['kind']} {process_id} is {process['state']}, not {state}")
        return process


class Stopwatch:
    """Whole milliseconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __str__(self) -> str:
        return f"{(time.perf_counter() - self._began) * 1000:.0f} ms"
