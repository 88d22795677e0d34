"""Work on received files in a process of its own, with a deadline. Imports the standard library only."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final
from weakref import WeakValueDictionary

ANSWER_BYTES: Final = 1024 * 1024
_COMMAND: Final = (sys.executable, "-m", "connector.dataplane.landing.worker")


class Offload:
    """At most so many processes at once, and one at a time on a database, which its engine locks. Cancelling a call kills its
    process."""

    def __init__(self, at_once: int, deadline_s: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._deadline_s = deadline_s
        self._databases: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def do(self, work: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer; ``{"code", "reason"}`` if the work cannot be done, or the process died over it."""
        database: str | None = work.get("database")
        if database is None:
            return await self._do(work)
        turn = self._databases.setdefault(database, asyncio.Lock())
        async with turn:
            return await self._do(work)

    async def _do(self, work: dict[str, Any]) -> dict[str, Any]:
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=ANSWER_BYTES,
            )
            try:
                async with asyncio.timeout(self._deadline_s):
                    answer, _ = await process.communicate(json.dumps(work).encode())
            except TimeoutError:
                return {"code": "too-slow", "reason": "the work on the file took too long"}
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode != 0:
            return {"code": "file-unreadable", "reason": f"a reader of the file ended with {process.returncode}"}
        found: dict[str, Any] = json.loads(answer)
        return found
