"""Where requests come from, and how often one address may fail: bounds for those of whom nothing else is known.

The address is that of the connection; a header says it only where our own proxy has written it. Knows aiohttp's request and the
error tree.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from aiohttp import web

from connector.protocol.errors import TooMany

MAX_ADDRESSES: Final = 4096
MINUTE_S: Final = 60
RECOGNISED_S: Final = 600
"""So long a credential that was good does not wait for others of its address."""


def address_of(request: web.Request, *, forwarded_for: bool) -> str:
    """The caller's address: with ``forwarded_for`` the last one, which our proxy has appended: earlier ones are callers' own."""
    said = request.headers.getall("X-Forwarded-For", []) if forwarded_for else []
    last = said[-1].rpartition(",")[2].strip() if said else ""
    return last or request.remote or ""


def network_of(address: str) -> str:
    """Whose bucket it is: a single host has 2^64 addresses of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(int(ip) >> 64)
    return address


class Failures:
    """How often addresses may fail; the one that failed longest ago is forgotten first. ``monotonic`` gives seconds."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._monotonic = monotonic
        # By network: failures that count, and when that was reckoned.
        self._counted: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooMany for an address that has failed too often, and says when it is heard again."""
        count = self._now(network_of(address))
        if count >= self._per_minute:
            wait_s = max(1, round((count - self._per_minute + 1) * MINUTE_S / self._per_minute))
            raise TooMany("too-many-failures", f"at most {self._per_minute} failed attempts a minute; wait", wait_s)

    def failed(self, address: str) -> None:
        """One more."""
        name = network_of(address)
        self._counted[name] = (min(self._now(name), float(self._per_minute)) + 1, self._monotonic())
        self._counted.move_to_end(name)
        if len(self._counted) > MAX_ADDRESSES:
            self._counted.popitem(last=False)

    def _now(self, name: str) -> float:
        """What still counts of the failures of a network: as many as are allowed are forgotten in a minute."""
        count, at = self._counted.get(name, (0.0, 0.0))
        return max(0.0, count - (self._monotonic() - at) * self._per_minute / MINUTE_S)


class Recognised:
    """Credentials that were good lately, by their digest: those who share an address do not wait for the one who fails there."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def lately(self, name: bytes) -> bool:
        """Whether it was good in the last ``RECOGNISED_S`` seconds."""
        at = self._at.get(name)
        return at is not None and self._monotonic() - at < RECOGNISED_S

    def good(self, name: bytes) -> None:
        """It is now; the one that was good longest ago is forgotten first."""
        self._at[name] = self._monotonic()
        self._at.move_to_end(name)
        if len(self._at) > MAX_ADDRESSES:
            self._at.popitem(last=False)

    def bad(self, name: bytes) -> None:
        """It is not any more."""
        self._at.pop(name, None)
