"""How much one participant, caller or address may ask of us: a sustained rate, a burst, and for participants requests at once. A
flooder leaves others alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final

from connector.metrics import Metrics
from connector.protocol.errors import TooMany
from connector.settings.management import ManagementSettings
from connector.settings.model import QuotaSettings

MAX_CALLERS: Final = 4096
"""Callers of our own interfaces whose buckets are kept."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class _Bound:
    requests_per_s: int
    burst: int
    in_flight: int


class Buckets:
    """Token buckets by name, for names of which there may be many: with more than ``most`` the one that asked longest ago is
    forgotten. ``monotonic`` gives seconds."""

    def __init__(self, per_s: float, burst: int, most: int, monotonic: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._most = most
        self._monotonic = monotonic
        # What is left of each, and when that was reckoned.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._left)

    def take(self, name: str) -> float:
        """Take one: 0, or for a name that has none left the seconds until it has one again."""
        now = self._monotonic()
        left, at = self._left.get(name, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_s)
        self._left[name] = (left - 1 if left >= 1 else left, now)
        self._left.move_to_end(name)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._per_s


class CallerQuota:
    """What one caller of our own interfaces may ask: as many as we have recognised lately have a bucket each."""

    def __init__(self, settings: ManagementSettings, monotonic: Callable[[], float], metrics: Metrics) -> None:
        self._per_s = settings.requests_per_s
        self._metrics = metrics
        self._buckets = Buckets(settings.requests_per_s, settings.burst, MAX_CALLERS, monotonic)

    def admit(self, caller: str) -> None:
        """Let one request in. Raises TooMany, saying when to come back."""
        wait_s = self._buckets.take(caller)
        if wait_s:
            self._metrics.quota_refused("rate")
            raise TooMany("too-many-requests", f"at most {self._per_s} requests a second of one caller; slow down", ceil(wait_s))


class Quota:
    """Token buckets by participant. Only recognised participants get one, so that their number is bounded by the registry."""

    def __init__(self, settings: QuotaSettings, monotonic: Callable[[], float], metrics: Metrics) -> None:
        self._verified = _Bound(settings.requests_per_s, settings.burst, settings.in_flight)
        self._unverified = _Bound(settings.unverified_requests_per_s, settings.unverified_burst, settings.unverified_in_flight)
        self._monotonic = monotonic
        self._metrics = metrics
        self._buckets: dict[str, _Bucket] = {}

    @contextmanager
    def admitted(self, participant: str, *, verified: bool = True) -> Iterator[None]:
        """Let one request in; who is not verified gets the small quota. Raises TooMany, saying when to come back."""
        bucket = self._take(participant, self._verified if verified else self._unverified)
        bucket.in_flight += 1
        try:
            yield
        finally:
            bucket.in_flight -= 1

    def _take(self, participant: str, bound: _Bound) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.setdefault(participant, _Bucket(float(bound.burst), now))
        bucket.tokens = min(bound.burst, bucket.tokens + (now - bucket.at) * bound.requests_per_s)
        bucket.at = now
        if bucket.in_flight >= bound.in_flight:
            self._metrics.quota_refused("in_flight")
            raise TooMany("too-many-at-once", f"at most {bound.in_flight} requests of yours are answered at the same time")
        if bucket.tokens < 1:
            self._metrics.quota_refused("rate")
            wait = max(1, round((1 - bucket.tokens) / bound.requests_per_s))
            raise TooMany("too-many-requests", f"at most {bound.requests_per_s} requests a second; slow down", wait)
        bucket.tokens -= 1
        return bucket
