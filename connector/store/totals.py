"""What has been counted of documents, for as long as none of their kind changes.

Every write of a document counts up the changes of its kind (the table ``tally``). A figure is kept with the changes that had been
seen before it was counted, so that it is never older than it says. No I/O.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from connector.store.criteria import Part

KEPT_MOST: Final = 1024


class Totals:
    """Figures by the SQL that counts them."""

    def __init__(self, most: int = KEPT_MOST) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def known(self, counting: Part, changes: int) -> int | None:
        """The figure, if nothing has changed since it was counted."""
        found = self._kept.get(_key(counting))
        return found[1] if found is not None and found[0] == changes else None

    def keep(self, counting: Part, changes: int, figure: int) -> None:
        """Remember a figure that was counted when so many changes had been seen."""
        key = _key(counting)
        self._kept[key] = (changes, figure)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _key(counting: Part) -> bytes:
    """Of one length, however long the operands of a filter are."""
    return hashlib.sha256(repr(counting).encode(errors="surrogatepass")).digest()
