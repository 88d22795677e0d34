"""Secrets that data sources need: written, replaced, deleted, and never read back. May import store."""

from __future__ import annotations

from connector.management.model import SecretEntry
from connector.management.service import Management


async def create(m: Management, secret_id: str, value: str) -> SecretEntry:
    """Seal and keep a secret; with an empty id it gets one. Raises Conflict `secret-exists`, CallerError."""
    raise NotImplementedError


async def update(m: Management, secret_id: str, value: str) -> SecretEntry:
    """Replace a secret's value, and hand it to the data plane for each asset that names it. Raises NotFound, CallerError."""
    raise NotImplementedError


async def find(m: Management, secret_id: str) -> SecretEntry:
    """That a secret is there, and since when; never its value. Raises NotFound."""
    raise NotImplementedError


async def delete(m: Management, secret_id: str) -> None:
    """Forget a secret. Raises NotFound, Conflict `secret-used` where an asset names it."""
    raise NotImplementedError
