"""How much one participant may ask of us: a sustained rate, a burst, and requests at once. A flooder leaves others alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connector.metrics import Metrics
from connector.protocol.errors import TooMany
from connector.settings.model import QuotaSettings


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
