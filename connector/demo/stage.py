"""What every act of the demo needs: the four connectors, a fetch with a token, a way to say what was seen."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import aiohttp

from connector.client.local import Document, LocalClient
from connector.demo.town import Member

STEP_S: Final = 20.0
REVOKE_LOOK_S: Final = 0.01
FETCH_TIMEOUT_S: Final = 10.0
WIDTH: Final = 100
WHO: Final = 9
TOOK: Final = 10
NAMES: Final = ("oem", "insurer", "city", "repairer")


class Untrue(Exception):
    """Something that the demo shows did not hold."""


def hold(what: bool, sentence: str) -> None:
    """Raises Untrue with the sentence unless ``what`` holds."""
    if not what:
        raise Untrue(sentence)


@dataclass(frozen=True, slots=True)
class Stage:
    """The running connectors by name (``NAMES``), seen through their owners' channels. ``say`` prints a line."""

    members: Mapping[str, Member]
    web: aiohttp.ClientSession
    say: Callable[[str], None]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def oem(self) -> Member:
        """The provider."""
        return self.members["oem"]

    @property
    def guests(self) -> tuple[Member, ...]:
        """The three that buy."""
        return tuple(self.members[name] for name in NAMES[1:])

    def act(self, title: str) -> None:
        """Begin the next act."""
        self.say(f"{next(self.numbers)}. {title}")

    def tell(self, who: str, what: str, took: Stopwatch | None = None) -> None:
        """One thing that was seen: of whom, what, and how long it took; within ``WIDTH`` columns."""
        room = WIDTH - 4 - WHO - (TOOK if took is not None else 0)
        lines = textwrap.wrap(what, room, break_long_words=False, break_on_hyphens=False) or [""]
        if took is not None:
            lines[-1] = f"{lines[-1]:<{room}}{took!s:>{TOOK}}"
        for name, line in zip([who, *[""] * len(lines)], lines, strict=False):
            self.say(f"   {name:<{WHO}} {line}".rstrip())

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

    async def waits(self, client: LocalClient, process_id: str, what: str) -> Document:
        """The process once ``what`` waits for a person. Raises Untrue if it does not."""
        process = await client.wait(process_id, lambda now: bool(now.get("pending")), STEP_S)
        hold(process.get("pending") == what, f"{process['kind']} {process_id} waits for {process.get('pending')}, not {what}")
        return process


class Stopwatch:
    """Whole milliseconds since it was made, or until it was stopped."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._ended: float | None = None

    def stop(self) -> Stopwatch:
        """From here on it shows this moment."""
        self._ended = time.perf_counter()
        return self

    def __str__(self) -> str:
        ended = time.perf_counter() if self._ended is None else self._ended
        return f"{(ended - self._began) * 1000:.0f} ms"
