"""What a duty to delete ends: once the data are gone, or had to be, nothing more is delivered that would have to go again.

ODRL says what must be done for a permission and not what ends by it. We read a duty to delete as the end of the use that it
hangs on: that of its permission, or of the whole agreement where it stands beside the permissions. What a duty asks for only
when something was violated (a remedy, a consequence) ends nothing. May import the flow package's duties and the evidence store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from connector.flow.context import Context
from connector.flow.envelope import instant
from connector.flow.owed import deletions
from connector.protocol.messages import Document
from connector.protocol.states import Role
from connector.store.evidence import Duty, EvidenceStore
from connector.store.rows import Agreement

CODE: Final = "use-ended"
_ON: Final = re.compile(r"/permission/(?P<index>\d+)/duty/\d+|/obligation/\d+")
_ATTESTED: Final = ("attested", "unverified", "fulfilled")


@dataclass(frozen=True, slots=True)
class Ended:
    """Why use has ended: of everything (``whole``), and by index of single permissions. Fit for the counterparty."""

    whole: str | None = None
    permissions: Mapping[int, str] = field(default_factory=dict)

    def left(self, permissions: Iterable[int]) -> tuple[int, ...]:
        """Those of these permissions that can still be used."""
        return () if self.whole else tuple(index for index in permissions if index not in self.permissions)

    def why(self) -> tuple[str, ...]:
        """Every reason once."""
        return tuple(dict.fromkeys([*([self.whole] if self.whole else []), *self.permissions.values()]))


def last_moments(agreement: Document) -> Iterator[int]:
    """The moments (ms) up to and including which something may be used by the duties to delete of an agreement. No I/O."""
    yield from (due_at for path, due_at in deletions(agreement) if due_at is not None and _ON.fullmatch(path))


async def ended(context: Context, agreement: Agreement, document: Document, now_ms: int) -> Ended:
    """What of an agreement in which we provide cannot be used any more, because the data are deleted or had to be."""
    due = {path: due_at for path, due_at in deletions(document) if _ON.fullmatch(path)}
    if not due:
        return Ended()
    store, whole, permissions = EvidenceStore(context.store.engine), None, dict[int, str]()
    for path, due_at in due.items():
        known = await store.duty(agreement.counterparty, Role.PROVIDER, f"{agreement.id}#{path}")
        reason = _reason(known, due_at if known is None else known.due_at, now_ms)
        place = _ON.fullmatch(path)
        if reason is not None and place is not None:
            if place["index"] is None:
                whole = whole or reason
            else:
                permissions.setdefault(int(place["index"]), reason)
    return Ended(whole, permissions)


def _reason(duty: Duty | None, due_at: int | None, now_ms: int) -> str | None:
    if duty is not None and duty.state in _ATTESTED:
        return "the data under this agreement were deleted, as you have attested; what it permitted has ended"
    if due_at is not None and due_at < now_ms:
        return f"the data under this agreement had to be deleted by {instant(due_at)}; what it permitted has ended"
    return None
