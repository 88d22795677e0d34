"""Calls about who may use a connector's interfaces: API keys. May import the calls of this package."""

from __future__ import annotations

from typing import Any

from connector.client.calls import Calls, given, safe
from connector.client.refusals import Document


class AccessCalls(Calls):
    """The part of the client that is about keys of callers."""

    async def api_keys(self) -> list[Document]:
        """Every key that was made, without its secret, in order of making."""
        return [row async for row in self.each("/access/keys")]

    async def make_api_key(self, name: str, roles: list[str], **more: Any) -> Document:
        """Make a key: ``key`` is the key itself, shown this once, ``entry`` what is kept of it. ``more``: ``expiresAt`` (ms since
        the epoch), ``vehicle`` (a driver's: the consent ledger's own number), ``person`` (who is behind it: the owner says)."""
        return dict(await self._call("POST", "/access/keys", {"name": name, "roles": roles, **given(more)}))

    async def revoke_api_key(self, key: str) -> None:
        """End a key, and what was given for it."""
        await self._call("DELETE", f"/access/keys/{safe(key)}")

    async def whoami(self) -> Document:
        """Who we are to the connector: id, roles, scopes."""
        return dict(await self._call("GET", "/access/self"))
