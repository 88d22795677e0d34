"""Automatic reactions by a rule table: what a person would do, done by settings. For test connectors, under the development key.

A rule says: when a process of this kind, in this role, about this dataset or agreement, has reached this state (for the nth
time), do this. Everything goes through the same use cases as a person's acts; without rules nothing happens here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from connector.flow import acts
from connector.flow.context import Context
from connector.metrics import Metrics
from connector.protocol.errors import CarnetError
from connector.protocol.record import Process
from connector.settings.model import RuleSettings
from connector.telemetry import logger

MAX_WAITING: Final = 4096
MAX_COUNTED: Final = 65_536
log = logger("automation")


async def _offer(context: Context, process_id: str) -> object:
    process = await acts.load(context, process_id)
    return await acts.offer(context, process_id, {**(process.detail.offer or {})})


ACTIONS: Final[dict[str, Callable[[Context, str], Awaitable[object]]]] = {
    "offer": _offer,
    "accept": acts.accept,
    "agree": acts.agree,
    "verify": acts.verify,
    "finalize": acts.finalize,
    "start": acts.start,
    "suspend": acts.suspend,
    "complete": acts.complete,
    "terminate": acts.terminate,
}


class Automation:
    """Owns the tasks of automatic reactions."""

    def __init__(self, rules: Sequence[RuleSettings], metrics: Metrics) -> None:
        self._rules = rules
        self._metrics = metrics
        self._context: Context | None = None
        self._times: Counter[tuple[str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def act_in(self, context: Context) -> None:
        """From now on, rules act."""
        self._context = context

    def entered(self, process: Process) -> None:
        """A process has reached a state (or reached it again by a message)."""
        self._metrics.state_entered(process.kind.value, process.role.value, process.state.on_wire)
        if not self._rules or process.state.on_wire == "INITIAL":
            return
        if len(self._times) > MAX_COUNTED:
            self._times.clear()
        key = (process.id, process.state.on_wire)
        self._times[key] += 1
        rule = next((rule for rule in self._rules if self._applies(rule, process, self._times[key])), None)
        if rule is None or rule.action not in ACTIONS or len(self._tasks) >= MAX_WAITING:
            return
        task = asyncio.create_task(self._do(rule, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _applies(self, rule: RuleSettings, process: Process, times: int) -> bool:
        return (
            rule.kind == process.kind.value
            and rule.role == process.role.value
            and rule.state == process.state.on_wire
            and rule.nth in (None, times)
            and fnmatchcase(process.subject, rule.key)
        )

    async def _do(self, rule: RuleSettings, process: Process) -> None:
        await asyncio.sleep(rule.delay_ms / 1000)
        if self._context is None:
            return
        try:
            await ACTIONS[rule.action](self._context, process.id)
        except CarnetError as error:
            log.info("automatic reaction not possible", action=rule.action, code=error.code)

    async def close(self) -> None:
        """End what waits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
