"""What the data plane tells the control plane, at least once: rows in the database, delivered with back-off and jitter.

The row is written in the transaction of the change it reports; its id is the messageId, the same over all attempts.
May import this package and the guarded client.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import msgspec

from connector.dataplane import leaves
from connector.dataplane import records as rec
from connector.dataplane.messages import StatusMessage
from connector.dataplane.records import Callback, Flow, Records
from connector.dataplane.settings import DataPlaneSettings
from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable
from connector.store.engine import LostRace, Statement

log = logging.getLogger("carnet.dataplane")

ERASURE: Final = "erasure"
"""The callback that is about deliveries of an agreement, not about one flow."""
LEAF_TIMEOUT_S: Final = 300.0


def backoff_s(attempt: int, first_s: float, max_s: float) -> float:
    """Seconds before the attempt after ``attempt`` failures (1, 2, ...): doubling, capped, between half and all of it."""
    return float(min(max_s, first_s * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret


class Notifier:
    """Owner of the callback rows. ``run`` is one task, so callbacks go out one after the other, oldest due first."""

    def __init__(self, records: Records, client: GuardedClient, settings: DataPlaneSettings, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._client = client
        self._settings = settings
        self._now_ms = now_ms
        self._wake = asyncio.Event()

    def statement(
        self,
        flow: Flow,
        event: str,
        *,
        error: str | None = None,
        size: int | None = None,
        sha256: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Statement:
        """The write that queues ``completed`` or ``errored``, with more ``facts``; call ``wake`` once it is committed."""
        identifier = f"urn:uuid:{uuid.uuid4()}"
        status = StatusMessage(identifier, flow.id, flow.state.value, error=error, bytes=size, sha256=sha256)
        body = msgspec.json.encode({**msgspec.to_builtins(status), **(facts or {})}).decode()
        return rec.insert_callback(Callback(identifier, flow.id, event, body, 0, self._now_ms()))

    def wake(self) -> None:
        """There may be something to deliver."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled. Raises StoreUnavailable: without its database the process cannot go on."""
        while True:
            self._wake.clear()
            callback = await self._records.next_callback()
            if callback is None:
                await self._wake.wait()
                continue
            wait_ms = callback.due_at - self._now_ms()
            if wait_ms > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000):
                        await self._wake.wait()
                continue
            await self._deliver(callback)

    async def _deliver(self, callback: Callback) -> None:
        answer = await self._accepted(callback)
        if answer is not None:
            kept = leaves.settled(callback, answer) if callback.event == leaves.LEAF else []
            # Another process on this database may have sent it, too: the control plane knows it by its id.
            with suppress(LostRace):
                await self._records.commit([rec.delete_callback(callback.id), *kept])
            return
        bounds = self._settings.bounds
        attempts = callback.attempts + 1
        due_at: int | None = self._now_ms() + int(1000 * backoff_s(attempts, bounds.backoff_first_s, bounds.backoff_max_s))
        # The log is told until it knows: nothing else says again what a leaf says.
        if attempts >= bounds.callback_attempts and callback.event != leaves.LEAF:
            log.error("control plane never accepted %s of flow %s", callback.event, callback.flow_id)
            due_at = None
        with suppress(LostRace):
            await self._records.commit([rec.retry_callback(callback.id, attempts, due_at)])

    async def _accepted(self, callback: Callback) -> bytes | None:
        """What the control plane answered; None unless it has taken it."""
        base = (await self._records.control_plane() or self._settings.control_url).rstrip("/")
        url = f"{base}/transfers/{quote(callback.flow_id, safe='')}/dataflow/{callback.event}"
        if callback.event == ERASURE:
            url = f"{base}/carnet/erasures"
        elif callback.event == leaves.LEAF:
            url = f"{base}/carnet/leaves"
        timeout_s = self._settings.bounds.callback_timeout_s
        if callback.event == leaves.LEAF:
            # Meanwhile it asks us for the vehicles, and makes their index.
            timeout_s = max(timeout_s, LEAF_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._settings.control_token.reveal()}", "Content-Type": "application/json"}
        try:
            answer = await self._client.request("POST", url, headers=headers, body=callback.body.encode(), timeout_s=timeout_s)
        except (EgressRefused, PeerUnreachable) as error:
            log.warning("callback %s of flow %s: %s", callback.event, callback.flow_id, error)
            return None
        if not 200 <= answer.status < 300:
            log.warning("callback %s of flow %s: answered %d", callback.event, callback.flow_id, answer.status)
            return None
        return answer.body
