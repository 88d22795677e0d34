"""The contract log is told what has happened to our keys: made, rotated, revoked.

Keys change in their files, by a command, whether a connector runs or not. So all that ever happened to them is looked through at
the start and whenever they are read again; what was told is remembered in the transaction that tells it, for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connector.flow.context import Context
from connector.flow.leaves_standing import of_keys
from connector.store.engine import LostRace
from connector.store.registry import use_once

FOR_EVER_MS: Final = 2**53
"""A moment (ms since the epoch) that is never over."""
_TOLD: Final = "key-told:"


async def tell(context: Context, listing: Sequence[Mapping[str, Any]]) -> None:
    """Tell what was not told before of the keys in ``listing`` (``KeyRing.listing``). Harmless when repeated, and by several
    workers at once. Raises StoreUnavailable."""
    if not context.logs:
        return
    for name, draft in of_keys(listing):
        mark = f"{_TOLD}{name}"
        if await context.registry.store.used(mark):
            continue
        try:
            await context.commit([use_once(mark, FOR_EVER_MS)], [draft])
        except LostRace:
            continue
