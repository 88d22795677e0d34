"""The data plane as the control plane sees it: an address, a token, and the one call that needs its answer at once.

Everything that follows from a transfer goes through the outbox; only registering a file waits, because publication must know
size and digest of what it publishes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import orjson

from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable
from connector.protocol.errors import CallerError, Unavailable
from connector.settings.secret import Secret
from policies.delivery import Capabilities

READY_S: Final = 60.0


@dataclass(slots=True)
class Plane:
    """One data plane. ``base`` is None until it says that it is ready. ``declared``: IRIs of the terms that the settings say it
    enforces, for one that does not say so itself."""

    client: GuardedClient
    token: Secret
    base: str | None = None
    declared: frozenset[str] = frozenset()
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def came(self, base: str | None) -> None:
        """It listens at ``base`` now, or (None) it is gone."""
        self.base = base
        if base is None:
            self._came.clear()
        else:
            self._came.set()

    async def wait_ready(self) -> None:
        """Until it listens. Raises Unavailable after a minute."""
        try:
            async with asyncio.timeout(READY_S):
                await self._came.wait()
        except TimeoutError as error:
            raise Unavailable("data-plane-away", "the data plane did not start; see its lines in the log") from error

    @property
    def ready(self) -> bool:
        """Whether it has said that it listens."""
        return self.base is not None

    def signaling(self) -> tuple[str, str] | None:
        """Base address and token, or None."""
        return None if self.base is None else (self.base, self.token.reveal())

    async def register_source(self, dataset_id: str, path: str, table: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make a file deliverable as a dataset, or with ``table`` the rows of a file or folder, governed by the contract.

        Gives what the data plane found out, and the terms that it enforces on this very source (``declares``); ``former`` names
        what it has replaced, for ``put_back``. Raises CallerError if it cannot be published, Unavailable if the data plane is not
        there.
        """
        body: dict[str, Any] = {"path": path} if table is None else {"path": path, "table": table}
        return await self.ask("PUT", f"/carnet/sources/{quote(dataset_id, safe='')}", body)

    async def put_back(self, dataset_id: str, former: str | None) -> None:
        """Undo a registration: what it has replaced, or nothing, is delivered again. Raises as ``register_source`` does."""
        path = f"/carnet/sources/{quote(dataset_id, safe='')}"
        if former is None:
            await self.ask("DELETE", path)
        else:
            await self.ask("PUT", path, {"former": former})

    async def preview(self, dataset_id: str, path: str, table: dict[str, Any]) -> dict[str, Any]:
        """What ``register_source`` would answer of a table, and its name as a ``preview``; nothing is published.

        Raises as that does.
        """
        return await self.ask("POST", "/carnet/previews", {"datasetId": dataset_id, "path": path, "table": table})

    async def forget(self, preview: str) -> None:
        """A preview is not needed any more. Raises Unavailable."""
        await self.ask("DELETE", f"/carnet/previews/{quote(preview, safe='')}")

    def able(self, source: dict[str, Any]) -> Capabilities:
        """What can be done with a source, as the data plane answered; one of another make is believed by the settings."""
        declares = source.get("declares")
        columns, interval = source.get("columns"), source.get("samplingIntervalMs")
        return Capabilities(
            terms=self.declared if declares is None else frozenset(declares),
            columns=frozenset(columns) if columns else None,
            sampling_interval_ms=interval if isinstance(interval, int) else None,
        )

    async def releases(self, dataset_id: str, policies: list[dict[str, Any]], preview: str | None = None) -> list[dict[str, Any]]:
        """What each permission of these policies would release: plan, level, columns, measured unicity, and what is wrong."""
        body = {"datasetId": dataset_id, "policies": policies} | ({} if preview is None else {"preview": preview})
        answer = await self.ask("POST", "/carnet/releases", body)
        return list(answer.get("releases", []))

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the data plane's own ones (``/carnet/...``), and its answer.

        Raises CallerError with the data plane's code if it says no, Unavailable if it is not there or fails.
        """
        try:
            status, answer = await self._call(method, path, b"" if body is None else orjson.dumps(body))
        except (EgressRefused, PeerUnreachable) as error:
            raise Unavailable("data-plane-away", f"the data plane cannot be reached: {error.reason}") from error
        if status >= 500 or status == 401:
            raise Unavailable("data-plane-failed", f"the data plane answered {status}; see its log")
        document: dict[str, Any] = orjson.loads(answer or b"{}")
        if status >= 300:
            code, detail = document.get("code", "data-plane-refused"), document.get("detail", f"it answered {status}")
            raise CallerError(str(code), str(detail))
        return document

    async def _call(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.base is None:
            raise Unavailable("data-plane-away", "the data plane is not running yet; try again in a moment")
        headers = {"Authorization": f"Bearer {self.token.reveal()}", "Content-Type": "application/json"}
        answer = await self.client.request(method, self.base + path, headers=headers, body=body, timeout_s=600.0)
        return answer.status, answer.body
