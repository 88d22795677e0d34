"""Waiting for a transfer: its states as they come, and a bar while the data come or the provider still makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from connector.cli.channel import States
from connector.cli.progress import BEAT_S, Bar, progress
from connector.client.local import Document, LocalClient
from connector.protocol.errors import CarnetError

RUNNING: Final = "STARTED"


async def received(
    client: LocalClient, process_id: str, until: Callable[[Document], bool], wait_s: float, states: States
) -> Document:
    """The transfer when ``until`` holds, or as it is after ``wait_s`` seconds."""
    watching = Watching(states)
    looking = asyncio.create_task(_look(client, process_id, watching))
    try:
        return await client.wait(process_id, until, wait_s, watching.state)
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        watching.close()


class Watching:
    """What is shown of one transfer: a line of states, interrupted by a bar for each phase that takes time."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._bar: Bar | None = None

    def state(self, process: Document) -> None:
        """A version of the process."""
        if process["state"] != RUNNING and self._bar is not None:
            came = (process.get("received") or {}).get("bytes")
            if came is not None and self._bar.unit:
                self._bar.to(came)
            self.close()
        self._states(process)

    def phase(self, now: Document) -> None:
        """What the connector says of the data: a bar, unless there is nothing to say yet."""
        if now["making"]:
            self._open("The provider makes the file", "").beat()
        elif now["bytes"] or now["total"]:
            self._open("Receiving", "B").to(now["bytes"] or 0, now["total"])

    def close(self) -> None:
        """No bar any more."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _open(self, what: str, unit: str) -> Bar:
        if self._bar is None or self._bar.what != what:
            self.close()
            self._states.end()
            self._bar = progress(what, unit=unit).__enter__()
        return self._bar


async def _look(client: LocalClient, process_id: str, watching: Watching) -> None:
    """Ask how far it is, until cancelled. What goes wrong is said by who waits for the states."""
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            now = await client.progress(process_id)
        except CarnetError:
            continue
        watching.phase(now)
