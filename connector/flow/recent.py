"""What this worker last committed of a process, so that the next message about it usually needs no look at the database.

A record from here is a hint and never the truth: another worker, or another task, may have moved the process on. So it may only
lead to a guarded write. Whatever would be refused, or dropped, because of it is decided again from the database (`hopeful`).
A hint is given once, which keeps two tasks from racing with the same one. Imports the record and the errors only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from connector.protocol.errors import CarnetError
from connector.protocol.record import Process
from connector.store.engine import LostRace

MAX_KEPT: Final = 1024
Result = TypeVar("Result")


class Recent:
    """The last committed records of unfinished processes, at most ``MAX_KEPT``; the oldest go first."""

    def __init__(self) -> None:
        self._kept: dict[str, Process] = {}

    def keep(self, process: Process) -> None:
        """``process`` was just committed as it stands, its ``version`` included."""
        self._kept.pop(process.id, None)
        if process.state.final:
            return
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[process.id] = process

    def take(self, process_id: str) -> Process | None:
        """The record, once; None if there is nothing here."""
        return self._kept.pop(process_id, None)


async def hopeful(guess: Callable[[], Awaitable[Result]], surely: Callable[[], Awaitable[Result]]) -> Result:
    """The outcome of ``guess`` if it was committed, else that of ``surely``, which looks at the database first."""
    try:
        return await guess()
    except (CarnetError, LostRace):
        return await surely()
